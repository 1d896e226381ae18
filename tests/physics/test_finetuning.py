"""Fine-tuning of networks trained here: learns from labels, forgets less with replay, and does nothing for nothing."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mlipshift.base.errors import UserError
from mlipshift.base.frames import Frames, Labels
from mlipshift.learn import finetuning, training
from mlipshift.learn.courses import NOTHING, Course, folds
from mlipshift.learn.potential import Potential

ARCHITECTURE = {"features": 8, "blocks": 1, "radial": 6, "cutoff": 4.0}
SETTINGS = finetuning.Settings(steps=40, passes=40, learning_rates=(1e-2,), folds=2, held_out=8)
TRAINING = {"steps": 150, "batch": 4, "learning_rate": 1e-2, "weight_decay": 0.0, "energy_weight": 0.1, "average": 0.9}


def springs(rest, count, seed, group):
    """Triangles of three atoms, shaken, with springs of 5 eV/Å² and this rest length (Å)."""
    rng = np.random.default_rng(seed)
    rows, results = [], []
    corners = np.array([[0, 0, 0], [1.2, 0, 0], [0.6, 1.04, 0]])
    for k in range(count):
        x = corners + rng.normal(scale=0.1, size=(3, 3))
        d = x[:, None] - x[None]
        r = np.linalg.norm(d, axis=-1) + np.eye(3)
        stretch = (r - rest) * (1 - np.eye(3))
        results.append((1.25 * (stretch**2).sum() - 10.0, -5 * (stretch[..., None] * d / r[..., None]).sum(1)))
        rows.append(
            {"id": f"{group}-{seed}-{k}", "group": group, "molecule": group, "numbers": [8, 1, 1], "positions": x}
            | {"charge": 0, "multiplicity": 1}
        )
    frames = Frames.build(rows)
    return frames, Labels.build(frames, results, "springs")


@pytest.fixture(scope="module")
def known():
    return springs(1.2, 16, 0, "train")


@pytest.fixture(scope="module")
def potential(known):
    network, _ = training.train("supervised", ARCHITECTURE, TRAINING, 0, known)
    return Potential(network.eval(), {"strategy": "supervised", "seed": 0})


def error(potential, data):
    return np.mean(finetuning.force_errors(potential.network, finetuning._data(potential.network, data)))


def test_errors_are_those_of_the_predictions(potential, known):
    frames, labels = known
    found = finetuning.force_errors(potential.network, finetuning._data(potential.network, known), batch=5)
    rows = potential.predict(frames)
    expected = [np.abs(forces - labels.forces_of(k)).mean() for k, (_, forces) in enumerate(rows)]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_labels_lower_the_error_and_replay_keeps_what_was_known(potential, known):
    new, unseen = springs(1.6, 12, 1, "new"), springs(1.6, 12, 2, "new")
    before = {n: p.clone() for n, p in potential.network.named_parameters()}
    plain, course = finetuning.tune(potential, new, SETTINGS, 0)
    kept, _ = finetuning.tune(potential, new, SETTINGS, 0, known)
    assert course.chosen[0] in SETTINGS.stops(12) and course.chosen[1] == 1e-2
    assert error(plain, unseen) < 0.8 * error(potential, unseen)
    assert error(kept, known) < error(plain, known)
    # the model that it starts from stays as it is, and the card says what was learnt from
    assert all(torch.equal(p, before[n]) for n, p in potential.network.named_parameters())
    assert plain.card["finetuned"][0]["labels"] == 12 and kept.card["finetuned"][0]["replayed"] == 16
    again, _ = finetuning.tune(potential, new, SETTINGS, 0)
    assert error(again, unseen) == error(plain, unseen)


def test_the_prior_head_is_left_alone(potential):
    tuned, _ = finetuning.tune(potential, springs(1.6, 12, 1, "new"), SETTINGS, 0)
    changed = {n for n, p in tuned.network.named_parameters() if not torch.equal(p, potential.network.state_dict()[n])}
    assert changed and not any(n.startswith("heads.prior.") for n in changed)


def test_labels_that_say_what_the_model_says_mostly_change_nothing(potential):
    """With noise: of five draws at most two are taken for a signal."""
    nothing = 0
    for seed in range(5):
        frames, labels = springs(1.2, 8, seed, "noise")
        rng = np.random.default_rng([seed, 1])  # another one than that of the positions
        rows = [(e, f + rng.normal(scale=0.5, size=f.shape)) for e, f in potential.predict(frames)]
        tuned, course = finetuning.tune(potential, (frames, Labels.build(frames, rows, "noise")), SETTINGS, seed)
        nothing += course.chosen == NOTHING
        assert (tuned is potential) == (course.chosen == NOTHING)
    assert nothing >= 3


def test_energies_are_shifted_before_they_are_learnt(potential):
    """A constant offset of the energy is no error of the network."""
    frames, labels = springs(1.2, 8, 3, "new")
    far = replace(labels, energy=labels.energy + 1000.0)
    on_scale = finetuning._on_scale(potential.network, [(frames, far)], replace(SETTINGS, energy_weight=0.1))
    moved = on_scale.baseline("reference", frames.numbers, frames.sizes)
    base = potential.network.baseline("reference", frames.numbers, frames.sizes)
    said = np.array([e for e, _ in potential.predict(frames)])
    np.testing.assert_allclose(moved - base, np.mean(far.energy - said), rtol=1e-4)


def test_steps_grow_with_the_labels_up_to_the_limit():
    assert finetuning.Settings(steps=400, passes=60, batch=8).stops(10) == [4, 8, 15, 30, 60]
    assert finetuning.Settings(steps=400, passes=60, batch=8).stops(500)[-1] == 400
    with pytest.raises(UserError, match="learning_rates"):
        finetuning.Settings(learning_rates=())


def test_a_course_needs_a_gain_beyond_its_standard_error():
    before = [0.1] * 8
    assert Course.of({NOTHING: before, (10, 1e-3): [0.05] * 8}).chosen == (10, 1e-3)
    mixed = [0.05, 0.2, 0.05, 0.2, 0.05, 0.2, 0.05, 0.19]
    assert Course.of({NOTHING: before, (10, 1e-3): mixed}).chosen == NOTHING
    assert Course.of({NOTHING: [0.1], (10, 1e-3): [0.05]}).chosen == NOTHING


def test_many_structures_are_not_all_held_out():
    one = np.array(["m"] * 100)
    assert [len(held) for _, held in folds(one, 2, 40)] == [50]
    assert [len(held) for _, held in folds(one, 2, 10)] == [10]
    assert [len(held) for _, held in folds(one[:10], 2, 40)] == [5, 5]
    with pytest.raises(UserError, match="give two"):
        folds(one[:1], 2, 40)


def test_a_model_without_reference_labels_is_refused(known):
    network, _ = training.train("pretrain", ARCHITECTURE, TRAINING | {"steps": 1}, 0, prior=known)
    with pytest.raises(UserError, match="trains no reference head"):
        finetuning.tune(Potential(network, {"strategy": "pretrain", "seed": 0}), known, SETTINGS, 0)
