"""Diagnosis of a model: known answers of the statistics."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from mlipshift.base.averages import mean_norm
from mlipshift.base.frames import Frames, Labels
from mlipshift.base.predictions import Predictions
from mlipshift.evaluate import diagnosis, statistics
from mlipshift.shift import measures

BOOTSTRAP = {"resamples": 200, "seed": 0}


def molecules_of(count, size):
    return np.repeat([f"m{k}" for k in range(count)], size).astype(object)


def frames(sizes):
    return Frames.build(
        {
            "id": f"s{k}",
            "group": "id_test",
            "molecule": f"m{k}",
            "numbers": [1] * n,
            "positions": np.eye(3)[[0] * n] * np.arange(n)[:, None],
            "charge": 0,
            "multiplicity": 1 + n % 2,
        }
        for k, n in enumerate(sizes)
    )


def test_the_error_is_the_mean_over_components_and_missing_where_either_side_is():
    some = frames([2, 3, 1])
    label = lambda value: [(0.0, np.full((n, 3), value)) for n in some.sizes]
    reference = label(1.0)
    reference[1] = None
    rows = [([e], f[None]) for e, f in label(1.1)]
    rows[2] = None
    predictions = Predictions.build(some, rows, [0], 5.0, "m", 0)
    errors = diagnosis.errors_of(predictions, Labels.build(some, reference, "reference"))
    assert errors[0] == pytest.approx(100.0) and np.isnan(errors[1:]).all()
    norms = mean_norm(predictions.forces[-1], predictions.offsets)
    assert norms[:2] == pytest.approx(1.1 * 3**0.5) and np.isnan(norms[2])


def test_therank_correlation_is_that_of_scipy_with_ties_and_resampled_molecules():
    rng = np.random.default_rng(1)
    names = molecules_of(12, 5)
    values = rng.integers(0, 8, 60).astype(float)
    errors = np.round(values + rng.normal(0, 3, 60))
    found, low, high = statistics.spearman(values, errors, names, 400, 0)
    assert found == pytest.approx(spearmanr(values, errors).statistic)
    assert low < found < high

    # every resample of molecules is the correlation of the structures it repeats
    counts = rng.integers(0, 4, 60)
    codes = [np.unique(v, return_inverse=True)[1] for v in (values, errors)]
    repeated = spearmanr(np.repeat(values, counts), np.repeat(errors, counts)).statistic
    assert statistics.rank_correlation(*codes, counts.astype(float)) == pytest.approx(repeated)


def test_the_interval_of_therank_correlation_knows_that_geometries_of_a_molecule_are_not_independent():
    rng = np.random.default_rng(2)
    names = molecules_of(6, 30)
    values = np.repeat(rng.normal(size=6), 30) + rng.normal(0, 0.01, 180)
    errors = np.repeat(rng.normal(size=6), 30) + rng.normal(0, 0.01, 180)
    width = lambda clusters: np.ptp(statistics.spearman(values, errors, clusters, 300, 0)[1:])
    assert width(names) > 3 * width(np.arange(180).astype(str))
    assert np.isnan(statistics.spearman(values, errors, np.full(180, "one"), 300, 0)[1:]).all()


def test_the_area_finds_the_worst_tenth_and_counts_ties_by_half():
    rng = np.random.default_rng(11)
    names = molecules_of(20, 5)
    errors = rng.permutation(100).astype(float)
    bad = errors >= 90
    assert (statistics.worst(errors) == bad).all() and statistics.worst(np.ones(7)).all()
    area = lambda values: statistics.auroc(values, errors, names, 200, 0)
    assert area(errors)[0] == 1 and area(-errors)[0] == 0
    assert area(np.ones(100))[0] == area(1 + 1e-16 * rng.normal(size=100))[0] == 0.5
    values = np.round(errors / 20 + rng.normal(0, 2, 100))
    wins = (values[bad][:, None] > values[~bad]) + 0.5 * (values[bad][:, None] == values[~bad])
    found, low, high = area(values)
    assert found == pytest.approx(wins.mean()) and low < found < high
    assert np.isnan(statistics.auroc(values, np.ones(100), names, 9, 0)[0]), "constant errors have no worst"


def test_differences_of_rounding_are_ties():
    rng = np.random.default_rng(12)
    values, errors = np.repeat([1.0, 3.0, 2.0], 20), rng.uniform(1, 2, 60)
    noise = lambda x: x * (1 + 4e-16 * rng.integers(-1, 2, len(x)))
    exact, noisy = (statistics.spearman(v, errors, molecules_of(12, 5), 50, 0) for v in (values, noise(values)))
    assert exact == noisy and exact[0] == pytest.approx(spearmanr(values, errors).statistic)
    assert np.isnan(statistics.spearman(noise(np.ones(60)), errors, molecules_of(12, 5), 50, 0)[0])
    side = (errors, molecules_of(12, 5))
    constant = {"composition_distance": (noise(np.full(40, 1 / 3)), noise(np.full(60, 1 / 3)))}
    (row,) = diagnosis.in_and_out(constant, *side, 1.0, **BOOTSTRAP)
    assert (row["n_inside"], row["n_outside"]) == (60, 0)
    (row,) = diagnosis.binned(constant, *side, **BOOTSTRAP)
    assert row["bin_right"] - row["bin_left"] == 1 and row["n_structures"] == 60
    several = {"composition_distance": (noise(values), noise(values))}
    assert [row["n_structures"] for row in diagnosis.binned(several, *side, **BOOTSTRAP)] == [20, 20, 20]
    # errors that vanish by symmetry have no order
    rows = diagnosis.ranks({"composition_distance": (values, values)}, values * 1e-8, side[1], **BOOTSTRAP)
    assert np.isnan(rows[0]["spearman"])


def test_a_criterion_is_ranked_as_validation_groups_say_that_it_is_used():
    rng = np.random.default_rng(3)
    names, validation = molecules_of(40, 4), np.arange(160) < 80
    known = rng.normal(5, 1, 100)
    values = rng.uniform(-5, 15, 160)
    noise = rng.uniform(0, 1, 160)
    errors = 100 + 10 * np.abs(values - known.mean()) + noise
    errors[97] = np.nan
    measures = {
        "n_atoms": (known, values),
        "window_fraction": (known, -errors),
        "prior_force_norm_eV_per_A": (known, errors),
        "composition_distance": (known, rng.normal(size=160)),
        "unseen_element_fraction": (np.zeros(100), np.zeros(160)),
    }
    rows = diagnosis.ranks(measures, errors, names, **BOOTSTRAP, validation=validation)
    found = {row["criterion"]: row for row in rows}
    assert [found[name]["direction"] for name in measures] == ["either", "smaller", "larger", "larger", "larger"]
    assert [found[name]["n_validation"] for name in measures][:4] == [80, 80, 80, 0]
    assert found["n_atoms"]["spearman"] > 0.99 and found["window_fraction"]["spearman"] == 1
    assert rows[-1]["criterion"] == "unseen_element_fraction" and np.isnan(rows[-1]["spearman"]), "a constant"
    assert all(row["n_structures"] == 79 for row in rows), "not those that chose the direction"
    assert not any(row["needs_labels"] for row in rows)

    # without validation groups it is the value itself, with its sign: nothing told it beforehand
    for nobody in (None, np.zeros(160, dtype=bool), np.arange(160) < 5, np.ones(160, dtype=bool)):
        rows = diagnosis.ranks(measures, errors, names, **BOOTSTRAP, validation=nobody)
        found = {row["criterion"]: row for row in rows}
        assert found["window_fraction"]["spearman"] == -1 and abs(found["n_atoms"]["spearman"]) < 0.4
        assert found["window_fraction"]["auroc"] == 0 and found["prior_force_norm_eV_per_A"]["auroc"] == 1
        assert {row["n_validation"] for row in rows} == {0}
        assert {rows[0]["criterion"], rows[1]["criterion"]} == {"window_fraction", "prior_force_norm_eV_per_A"}


def test_errors_inside_and_outside_are_told_apart_at_sigma():
    known = np.array([-1.0, 1.0])  # mean 0, standard deviation 1
    values = np.array([0.0, 0.5, 1.5, -1.5, 3.0, np.nan])
    errors = np.array([10.0, 20.0, 30.0, 50.0, np.nan, 70.0])
    names = np.array(list("abcdef"), dtype=object)
    row = {
        side: diagnosis.in_and_out({name: (known, values)}, errors, names, 1.0, **BOOTSTRAP)[0]
        for name, side in (("n_atoms", "both"), ("composition_distance", "upper"))
    }
    assert (row["both"]["n_inside"], row["both"]["n_outside"]) == (2, 2)
    assert row["both"]["ratio"] == pytest.approx(40 / 15)
    assert (row["upper"]["n_inside"], row["upper"]["n_outside"]) == (3, 1)
    far = diagnosis.in_and_out({"n_atoms": (known, values)}, errors, names, 9.0, **BOOTSTRAP)[0]
    assert far["n_outside"] == 0 and np.isnan(far["ratio"])
    unknown = diagnosis.in_and_out({"n_atoms": (np.full(2, np.nan), values)}, errors, names, 1.0, **BOOTSTRAP)[0]
    assert (unknown["n_inside"], unknown["n_outside"]) == (0, 0), "nothing is inside what is not known"


def test_bins_hold_every_structure_once_over_a_density_of_one():
    rng = np.random.default_rng(4)
    known, values = rng.normal(0, 1, 500), np.append(rng.normal(1, 1, 299), 40.0)
    errors = rng.uniform(1, 2, 300)
    errors[::3] = np.nan
    names = molecules_of(100, 3)
    table = pd.DataFrame(diagnosis.binned({"n_atoms": (known, values)}, errors, names, **BOOTSTRAP))
    assert len(table) == diagnosis.BINS and table.n_test.sum() == 300 and table.n_structures.sum() == 200
    assert (table.training_density * (table.bin_right - table.bin_left)).sum() == pytest.approx(1)
    assert table.bin_right.max() == 40 and table.bin_right.iloc[-2] < 5, "one far structure leaves the others apart"
    weighted = (table.mean_meV_per_A * table.n_structures).sum() / 200
    assert weighted == pytest.approx(np.nanmean(errors))

    atoms = diagnosis.binned({"n_atoms": (np.array([3.0, 4.0]), np.array([4.0, 6.0, 6.0]))}, *[errors[:3]] * 2, 9, 0)
    assert [(row["bin_left"], row["bin_right"], row["n_test"]) for row in atoms] == [
        (2.5, 3.5, 0),
        (3.5, 5.0, 1),
        (5.0, 7.0, 2),
    ]


def test_the_map_keeps_distances_of_a_plane_and_the_nearest_is_not_the_structure_itself():
    rng = np.random.default_rng(5)
    plane = rng.normal(size=(2, 16))
    train, test = rng.normal(size=(30, 2)) @ plane, rng.normal(size=(20, 2)) @ plane + 3 * plane[0]
    test[4] = np.nan
    first, second, explained = diagnosis.embedding_map(train, test)
    assert explained.sum() == pytest.approx(1) and explained[0] >= explained[1]
    kept = np.linalg.norm(first[:, None] - second[None], axis=-1)
    apart = np.linalg.norm(train[:, None] - test[None], axis=-1)
    assert np.allclose(kept, apart, equal_nan=True) and np.isnan(second[4]).all()
    again = diagnosis.embedding_map(train, test)
    assert np.array_equal(first, again[0]) and np.array_equal(second, again[1], equal_nan=True)

    nothing = np.full(20, -1)
    assert np.allclose(measures.nearest(test, train, nothing), apart.min(axis=0), equal_nan=True)
    rows = np.array([[0.0], [0.1], [5.0]])
    assert measures.nearest(rows, rows, np.arange(3)) == pytest.approx([0.1, 0.1, 4.9])


def test_structures_are_resampled_where_there_is_one_molecule_alone():
    ids = np.array([f"s{k}" for k in range(40)], dtype=object)
    several, one = molecules_of(8, 5), np.full(40, "m", dtype=object)
    assert statistics.resampled(several, ids) == ("molecules", several)
    what, units = statistics.resampled(one, ids)
    assert what == "structures"
    values = np.arange(40.0)
    errors = values + np.random.default_rng(8).normal(0, 5, 40)
    side = ({"n_atoms": (values, values)}, errors, one)
    (alone,), (row,) = (diagnosis.ranks(*side, **BOOTSTRAP, clusters=c) for c in (None, units))
    assert np.isnan(alone["ci_low"]) and row["ci_low"] < row["spearman"] < row["ci_high"]
    assert row["n_molecules"] == 1 and row["spearman"] == alone["spearman"]
    table = pd.DataFrame(diagnosis.binned(*side, **BOOTSTRAP, clusters=units))
    assert (table.n_molecules == 1).all() and (table.n_resampled == table.n_structures).all()
    assert table.ci_low_meV_per_A.notna().all()
