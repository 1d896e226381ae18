"""Figures and page of a diagnosis: what they say follows from the tables."""

import json

import numpy as np
import pandas as pd
import pytest

from drawn import faults
from mlipshift.base.tables import read_table, write_table
from mlipshift.catalogue.captions import filled
from mlipshift.catalogue.criteria import CRITERIA
from mlipshift.catalogue.figures import DIAGNOSIS
from mlipshift.evaluate import diagnosis
from mlipshift.show import drawing
from mlipshift.show.figures import fig_error_axes
from mlipshift.show.report import diagnosis as diagnosis_page
from mlipshift.show.report import shifts

BOOTSTRAP = {"resamples": 200, "seed": 0}
MEASURED = [key for key in CRITERIA if key != "embedding_distance"]


def molecules_of(count, size):
    return np.repeat([f"m{k}" for k in range(count)], size).astype(object)


def draw(name, paths, about):
    """(figure, caption), None where there is nothing to draw; no text leaves a figure."""
    drawn = drawing.draw(name, paths, DIAGNOSIS[name].title, about)
    assert drawn is None or faults(drawn[0]) == [], name
    return drawn and (drawn[0], filled(DIAGNOSIS[name].caption, drawn[1]))


def draw_all(folder):
    """{name: (figure, caption)} of the figures of a model, from the folder of its tables."""
    about = json.loads((folder / "diagnosis.json").read_text()) | {"title": "A model"}
    names = [name for name in DIAGNOSIS if name != "fig_criteria"]
    found = {name: draw(name, drawing.find_tables([folder]), about) for name in names}
    return {name: drawn for name, drawn in found.items() if drawn}


@pytest.fixture(params=["labelled", "unlabelled", "one axis"])
def folder(request, tmp_path):
    """(kind, folder) of the tables of a made-up model: all labels, none, or one criterion alone."""
    rng = np.random.default_rng(6)
    names, group = molecules_of(20, 3), np.repeat(["id_test", "ood_larger"], 30).astype(object)
    columns = ["window_fraction"] if request.param == "one axis" else MEASURED
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
    drawn = draw_all(place)
    errors = {"fig_error_axes", "fig_rank_correlations"}
    assert set(drawn) == {"fig_embedding"} | (set() if kind == "unlabelled" else errors)
    for _, caption in drawn.values():
        assert "A model" in caption and "60 test structures" in caption
    if kind != "unlabelled":
        assert drawn["fig_rank_correlations"][1].count("20 molecules") == 1
        panels = [axes for axes in drawn["fig_error_axes"][0].axes if axes.get_title(loc="left")]
        assert len(panels) == (1 if kind == "one axis" else 3)

    found = diagnosis_page.model("A model", place, place / "none")
    assert found["missing"] == ["Something."]
    if kind == "unlabelled":
        assert found["best"] == "" and found["axes"] is None and found["ranks"] is None
    else:
        assert found["best"].startswith("The error rises most clearly with “Distance to the nearest training")
        assert len(found["ranks"]["rows"]) == len(tables["ranks"])
    assert [row[0]["text"] for row in found["groups"]["rows"]] == ["Training", "In distribution", "Larger molecules"]


def test_models_stand_side_by_side_with_the_structures_that_each_could_take(folder):
    kind, place = folder
    one = diagnosis_page.model("One", place, place / "none", ["m: 100 structures, none excluded"])
    assert one["notes"] == ["100 structures, none excluded"]
    other = one | {"title": "Other", "errors": one["errors"].drop(index="ood_larger")}
    found = diagnosis_page.side_by_side([one, other])
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
    found = diagnosis_page.sweep_table(table)
    assert found["head"] == ["Measure", "Held out: new"] and found["sigmas"] == "0.5, 1 and 2"
    assert [c["text"] for c in found["rows"][0]] == ["Number of atoms", "62 / 5.5 / 0 %"]


