"""Shift axes and radius refinement on structures where the answer is known."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlipshift.base.errors import UserError
from mlipshift.base.frames import Frames, Labels
from mlipshift.catalogue.criteria import CRITERIA
from mlipshift.mitigate import radius
from mlipshift.shift import distribution, measures, spectra
from mlipshift.shift.training import Spectra, Statistics, Training

ROOT = Path(__file__).parents[2]


def frames(*structures):
    return Frames.build(
        {
            "id": f"{name}{k}",
            "group": "g",
            "molecule": name,
            "numbers": numbers,
            "positions": positions,
            "charge": 0,
            "multiplicity": 1,
        }
        for k, (name, numbers, positions) in enumerate(structures)
    )


def chain(n, spacing=1.2):
    return np.c_[np.arange(n) * spacing, np.zeros((n, 2))]


def labels(f, scale):
    rng = np.random.default_rng(0)
    return Labels.build(f, [(0.0, scale * rng.normal(size=(n, 3))) for n in f.sizes], "prior")


def test_force_norm_is_the_mean_over_atoms():
    f = frames(("a", [1, 1], chain(2)), ("b", [6, 1, 1], chain(3)))
    forces = [np.array([[3.0, 4, 0], [0, 0, 1]]), np.array([[1.0, 0, 0], [0, 2, 0], [0, 0, 3]])]
    found = measures.force_norm(Labels.build(f, [(0.0, x) for x in forces], "x"))
    np.testing.assert_allclose(found, [3.0, 2.0])


def training(*blocks, cutoff=2.0, variant="robust", sample=100, seed=0):
    return Training.of(blocks, Spectra(cutoff, variant), sample, seed)


def measure(known, *given, **more):
    return measures.measure(known.how, known, *given, **more)


def water(name, stretch=1.1):
    return (name, [6, 1, 1], chain(3, stretch))


def test_measures_single_out_the_shifted_structure():
    train = frames(*(water(name, 1.1 + 0.01 * k) for k, name in enumerate("abcde")))
    test = frames(water("same", 1.2), ("sulfur", [16, 1, 1], chain(3)), ("long", [6] * 9, chain(9)))
    known = training(train)
    found = measure(known, test)
    assert found["unseen_element_fraction"].tolist() == [0.0, pytest.approx(1 / 3), 0.0]
    assert found["composition_distance"].tolist() == [0.0, pytest.approx(2 / 3), pytest.approx(4 / 3)]
    assert found["n_atoms"].tolist() == [3, 3, 9]
    for name in [name for name in found if name.startswith("spectrum")]:
        assert found[name][0] == pytest.approx(found[name][1]), name
        assert found[name][2] > 10 * found[name][0] + 1e-6, name


def test_unseen_elements_are_told_apart_from_the_composition():
    """Two structures of unseen elements are equally far, whichever elements these are."""
    train = frames(("a", [6, 1, 1], chain(3)), ("b", [6, 6, 1], chain(3)))
    test = frames(("x", [16, 1, 1], chain(3)), ("y", [17, 1, 1], chain(3)), ("z", [16, 17, 1], chain(3)))
    found = measure(training(train), test)
    np.testing.assert_allclose(found["unseen_element_fraction"], [1 / 3, 1 / 3, 2 / 3])
    np.testing.assert_allclose(found["composition_distance"], [2 / 3, 2 / 3, 4 / 3])


def test_force_norms_of_whichever_labels_there_are():
    train = frames(water("a"), water("b"))
    norms = {"reference": np.array([1.0, 2.0]), "prior": np.array([3.0, np.nan])}
    known = training(train)
    assert not [name for name in measure(known, train) if "force_norm" in name]
    found = measure(known, train, norms)
    assert found["reference_force_norm_eV_per_A"].tolist() == [1.0, 2.0]
    assert found["prior_force_norm_eV_per_A"][0] == 3.0 and np.isnan(found["prior_force_norm_eV_per_A"][1])
    assert "predicted_force_norm_eV_per_A" not in found
    assert list(found) == [name for name in measures.MEASURED if name in found]
    assert set(measure(known, train, norms | {"predicted": np.ones(2)})) == set(measures.MEASURED)


NEAREST = ("composition_distance", "spectrum_padded_nearest", "spectrum_wasserstein_nearest")


def test_the_nearest_training_structure_of_any_structure_is_the_nearest_but_itself():
    """Training structures and new geometries of their molecules lie alike, whatever the molecules are called."""
    rng = np.random.default_rng(1)
    shapes = [rng.normal(size=(6, 3)) * 1.5 for _ in range(3)]
    geometry = lambda k: ("a" if k % 2 else f"m{k}", [6] * 6, shapes[k % 3] + 0.001 * rng.normal(size=(6, 3)))
    train, test = (frames(*map(geometry, range(n))) for n in (30, 12))
    other = frames(("other", [6] * 5 + [7], rng.normal(size=(6, 3)) * 1.5))
    known = training(train, cutoff=2.5)
    own, new, far = (measure(known, f, own=f is train) for f in (train, test, other))
    for name in NEAREST:
        assert (own[name] < 1e-12).all() and (new[name] < 1e-12).all() and far[name][0] > 1e-3, name
    # two that are equal are near each other, and one alone has none near it
    twins, one = frames(water("a"), water("b")), frames(water("a"))
    assert measure(training(twins), twins, own=True)["spectrum_wasserstein_nearest"].tolist() == [0, 0]
    for name in NEAREST:
        assert np.isnan(measure(training(one), one, own=True)[name]).all()
        assert measure(training(one), one)[name].tolist() == [0]


def test_a_training_set_of_one_molecule_has_finite_distances():
    train = frames(*(water("a", 1.1 + 0.05 * k) for k in range(5)))
    known = training(train, cutoff=2.6)
    for own in (True, False):
        for name, values in measure(known, train, own=own).items():
            assert np.isfinite(values).all(), name


def test_other_orders_of_the_atoms_and_other_last_bits_are_no_shift():
    """Rounding is no distance: not where training structures differ, and not where all of them are equal."""
    rng = np.random.default_rng(3)
    ring = 1.4 * np.c_[np.cos(np.arange(6) * np.pi / 3), np.sin(np.arange(6) * np.pi / 3), np.zeros(6)]
    ring = np.concatenate([ring, 2.48 / 1.4 * ring])
    numbers = np.repeat([6, 1], 6)

    def shuffled(k, noise=0.02):
        order = rng.permutation(12)
        turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        return (f"m{k % 3}", numbers[order], (ring + noise * rng.normal(size=(12, 3)))[order] @ turn)

    train, test = (frames(*map(shuffled, range(n))) for n in (37, 25))
    for cutoff, variant in ((2.0, "robust"), (6.0, "published"), (3.1, "published")):
        known = training(train, cutoff=cutoff, variant=variant)
        own, new = measure(known, train, own=True), measure(known, test)
        tally = {name: distribution.Tally() for name in own}
        for name, values in own.items():
            tally[name].add(values)
            away = [distribution.outside(values, v, CRITERIA[name].side, 1.0) for v in (values, new[name])]
            assert not away[0].any() and not away[1].any(), name
            assert tally[name].deviation == 0, name


def test_distances_to_the_mean_and_to_the_nearest_spectrum():
    """Against their definitions, structure by structure."""
    rng = np.random.default_rng(5)
    sets = [
        [(f"{part}{k}", [6] * n, rng.normal(size=(n, 3)) * 1.6) for k, n in enumerate(sizes)]
        for part, sizes in (("train", (3, 7, 5, 9)), ("test", (2, 5, 14)))
    ]
    own = [[spectra.spectra(p, [2.5])[0] for _, _, p in structures] for structures in sets]
    pad = lambda v: np.pad(v, (0, 14 - len(v)))
    known, test = np.array([*map(pad, own[0])]), np.array([*map(pad, own[1])])
    found = measure(training(frames(*sets[0]), cutoff=2.5, variant="published"), frames(*sets[1]))
    np.testing.assert_allclose(found["spectrum_padded_distance"], ((test - known.mean(0)) ** 2).sum(1))
    expected = ((test[:, None] - known) ** 2).sum(-1).min(1)
    np.testing.assert_allclose(found["spectrum_padded_nearest"], expected)
    # on a grid of 2 · 3 · 5 · 7 · 9 points these quantile functions are exact
    fine = 1890
    shapes = [np.array([np.repeat(v, fine // len(v)) if len(v) else np.zeros(fine) for v in own[0]])]
    shapes.append(np.array([np.repeat(v, fine // len(v)) if len(v) else np.zeros(fine) for v in own[1]]))
    np.testing.assert_allclose(found["spectrum_wasserstein"], np.abs(shapes[1] - shapes[0].mean(0)).mean(1), atol=1e-12)
    expected = np.abs(shapes[1][:, None] - shapes[0]).mean(-1).min(1)
    np.testing.assert_allclose(found["spectrum_wasserstein_nearest"], expected, atol=1e-12)
    expected = [np.mean(np.abs(v - 1) < 0.1) if len(v) else 0 for v in own[1]]
    np.testing.assert_allclose(found["window_fraction"], expected)


def test_structures_larger_than_every_training_structure_have_a_published_distance():
    """The released code crashes there."""
    known = training(frames(water("a"), water("b")), variant="published")
    found = measure(known, frames(("long", [6] * 40, chain(40))))
    assert np.isfinite(found["spectrum_padded_distance"]).all() and found["spectrum_padded_distance"][0] > 10


def crowd(count):
    rng = np.random.default_rng(2)
    return frames(*((f"m{k}", [6, 1, 8, 1][: 2 + k % 3], rng.normal(size=(2 + k % 3, 3))) for k in range(count)))


def test_blocks_give_the_same_as_the_whole():
    everything = crowd(50)
    parts = [everything.take(np.arange(a, b)) for a, b in ((0, 7), (7, 8), (8, 50))]
    whole, pieces = (measure(training(*blocks), everything, own=True) for blocks in ([everything], parts))
    for name in whole:
        np.testing.assert_allclose(pieces[name], whole[name], atol=1e-12, err_msg=name)


def test_a_sample_of_the_training_structures_is_bounded_seeded_and_fair():
    everything = crowd(60)
    parts = [everything.take(np.arange(k, k + 10)) for k in range(0, 60, 10)]
    drawn = lambda seed, blocks=parts: [*training(*blocks, sample=12, seed=seed).place]
    assert len(drawn(0)) == 12 and drawn(0) == drawn(0) == drawn(0, [everything])
    assert drawn(0) != drawn(1)
    assert len({name for seed in range(40) for name in drawn(seed)}) == 60
    full = training(*parts, sample=60)
    assert [*full.place] == everything.ids.tolist()
    # averages are over all of them all the same
    np.testing.assert_allclose(training(*parts, sample=12).centre.levels, full.centre.levels)
    np.testing.assert_allclose(training(*parts, sample=12).mean, full.mean)


def test_outside_counts_standard_deviations():
    known = np.array([0.0, 2.0])
    values = np.array([-0.5, 1.5, 2.5, np.nan])
    assert distribution.outside(known, values, "both", 1.0).tolist() == [True, False, True, False]
    assert distribution.outside(known, values, "upper", 1.0).tolist() == [False, False, True, False]
    # at the limit, and beside it by rounding
    assert distribution.outside(known, np.nextafter([0.0, 2.0], [-1, 3]), "both", 1.0).tolist() == [False, False]
    constant = 0.3 + 1e-16 * np.arange(9)
    assert not distribution.outside(constant, np.append(constant, 0.3 + 1e-12), "both", 0.5).any()
    assert distribution.outside(constant, np.array([0.3001]), "both", 9.0).all(), "no spread: another value is outside"


def test_tally_of_blocks_is_mean_and_standard_deviation_of_all():
    values = np.random.default_rng(0).normal(3.0, 2.0, 1000)
    values[::7] = np.nan
    tally = distribution.Tally()
    for block in np.split(values, [0, 1, 400, 407]):
        tally.add(block)
    assert tally.n == np.isfinite(values).sum()
    assert tally.mean == pytest.approx(np.nanmean(values), rel=1e-12)
    assert tally.deviation == pytest.approx(np.nanstd(values), rel=1e-12)
    empty = distribution.Tally()
    empty.add(np.array([np.nan]))
    assert empty.n == 0 and np.isnan(empty.mean) and np.isnan(empty.deviation)


@pytest.fixture
def stores(tmp_path):
    """Stores of training and test structures, reference labels, and prior labels with those of rattled copies."""
    rng = np.random.default_rng(7)
    found = {}
    for part in ("train", "test"):
        rows = [(f"{part}{k // 2}", [6, 1, 1, 8][: 3 + k % 2], rng.normal(size=(3 + k % 2, 3))) for k in range(1500)]
        own = frames(*rows)
        own = replace(own, group=np.array([part if part == "train" else f"ood_{k % 2}" for k in range(1500)], object))
        copies = replace(own, ids=own.ids + "~rattled1")
        both = np.arange(3000).reshape(2, -1).T.ravel()  # every structure is followed by its copy
        with_copies = Frames.concatenate([own, copies]).take(both)
        found |= {part: own, f"reference_{part}": labels(own, 2.0), f"prior_{part}": labels(with_copies, 1.0)}
    for name, store in found.items():
        store.save(tmp_path / f"{name}.h5")
    return tmp_path, found


def diagnose(folder, kinds, sample=5000, sigma=1.0, more=()):
    """(shifts, summary, sweep) of the script, or its message; more: further words of its command line."""
    pairs = [(kind, *(folder / f"{kind}_{part}.h5" for part in ("train", "test"))) for kind in kinds]
    outputs = {name: folder / f"{name}.csv" for name in ("output", "summary", "sweep")}
    words = ["--train", folder / "train.h5", "--test", folder / "test.h5", "--cutoff", 1.5, "--variant", "robust"]
    words += ["--sample", sample, "--seed", 0, "--sigma", sigma, *more]
    words += [word for pair in pairs for word in ("--labels", *pair)]
    words += [word for name, path in outputs.items() for word in (f"--{name}", path)]
    command = [sys.executable, ROOT / "workflow/scripts/diagnose_shifts.py", *words]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "workflow")}
    done = subprocess.run([*map(str, command)], env=environment, capture_output=True, text=True)
    return [pd.read_csv(path) for path in outputs.values()] if done.returncode == 0 else done.stderr


def test_the_script_writes_measures_summary_and_sweep(stores):
    folder, made = stores
    table, summary, sweep = diagnose(folder, ["prior", "reference"])
    assert table.id.tolist() == [*made["train"].ids, *made["test"].ids]
    norms = np.concatenate([measures.force_norm(made[f"reference_{part}"]) for part in ("train", "test")])
    np.testing.assert_allclose(table.reference_force_norm_eV_per_A, norms, rtol=1e-6)
    norms = np.concatenate([measures.force_norm(made[f"prior_{part}"])[::2] for part in ("train", "test")])
    np.testing.assert_allclose(table.prior_force_norm_eV_per_A, norms, rtol=1e-6)

    criteria = [name for name in measures.MEASURED if not name.startswith("predicted")]
    assert list(summary.criterion.unique()) == list(sweep.criterion.unique()) == criteria
    assert list(summary.group.unique()) == ["train", "ood_0", "ood_1"]
    known, fractions = table[table.group == "train"], {}
    for row in summary.itertuples():
        chosen = table[table.group == row.group][row.criterion]
        assert row.n_structures == len(chosen) and row.mean == pytest.approx(chosen.mean(), rel=1e-6, abs=1e-9)
        assert row.training_standard_deviation == pytest.approx(known[row.criterion].std(ddof=0), rel=1e-5, abs=1e-8)
        side = CRITERIA[row.criterion].side
        for sigma in (0.5, 1.0, 2.0):
            away = distribution.outside(known[row.criterion].to_numpy(), chosen.to_numpy(), side, sigma)
            fractions[row.group, row.criterion, sigma] = away.mean()
        assert row.fraction_outside == pytest.approx(fractions[row.group, row.criterion, 1.0], abs=2e-3)
    assert list(sweep.columns) == ["group", "criterion", "sigma", "fraction_outside"]
    assert len(sweep) == len(fractions)
    for row in sweep.itertuples():
        assert row.fraction_outside == pytest.approx(fractions[row.group, row.criterion, row.sigma], abs=2e-3)
    assert fractions["ood_0", "n_atoms", 0.5] == 1  # sizes 3 and 4 are one standard deviation from their mean


def test_the_script_needs_no_labels(stores):
    table, summary, _ = diagnose(stores[0], [], sample=10, sigma=2.0)
    assert not [name for name in table.columns if "force" in name]
    assert set(summary.axis) == {"features", "connectivity"}


def test_statistics_stand_for_training_structures_that_are_not_there(stores):
    """With all training structures in the sample nothing changes; without any of them, distances are not there."""
    folder, made = stores
    kinds, path = ["reference"], folder / "training.h5"
    expected = diagnose(folder, kinds, more=["--training", path, "--name", "mine"])
    again = diagnose(folder, kinds, more=["--statistics", path])
    assert "give no training statistics beside them" in again
    made["train"].take([]).save(folder / "train.h5")
    made["reference_train"].take([]).save(folder / "reference_train.h5")
    found = diagnose(folder, kinds, more=["--statistics", path])
    for one, other in zip(found[1:], expected[1:]):
        pd.testing.assert_frame_equal(one, other, rtol=1e-6, atol=1e-12)
    pd.testing.assert_frame_equal(found[0].iloc[1500:], expected[0].iloc[1500:], rtol=1e-6, atol=1e-12)
    assert (found[0].group[:1500] == "train").all() and found[0].id[0] == "statistics:0"
    saved = Statistics.load(path, Spectra(1.5, "robust"))
    assert saved.name == "mine" and saved.training.number == 1500
    assert saved.training.checksum == training(*expected_blocks(made), cutoff=1.5).checksum
    with pytest.raises(UserError, match=r"robust at 1.5 Å, those of this run robust at 2 Å; set"):
        Statistics.load(path, Spectra(2.0, "robust"))
    bytes_of = path.read_bytes()
    saved.save(path)
    assert path.read_bytes() == bytes_of

    # what these statistics do not know
    shifts, summary, _ = diagnose(folder, ["reference", "prior"], more=["--statistics", path])
    prior = summary[summary.criterion == "prior_force_norm_eV_per_A"]
    assert prior.fraction_outside.isna().all() and prior.n_structures.tolist() == [0, 750, 750]
    table, summary, sweep = diagnose(folder, kinds)
    measured = ["n_atoms", "reference_force_norm_eV_per_A", "window_fraction"]
    assert list(table.columns[3:]) == list(summary.criterion.unique()) == measured and len(table) == 1500
    assert set(summary.group) == {"ood_0", "ood_1"} and summary["mean"].notna().all()
    assert summary[["training_mean", "fraction_outside"]].isna().all(axis=None) and sweep.fraction_outside.isna().all()


def expected_blocks(made):
    """The training structures of the stores, in two blocks."""
    everything = made["train"]
    return everything.take(np.arange(700)), everything.take(np.arange(700, 1500))


def test_labels_of_other_structures_are_refused_with_one_line(stores):
    folder, made = stores
    made["prior_test"].take(np.arange(10, 3000)).save(folder / "prior_test.h5")
    message = diagnose(folder, ["prior"])
    assert "prior_test.h5: no label of structure test00" in message and "Traceback" not in message


RADII = np.linspace(1.0, 6.0, 6)
FALLBACK = radius.Rule(sigma=1.0, above=False)


def test_training_structures_keep_their_cutoff():
    train = frames(*((name, [6] * 5, chain(5)) for name in "abc"))
    for rule in (radius.Rule(), FALLBACK):
        choice = radius.choose(train, train, 3.0, RADII, rule)
        np.testing.assert_allclose(choice.chosen, 3.0)
        np.testing.assert_allclose(choice.at_trained, 0.0, atol=1e-12)


def test_compressed_chain_is_rewired_to_the_training_graph():
    """The same chain at half the spacing has the training spectrum at half the cutoff."""
    train = frames(*((name, [6] * 6, chain(6, spacing)) for name, spacing in (("a", 1.2), ("b", 1.25))))
    test = frames(("squeezed", [6] * 6, chain(6, 0.6)))
    for rule in (radius.Rule(), FALLBACK):
        choice = radius.choose(train, test, 3.0, [1.5, 2.0, 3.0, 4.0], rule)
        assert choice.nearest[0] == choice.chosen[0] == 1.5 and choice.reason == [""]
        assert choice.distance[0, 0] == pytest.approx(0.0, abs=1e-12)


def test_fallback_never_exceeds_the_trained_cutoff_nor_refines_larger_structures():
    train = frames(("a", [6] * 4, chain(4)), ("b", [6] * 5, chain(5)))
    rng = np.random.default_rng(0)
    test = frames(*((f"t{k}", [6] * n, rng.normal(scale=2, size=(n, 3))) for k, n in enumerate((3, 5, 8, 12))))
    choice = radius.choose(train, test, 3.0, RADII, FALLBACK)
    assert (choice.chosen <= 3.0).all()
    assert choice.chosen[2:].tolist() == [3.0, 3.0]
    assert choice.reason[3].startswith("larger")
    assert [r == "" for r in choice.reason] == (choice.chosen != 3.0).tolist()


def test_radii_must_be_positive():
    train = frames(("a", [6] * 4, chain(4)))
    with pytest.raises(UserError, match="radii"):
        radius.choose(train, train, 3.0, [0.0, 1.0])
