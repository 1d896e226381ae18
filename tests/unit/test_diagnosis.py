"""Diagnosis of a model: known answers of the statistics, and the sentences and figures that follow from them."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from mlipshift.base.frames import Frames, Labels, Predictions
from mlipshift.base.tables import read_table, write_table
from mlipshift.evaluate import diagnosis, statistics
from mlipshift.shift import measures
from mlipshift.shift.measures import CRITERIA
from mlipshift.show import plotting_shift, reporting_shift

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
    norms = measures.mean_norm(predictions.forces[-1], predictions.offsets)
    assert norms[:2] == pytest.approx(1.1 * 3**0.5) and np.isnan(norms[2])


def test_the_rank_correlation_is_that_of_scipy_with_ties_and_resampled_molecules():
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
    assert statistics._rank_correlation(*codes, counts.astype(float)) == pytest.approx(repeated)


def test_the_interval_of_the_rank_correlation_knows_that_geometries_of_a_molecule_are_not_independent():
    rng = np.random.default_rng(2)
    names = molecules_of(6, 30)
    values = np.repeat(rng.normal(size=6), 30) + rng.normal(0, 0.01, 180)
    errors = np.repeat(rng.normal(size=6), 30) + rng.normal(0, 0.01, 180)
    width = lambda clusters: np.ptp(statistics.spearman(values, errors, clusters, 300, 0)[1:])
    assert width(names) > 3 * width(np.arange(180).astype(str))
    assert np.isnan(statistics.spearman(values, errors, np.full(180, "one"), 300, 0)[1:]).all()


def test_the_best_predictor_comes_first_and_both_sides_of_the_mean_count_as_far():
    rng = np.random.default_rng(3)
    names = molecules_of(20, 4)
    known = rng.normal(5, 1, 100)
    values = rng.uniform(-5, 15, 80)
    errors = 10 * np.abs(values - known.mean()) + rng.uniform(0, 1, 80)
    errors[7] = np.nan
    measures = {
        "n_atoms": (known, values),
        "composition_distance": (known, rng.normal(size=80)),
        "unseen_element_fraction": (np.zeros(100), np.zeros(80)),
    }
    rows = diagnosis.ranks(measures, errors, names, **BOOTSTRAP)
    assert [row["criterion"] for row in rows] == ["n_atoms", "composition_distance", "unseen_element_fraction"]
    assert rows[0]["spearman"] > 0.99 and rows[0]["n_structures"] == 79 and rows[0]["axis"] == "features"
    assert np.isnan(rows[-1]["spearman"]), "a constant predicts nothing"
    assert not any(row["needs_labels"] for row in rows)


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


def test_the_map_keeps_distances_of_a_plane_and_the_nearest_is_of_another_molecule():
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

    assert np.allclose(measures.nearest(test, train), apart.min(axis=0), equal_nan=True)
    rows, names = np.array([[0.0], [0.1], [5.0]]), np.array(["a", "a", "b"])
    assert measures.nearest(rows, rows, names=names, known_names=names) == pytest.approx([5.0, 4.9, 4.9])


@pytest.fixture(params=["labelled", "unlabelled", "one axis"])
def folder(request, tmp_path):
    """(kind, folder) of the tables of a made-up model: all labels, none, or one criterion alone."""
    rng = np.random.default_rng(6)
    names, group = molecules_of(20, 3), np.repeat(["id_test", "ood_larger"], 30).astype(object)
    columns = ["window_fraction"] if request.param == "one axis" else list(CRITERIA)
    measures = {name: (rng.normal(1, 0.2, 40), rng.normal(1.2, 0.4, 60)) for name in columns}
    measures["embedding_distance"] = (rng.uniform(0, 1, 40), rng.uniform(0, 3, 60))
    errors = 50 + 100 * measures["embedding_distance"][1] + rng.uniform(0, 9, 60)
    if request.param == "unlabelled":
        errors = np.full(60, np.nan)
    side = (measures, errors, names)
    everything = np.concatenate([np.full(40, np.nan), errors])
    groups, owners = np.append(["train"] * 40, group), np.append(["t"] * 40, names)
    ids = [f"s{k}" for k in range(100)]
    known, fraction = measures["window_fraction"][0], np.concatenate(measures["window_fraction"])
    about = [{"id": i, "group": g, "molecule": m} for i, g, m in zip(ids, groups, owners)]
    points = [dict(zip(("component_1", "component_2"), xy)) for xy in rng.normal(size=(100, 2))]
    tables = {
        "errors": [row | {"force_mae_meV_per_A": e} for row, e in zip(about, everything)],
        "axes": diagnosis.in_and_out(*side, 1.0, **BOOTSTRAP),
        "bins": diagnosis.binned(*side, **BOOTSTRAP),
        "ranks": diagnosis.ranks(*side, **BOOTSTRAP),
        "groups": diagnosis.by_group(groups, owners, fraction, known, everything, 1.0, **BOOTSTRAP),
        "embedding": [row | xy for row, xy in zip(about, points)],
    }
    for name, rows in tables.items():
        write_table(tmp_path / f"{name}.csv", rows)
    summary = {
        "model": "m",
        "n_train": 40,
        "n_test": 60,
        "resampled": "molecules",
        "n_errors": int(np.isfinite(errors).sum()),
        "explained_variance": [0.6, 0.3],
        "missing": ["Something."],
    }
    (tmp_path / "diagnosis.json").write_text(json.dumps(summary))
    return request.param, tmp_path


def test_figures_and_report_say_what_the_tables_allow(folder, tmp_path):
    kind, place = folder
    tables = {path.stem: read_table(path) for path in place.glob("*.csv")}
    summary = json.loads((place / "diagnosis.json").read_text())
    drawn = plotting_shift.of_model(tables, summary, "A model")
    errors = {"fig_error_axes", "fig_rank_correlations"}
    assert set(drawn) == {"fig_embedding"} | (set() if kind == "unlabelled" else errors)
    for _, caption in drawn.values():
        assert "A model" in caption and "60 test structures" in caption
    if kind != "unlabelled":
        assert drawn["fig_rank_correlations"][1].count("20 molecules") == 1
        panels = [axes for axes in drawn["fig_error_axes"][0].axes if axes.get_title(loc="left")]
        assert len(panels) == (1 if kind == "one axis" else 3)

    found = reporting_shift.model("A model", place, place / "none")
    assert found["missing"] == ["Something."]
    if kind == "unlabelled":
        assert found["best"] == "" and found["axes"] is None and found["ranks"] is None
    else:
        assert found["best"].startswith("The error rises most clearly with “Distance to the nearest training")
        assert len(found["ranks"]["rows"]) == len(tables["ranks"])
    assert [row[0]["text"] for row in found["groups"]["rows"]] == ["Training", "In distribution", "Larger molecules"]


def test_structures_are_resampled_where_there_is_one_molecule_alone():
    ids = np.array([f"s{k}" for k in range(40)], dtype=object)
    several, one = molecules_of(8, 5), np.full(40, "m", dtype=object)
    assert statistics.resampled(several, ids) == ("molecules", several)
    what, units = statistics.resampled(one, ids)
    assert what == "structures" and "geometries of one molecule" in plotting_shift.interval_of(what)
    values = np.arange(40.0)
    errors = values + np.random.default_rng(8).normal(0, 5, 40)
    side = ({"n_atoms": (values, values)}, errors, one)
    (alone,), (row,) = (diagnosis.ranks(*side, **BOOTSTRAP, clusters=c) for c in (None, units))
    assert np.isnan(alone["ci_low"]) and row["ci_low"] < row["spearman"] < row["ci_high"]
    assert row["n_molecules"] == 1 and row["spearman"] == alone["spearman"]
    table = pd.DataFrame(diagnosis.binned(*side, **BOOTSTRAP, clusters=units))
    assert (table.n_molecules == 1).all() and (table.n_resampled == table.n_structures).all()
    assert table.ci_low_meV_per_A.notna().all()


def test_models_stand_side_by_side_with_the_structures_that_each_could_take(folder):
    kind, place = folder
    one = reporting_shift.model("One", place, place / "none", ["m: 100 structures, none excluded"])
    assert one["notes"] == ["100 structures, none excluded"]
    other = one | {"title": "Other", "errors": one["errors"].drop(index="ood_larger")}
    found = reporting_shift.side_by_side([one, other])
    if kind == "unlabelled":
        assert found is None
        return
    assert found["head"] == ["Model", "In distribution", "Larger molecules"], "no column for what has no error"
    (_, first, second), (_, again, absent) = [[c["text"] for c in row] for row in found["rows"]]
    assert first == again and first.endswith("(30)") and second.endswith("(30)") and absent == "–"


def test_the_sweep_has_a_share_for_every_limit():
    rows = [("ood_new", "n_atoms", s, f) for s, f in ((0.5, 0.62), (1.0, 0.055), (2.0, 0.0))]
    columns = ["group", "criterion", "sigma", "fraction_outside"]
    table = pd.DataFrame([("train", *row[1:]) for row in rows] + rows, columns=columns)
    found = reporting_shift.sweep_table(table)
    assert found["head"] == ["Measure", "Held out: new"] and found["sigmas"] == "0.5, 1 and 2"
    assert [c["text"] for c in found["rows"][0]] == ["Number of atoms", "62 / 5.5 / 0 %"]


def test_measures_that_are_the_same_for_all_structures_are_named_and_not_drawn():
    rng = np.random.default_rng(9)
    table = pd.DataFrame({"id": [f"s{k}" for k in range(60)], "group": ["train"] * 20 + ["ood_new"] * 40})
    table = table.assign(n_atoms=15.0, window_fraction=rng.uniform(0, 1, 60), composition_distance=0.0)
    figure, caption = plotting_shift.criteria({"shifts": table}, 1.0)
    assert [a.get_title(loc="left") for a in figure.axes if a.get_visible()] == ["Eigenvalues in [0.9, 1.1]"]
    assert "same for all structures: distance of the composition and number of atoms." in caption

    known, values = np.full(20, 15.0), np.full(40, 15.0)
    measures = {"n_atoms": (known, values), "window_fraction": (rng.uniform(0, 1, 20), rng.uniform(0, 1, 40))}
    rows = diagnosis.binned(measures, rng.uniform(1, 2, 40), molecules_of(10, 4), **BOOTSTRAP)
    assert plotting_shift.chosen(pd.DataFrame(rows)) == {"connectivity": "window_fraction"}


def test_a_correlation_that_may_be_zero_is_not_called_a_predictor():
    rows = pd.DataFrame([{"criterion": "n_atoms", "spearman": 0.3, "ci_low": -0.1, "ci_high": 0.6}])
    assert reporting_shift.best(rows).startswith("No measure of shift is shown to rise with the error")
    assert "none can predict it" in reporting_shift.best(rows.assign(spearman=np.nan))


def test_every_criterion_has_a_name_and_an_axis():
    for name in diagnosis.CRITERIA:
        assert plotting_shift.NAMES[name] != name
        assert diagnosis.CRITERIA[name][0] in plotting_shift.AXIS_NAMES
