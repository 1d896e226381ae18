"""Residual correction: what it adds, that its forces are a gradient, and what it refuses."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from contracts import KINDS, small
from test_potential import geometries, labels, potential

from clone import ROOT, environment
from mlipshift.base.errors import UserError
from mlipshift.base.frames import Frames, Labels
from mlipshift.catalogue.adaptation import CORRECTED, Settings
from mlipshift.learn import networks
from mlipshift.learn.calculator import frames_of
from mlipshift.learn.potential import Potential
from mlipshift.mitigate import adaptation
from mlipshift.mitigate.average import mean
from mlipshift.mitigate.correction import correct
from mlipshift.mitigate.distillation import pseudo_labels
from mlipshift.mitigate.units import foreign, placebo_units, structure_units

STEP = 2e-4  # Å


@pytest.fixture(scope="module")
def case():
    """(Potential, Frames, prior Labels) of three geometries of ethanol; the second one has no label."""
    frames = frames_of(geometries())
    return potential(), frames, labels(frames, missing=[1])


def of(predictions, k):
    return predictions.energy[-1, k], predictions.forces[-1, predictions.offsets[k] : predictions.offsets[k + 1]]


def test_a_weight_of_zero_is_the_model(case):
    model, frames, prior = case
    found = correct(model, frames, prior, 0.0)
    for k, (energy, forces) in enumerate(model.predict(frames)):
        if k != 1:
            assert of(found, k)[0] == pytest.approx(energy, abs=1e-9)
            np.testing.assert_array_equal(of(found, k)[1], forces)


def test_a_prior_that_says_what_its_head_says_changes_nothing(case):
    model, frames, _ = case
    said = networks.predict(model.network, [frames[k][:2] for k in range(3)], head="prior")
    baseline = model.network.baseline("prior", frames.numbers, frames.sizes)
    own = Labels.build(frames, [(e + b, f) for (e, f), b in zip(said, baseline)], "own")
    found = correct(model, frames, own, 1.0)
    for k, (energy, forces) in enumerate(model.predict(frames)):
        assert of(found, k)[0] == pytest.approx(energy, abs=1e-9)
        np.testing.assert_allclose(of(found, k)[1], forces, atol=1e-12)
    assert found.loss.max() < 1e-12


def test_it_is_linear_in_the_weight_and_whole_it_is_the_prior_and_the_difference_of_the_heads(case):
    model, frames, prior = case
    none, half, whole, more = (correct(model, frames, prior, w) for w in (0.0, 0.5, 1.0, 1.25))
    for k in (0, 2):
        for what in (0, 1):
            a, b = of(none, k)[what], of(whole, k)[what]
            np.testing.assert_allclose(of(half, k)[what], (a + b) / 2, atol=1e-9)
            np.testing.assert_allclose(of(more, k)[what], a + 1.25 * (b - a), atol=1e-9)
    (said,) = networks.predict(model.network, [frames[0][:2]], head="prior")
    np.testing.assert_allclose(of(whole, 0)[1], of(none, 0)[1] + prior.forces_of(0) - said[1], atol=1e-5)
    assert whole.loss[0, 0] == pytest.approx(np.abs(prior.forces_of(0) - said[1]).mean(), abs=1e-6)
    assert (whole.method, whole.seed, list(whole.steps)) == ("joint_corrected", 0, [0])


def test_without_a_prior_label_there_is_no_prediction(case):
    found = correct(*case)
    assert found.ok.tolist() == [True, False, True]
    assert np.isnan(found.energy[0, 1]) and np.isnan(of(found, 1)[1]).all() and np.isnan(found.loss[0, 1])


@pytest.mark.parametrize("strategy", ["supervised", "delta", "pretrain", "delta_joint"])
def test_a_model_without_both_heads_is_refused(strategy, case):
    with pytest.raises(UserError, match="needs a reference and a prior head; take freeze or joint"):
        correct(potential(strategy), *case[1:])


@pytest.mark.parametrize("weight", [-0.1, float("nan")])
def test_a_weight_below_zero_is_refused(weight, case):
    with pytest.raises(UserError, match="correction.weight is .*; give a number of at least 0"):
        correct(*case, weight)


def labelled_alone(frames, folder):
    """GFN2-xTB labels in a process of their own, where there is no torch."""
    frames.save(folder / "frames.h5")
    code = "from mlipshift.base.frames import Frames, Labels\nfrom mlipshift.prior import labels\n"
    code += "frames = Frames.load('frames.h5')\n"
    code += "rows = [labels.label(*frames[k][:2], 0, 1, 'GFN2-xTB', 'tblite', 1e-3) for k in range(len(frames))]\n"
    code += "Labels.build(frames, rows, 'GFN2-xTB').save('labels.h5')\n"
    known = environment() | {"PYTHONPATH": str(ROOT / "workflow"), "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", code], cwd=folder, env=known, check=True)
    return Labels.load(folder / "labels.h5", frames)


@pytest.mark.parametrize("weight", [0.6, 1.0])
def test_forces_are_minus_the_gradient_of_the_corrected_energy(weight, tmp_path):
    """Of a network with gradient forces and GFN2-xTB, by central differences of every coordinate."""
    assert KINDS["gemnet_gradient"]["forces"] == "gradient"
    model = Potential(small("gemnet_gradient"), {"strategy": "joint", "seed": 0})
    centre = frames_of(geometries(1))
    n, positions = len(centre.numbers), centre.positions
    moves = [np.zeros((n, 3))]
    for k in range(3 * n):
        for sign in (STEP, -STEP):
            moves.append(np.zeros((n, 3)))
            moves[-1].flat[k] = sign
    rows = [
        {"id": str(k), "group": "g", "molecule": "m", "numbers": centre.numbers, "positions": positions + move}
        | {"charge": 0, "multiplicity": 1}
        for k, move in enumerate(moves)
    ]
    frames = Frames.build(rows)
    found = correct(model, frames, labelled_alone(frames, tmp_path), weight)
    slope = (found.energy[0, 1::2] - found.energy[0, 2::2]).reshape(n, 3) / (2 * STEP)
    np.testing.assert_allclose(-slope, of(found, 0)[1], atol=3e-4)
    plain = dict(zip(("energy", "forces"), model.predict(frames.take([0]))[0]))
    assert np.abs(of(found, 0)[1] - plain["forces"]).max() > 0.1, "the correction is not idle"


def test_the_placebo_takes_the_labels_of_the_placebo_of_test_time_training():
    rng = np.random.default_rng(0)
    rows = [
        {"id": f"{group}{k}", "group": group, "molecule": f"{group}{k // 2}", "numbers": [8, 1, 1, 6][: 2 + k % 3]}
        | {"positions": rng.normal(size=(2 + k % 3, 3)), "charge": 0, "multiplicity": 1}
        for group in ("val_a", "ood_a", "ood_b")
        for k in range(5)
    ]
    frames = Frames.build(rows)
    prior = labels(frames, missing=[6])
    asked = ~frames.of_kind("val_")
    units, _ = placebo_units(frames.take(asked), prior.take(asked), seed=3)
    other = foreign(frames, replace(prior, ok=prior.ok & asked), seed=3)
    np.testing.assert_array_equal(other.ok, prior.ok & asked)
    for unit, k in zip(units, np.flatnonzero(other.ok), strict=True):
        np.testing.assert_array_equal(unit.forces[0], other.forces_of(k))
        assert np.abs(other.forces_of(k) - prior.forces_of(k)).max() > 0.01 and other.energy[k] == prior.energy[k]
    found = correct(potential(), frames, other, 1.0, "placebo")
    assert found.method == "joint_corrected_placebo" and found.ok.tolist() == other.ok.tolist()


def test_an_adapted_model_is_corrected_by_what_its_prior_head_still_lacks(case):
    model, frames, prior = case
    units = structure_units(frames, prior)
    settings = Settings(steps=3, learning_rate=1e-3, record=(1,))
    run = lambda predict: adaptation.adapt_frames(model, frames, units, replace(settings, predict=predict), prior)
    together, plain, head = (run(predict) for predict in (CORRECTED, "reference", "prior"))
    baseline = [model.network.baseline(name, frames.numbers, frames.sizes) for name in ("reference", "prior")]
    before = correct(model, frames, prior)
    assert together.rows[1] is None
    for k in (0, 2):
        said = head.rows[k][0] - baseline[0][k] + baseline[1][k]  # as its own baseline would have it
        np.testing.assert_allclose(together.rows[k][0], plain.rows[k][0] + prior.energy[k] - said, atol=1e-5)
        expected = plain.rows[k][1] + prior.forces_of(k) - head.rows[k][1]
        np.testing.assert_allclose(together.rows[k][1], expected, atol=1e-6)
        np.testing.assert_allclose(together.rows[k][1][0], of(before, k)[1], atol=1e-6)
        assert together.rows[k][0][0] == pytest.approx(of(before, k)[0], abs=1e-5)
    with pytest.raises(UserError, match="needs its prior label"):
        adaptation.adapt_frames(model, frames, units, replace(settings, predict=CORRECTED))
    with pytest.raises(UserError, match="trains no prior head"):
        adaptation.adapt_frames(potential("supervised"), frames, units, replace(settings, predict=CORRECTED), prior)


def test_the_mean_is_of_one_seed_and_of_what_all_predict(case):
    model, frames, prior = case
    other = Potential(model.network, {"strategy": "delta", "seed": 0})
    first, second = correct(model, frames, prior), other.predictions(frames, labels(frames))
    found = mean([first, second], frames, "both")
    assert found.ok.tolist() == [True, False, True] and found.method == "both"
    np.testing.assert_allclose(of(found, 2)[1], (of(first, 2)[1] + of(second, 2)[1]) / 2)
    with pytest.raises(UserError, match=r"both: its members have the seeds \[0, 1\]; take one"):
        mean([first, replace(second, seed=1)], frames, "both")


def test_pseudo_labels_of_every_teacher(case):
    model, frames, prior = case
    torch.manual_seed(2)
    delta = potential("delta")
    corrected, difference = correct(model, frames, prior, 0.8), delta.predictions(frames, prior)
    expected = {
        "delta": ([delta], [difference]),
        "joint_corrected": ([model], [corrected]),
        "joint_corrected_delta": ([model, delta], [corrected, difference]),
    }
    for name, (teachers, members) in expected.items():
        found = pseudo_labels(teachers, frames, prior, 0.8)
        assert found.level == f"springs + {name}" and found.ok.tolist() == [True, False, True]
        np.testing.assert_allclose(found.forces_of(0), np.mean([of(m, 0)[1] for m in members], axis=0))
        assert found.energy[0] == pytest.approx(np.mean([of(m, 0)[0] for m in members]))