def summary_of(**criteria):
    """Table of the shares outside; criteria: {name: (training mean, deviation, {group: (mean, share, structures)})}."""
    columns = ["criterion", "group", "mean", "fraction_outside", "n_structures", "training_mean"]
    columns += ["training_standard_deviation"]
    rows = [
        (name, group, *own, mean, deviation)
        for name, (mean, deviation, groups) in criteria.items()
        for group, own in groups.items()
    ]
    return pd.DataFrame(rows, columns=columns)


def test_every_group_has_one_sentence_that_its_numbers_allow():
    groups = lambda train, big, same: {"train": (*train, 90), "ood_big": (*big, 60), "id_test": (*same, 40)}
    table = summary_of(
        n_atoms=(9.0, 3.0, groups((9.0, 0.2), (24.2, 0.92), (10.0, 0.25))),
        unseen_element_fraction=(0.0, 0.0, groups((0.0, 0.0), (0.0, 0.0), (0.1, 0.5))),
        reference_force_norm_eV_per_A=(2.0, 0.5, groups((2.0, 0.3), (1.2, 0.6), (2.2, 0.3))),
        composition_distance=(1e-17, 0.0, groups((0.0, 0.0), (np.nan, np.nan), (1e-12, 0.0))),
    )
    same, big = (found["text"] for found in shifts.sentences(table))
    assert big == (
        "60 structures, larger than in training (mean 24.2 atoms; training 9 ± 3), no unseen elements and smaller"
        " forces than in training (mean 1.2 eV/Å in reference forces; training 2 ± 0.5). Outside the training"
        " distribution: 92 % by size (training: 20 %) and 60 % by forces (training: 30 %); by elements as training"
        " structures themselves."
    )
    assert same.startswith(
        "40 structures, as large as in training, with elements that training does not have and forces"
    )
    assert same.endswith("50 % by elements; by size, composition and forces as training structures themselves.")
    mixed = table.assign(**{"mean": table["mean"].where(table.group != "ood_big", table.training_mean)})
    assert "larger or smaller than in training (mean 9 atoms" in shifts.sentences(mixed)[1]["text"]
    alike = shifts.sentences(table[table.criterion == "n_atoms"])[0]["text"]
    assert alike.endswith("By size they lie outside no more often than training structures themselves.")

    said = shifts.unsaid(table)
    assert [text.split(":")[0] for text in said] == [
        "All training structures have the same value of “Distance of the composition”"
    ]
    few = summary_of(n_atoms=(3.0, 0.0, {"train": (3.0, 0.0, 1), "ood_big": (5.0, 1.0, 4)}))
    said = " ".join(shifts.unsaid(few))
    for words in (
        "Nothing is said of forces",
        "Training has 1 structure alone",
        "same value of “Number of atoms”",
        "(4)",
    ):
        assert words in said
    untrained = table[table.group != "train"].assign(training_mean=np.nan, fraction_outside=np.nan)
    same, big = (found["text"] for found in shifts.sentences(untrained))
    assert big.startswith("60 structures, mean 24.2 atoms") and "training" not in big.replace("that training does", "")
    assert shifts.unsaid(untrained)[0].startswith("No training data given")
    gaps = pd.concat([table, summary_of(prior_force_norm_eV_per_A=(2.0, 0.5, groups((2, 0.3), (2, 0.3), (2, 0.3))))])
    gaps.loc[(gaps.criterion == "prior_force_norm_eV_per_A") & (gaps.group == "ood_big"), "n_structures"] = 51
    assert "is not known of 9 of 60 structures of Held out: big" in " ".join(shifts.unsaid(gaps))


def test_errors_that_vanish_by_symmetry_do_not_stretch_an_axis(folder):
    """Means of 1e-5 meV/Å beside those of 100: at the end of the axis, and said."""
    kind, place = folder
    if kind == "unlabelled":
        return
    bins = read_table(place / "bins.csv")
    chosen = (bins.criterion == "window_fraction") & (bins.n_structures > 0)
    bins.loc[bins[chosen].index[:2], ["mean_meV_per_A", "ci_low_meV_per_A", "ci_high_meV_per_A"]] = 1e-5
    errors = read_table(place / "errors.csv")
    errors.loc[errors.force_mae_meV_per_A.dropna().index[:9], "force_mae_meV_per_A"] = [0.0, *[1e-6] * 8]
    write_table(place / "bins.csv", bins)
    write_table(place / "errors.csv", errors)
    drawn = draw_all(place)
    figure = drawn["fig_error_axes"][0]
    first = next(axes for axes in figure.axes if axes.get_ylabel().startswith("Force"))
    assert "smaller ones below" in first.get_ylabel() and first.get_ylim()[0] > 0.05
    assert "60 of them" in drawn["fig_embedding"][1], "an error of zero is an error"
    bar = next(axes for axes in drawn["fig_embedding"][0].axes if "log scale" in axes.get_ylabel())
    assert bar.get_ylim()[0] > 0.05


def test_measures_that_are_the_same_for_all_structures_are_named_and_not_drawn(tmp_path):
    rng = np.random.default_rng(9)
    table = pd.DataFrame({"id": [f"s{k}" for k in range(60)], "group": ["train"] * 20 + ["ood_new"] * 40})
    noise = 1 / 3 + 1e-16 * rng.integers(-3, 4, 60)  # a constant but for rounding
    table = table.assign(n_atoms=15.0, window_fraction=rng.uniform(0, 1, 60), composition_distance=noise)
    table.to_csv(tmp_path / "shifts.csv", index=False)
    figure, caption = draw("fig_criteria", drawing.find_tables([tmp_path]), {"sigma": 1.0})
    assert [a.get_title(loc="left") for a in figure.axes if a.get_visible()] == ["Eigenvalues in [0.9, 1.1]"]
    assert "same for all structures: distance of the composition and number of atoms." in caption

    known, values = np.full(20, 15.0), np.full(40, 15.0)
    measures = {"n_atoms": (known, values), "window_fraction": (rng.uniform(0, 1, 20), rng.uniform(0, 1, 40))}
    rows = diagnosis.binned(measures, rng.uniform(1, 2, 40), molecules_of(10, 4), **BOOTSTRAP)
    assert fig_error_axes.chosen(pd.DataFrame(rows)) == {"connectivity": "window_fraction"}


def test_a_correlation_that_may_be_zero_is_not_called_a_predictor():
    row = {"criterion": "n_atoms", "direction": "larger", "n_validation": 0, "spearman": 0.3, "ci_low": -0.1}
    row |= {"ci_high": 0.6, "auroc": 0.61, "auroc_ci_low": 0.4, "auroc_ci_high": 0.8}
    rows, best = pd.DataFrame([row]), diagnosis_page.best
    assert best(rows).startswith("No measure of shift is shown to rise or fall with the error")
    assert "none can predict it" in best(rows.assign(spearman=np.nan))
    # what validation groups did not say is not claimed to have been known
    found = rows.assign(spearman=-0.6, ci_low=-0.8, ci_high=-0.3)
    assert best(found).startswith("The error falls most clearly with “Number of atoms”: rank correlation −0.60 [−0.80,")
    assert best(found).endswith("a guess has 0.5. No validation group told that sign beforehand.")
    assert best(found.assign(n_validation=50)).startswith("No measure"), "the sign that was chosen is the wrong one"
    chosen = rows.assign(spearman=0.6, ci_low=0.3, n_validation=50)
    for direction, words in (
        ("smaller", "The error falls most"),
        ("either", "by its distance from the training mean:"),
    ):
        said = best(chosen.assign(direction=direction))
        assert words in said and "beforehand" not in said


def test_an_interval_over_structures_of_one_molecule_is_called_too_narrow():
    assert "geometries of one molecule" in diagnosis_page.interval_of("structures")
    assert diagnosis_page.interval_of("molecules") == "95 % bootstrap interval over molecules"
