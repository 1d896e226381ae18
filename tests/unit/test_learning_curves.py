"""Learning curves: what is averaged, what counts as reached, what stands beside published values; figure, tables."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from drawn import faults
from mlipshift.base.frames import Frames, Labels
from mlipshift.base.predictions import Predictions
from mlipshift.base.tables import read_table, write_table
from mlipshift.catalogue.captions import filled
from mlipshift.catalogue.motion import MOTION
from mlipshift.data.duplicates import same_as_any
from mlipshift.evaluate import finetuning, published
from mlipshift.show import drawing
from mlipshift.show.report import finetuning as page
from mlipshift.show.report.results import Results

PUBLISHED = Path(__file__).resolve().parents[2] / "resources" / "published.csv"
NAME = "fig_learning_curves"
AMOUNTS = (0, 10, 100)
SUMMARY = pd.DataFrame([{"group": "id_test", "method": "joint", "mean_meV_per_A": 1.0, "below_25_meV_per_A": 0.5}])


@pytest.fixture(scope="module")
def frames():
    """Six structures each of two new molecules, the first of each not predicted, and of a known one."""
    groups = ["ood_toluene"] * 6 + ["ood_naphthalene"] * 6 + ["id_test"] * 6
    return Frames.build(
        {"id": f"{g}{k}", "group": g, "molecule": g, "numbers": [1, 1], "positions": np.zeros((2, 3))}
        | {"charge": 0, "multiplicity": 1}
        for k, g in enumerate(groups)
    )


def run(frames, group, start, replay, amount, seed, new, known):
    """A run whose error is `new` on its group and `known` on the known molecule (meV/Å)."""
    reference = Labels.build(frames, [(0.0, np.zeros((2, 3)))] * len(frames), "r")
    rows = []
    for k, name in enumerate(frames.group):
        error = new if name == group else known if name == "id_test" else None
        skipped = error is None or k in (0, 6)
        rows.append(None if skipped else ([0.0], np.full((1, 2, 3), error / 1000)))
    report = {"group": group, "start": start, "seed": seed, "prior_calls": 60, "prior_calls_per_prediction": 0}
    name = f"{'replay' if replay else 'plain'}_{amount}"
    report["runs"] = {name: {"n_labels": amount, "steps": 5, "learning_rate": 1e-3, "held_out_ratio": 0.5}}
    made = Predictions.build(frames, rows, [0], 5.0, name, seed)
    return finetuning.run_of(report, name, made, frames, reference)


@pytest.fixture(scope="module")
def runs(frames):
    """Without replay the error falls to 10 meV/Å and the known one rises; with it neither does so as much."""
    out = []
    for group, worse in (("ood_toluene", 0), ("ood_naphthalene", 8)):
        for start, gain in (("joint", 0), ("joint_ttt", 20)):
            for seed in (0, 1):
                for k, amount in enumerate(AMOUNTS):
                    new = (100, 40, 10)[k] + worse - gain * (amount == 0) + seed
                    out.append(run(frames, group, start, False, amount, seed, new, (20, 50, 90)[k]))
                    if amount:
                        out.append(run(frames, group, start, True, amount, seed, new + 10, 22))
    return out


@pytest.fixture(scope="module")
def paths(runs, frames, tmp_path_factory):
    """Paths of the tables of a run."""
    folder = tmp_path_factory.mktemp("tables")
    curves = finetuning.curves(runs, frames, 50, 0)
    made = {
        "learning_curves": (curves, finetuning.CURVES),
        "labels_needed": (finetuning.needed(curves, 15.0), finetuning.NEEDED),
    }
    out = {name: folder / f"{name}.csv" for name in (*made, "published")}
    for name, (rows, columns) in made.items():
        write_table(out[name], rows, columns)
    tables = [read_table(out[name]) for name in made]
    beside = published.beside(pd.read_csv(PUBLISHED), SUMMARY, None, *tables)
    write_table(out["published"], beside, published.OURS)
    return out


def test_every_run_has_a_row_over_what_it_predicts(runs, frames):
    rows = pd.DataFrame(finetuning.rows(runs, frames))
    assert len(rows) == 2 * 2 * 2 * 5 and list(rows.columns) == [c for c in finetuning.FINETUNING if c in rows]
    first = rows[(rows.group == "ood_toluene") & (rows.start == "joint") & (rows.seed == 1)].iloc[0]
    assert (first.new_meV_per_A, first.known_meV_per_A) == (pytest.approx(101), pytest.approx(20))
    assert (first.n_new, first.n_known) == (5, 6)  # the first of the group was not predicted


def test_curves_are_means_over_seeds_and_say_what_was_forgotten(paths):
    table = read_table(paths["learning_curves"]).set_index(["group", "start", "replay", "n_labels"])
    row = table.loc[("ood_toluene", "joint", False, 100)]
    assert row.mean_meV_per_A == pytest.approx(10.5) and row.n_seeds == 2
    assert row.forgotten_meV_per_A == pytest.approx(70) and row.known_meV_per_A == pytest.approx(90)
    assert table.loc[("ood_toluene", "joint", True, 100)].forgotten_meV_per_A == pytest.approx(2)
    both = table.loc[("all", "joint", False, 100)]
    assert both.mean_meV_per_A == pytest.approx((10.5 + 18.5) / 2) and both.prior_calls == 120
    assert both.n_molecules == 2 and both.ci_low_meV_per_A <= both.mean_meV_per_A <= both.ci_high_meV_per_A


def test_the_target_is_reached_or_not(paths):
    table = read_table(paths["labels_needed"]).set_index(["group", "start", "replay"])
    assert table.loc[("ood_toluene", "joint", False), "n_labels_needed"] == 100
    missed = table.loc[("ood_naphthalene", "joint", False)]
    assert np.isnan(missed.n_labels_needed) and missed.best_meV_per_A == pytest.approx(18.5)
    assert missed.n_labels_most == 100
    # with replay the start itself belongs to the curve
    assert table.loc[("ood_toluene", "joint", True), "best_meV_per_A"] == pytest.approx(20.5)


def test_published_numbers_of_labels_have_this_run_beside_them(paths):
    table = read_table(paths["published"]).set_index("quantity")
    row = table.loc["Structures to reach 15 meV/Å without TTT"]
    assert row.ours == 100 and row.published == 500
    assert np.isnan(table.loc["Force MAE after fine-tuning on 5 % of SPICEv2, with TTT"].ours)
    needed = read_table(paths["labels_needed"])
    needed["n_labels_needed"] = np.nan
    rows = pd.DataFrame(published.beside(pd.read_csv(PUBLISHED), SUMMARY, needed=needed)).set_index("quantity")
    assert rows.loc["Structures to reach 15 meV/Å with TTT"].said.startswith("not reached: 14.5 meV/Å with 100")


def test_fractions_stand_beside_those_of_the_paper(paths):
    curves = read_table(paths["learning_curves"]).assign(group="ood_new_molecules", amount="5pct")
    curves = curves[(curves.start == "joint") & ~curves.replay & (curves.n_labels == 100)].head(1)
    rows = pd.DataFrame(published.beside(pd.read_csv(PUBLISHED), SUMMARY, curves=curves)).set_index("quantity")
    assert rows.loc["Force MAE after fine-tuning on 5 % of SPICEv2, without TTT"].ours == pytest.approx(10.5)


def test_the_figure_shows_every_molecule_and_the_known_ones(paths):
    figure, facts = drawing.draw(NAME, paths, MOTION[NAME].title)
    caption = filled(MOTION[NAME].caption, facts)
    assert "n = 10 structures of 2 molecules, 2 seeds" in caption and "500 and 20" in caption and "15 meV/Å" in caption
    texts = [t.get_text() for t in figure.findobj(Text)]
    assert {"Known molecules", "Held out: toluene", "Held out: naphthalene", "with replay"} <= set(texts)
    assert faults(figure) == []
    legend = figure.legends[0].get_window_extent()
    assert not any(a.get_window_extent().overlaps(legend) for a in figure.axes if a.get_visible())


def test_the_report_says_where_the_target_is_not_reached(paths):
    given = {name: read_table(path) for name, path in paths.items()}
    results = Results(given | {"summary": pd.DataFrame(), "paired": pd.DataFrame()})
    needed, curves = page.needed_table(results), page.curves_table(results)
    texts = [[c["text"] for c in row] for row in needed["rows"]]
    assert any("not reached" in row for row in texts) and any("100" in row for row in texts)
    assert curves["head"] == ["Molecules", "Start", "0", "10", "100"]
    assert any("with replay" in row[1]["text"] and row[2]["text"] == "–" for row in curves["rows"])


def test_structures_that_are_tested_are_found_whichever_came_first():
    table = pd.DataFrame(
        [("test1", "label1"), ("label2", "test2"), ("label3", "train"), ("test3", "train"), ("label4", "label5")],
        columns=["id", "same_as"],
    )
    assert same_as_any(table, {"test1", "test2", "test3"}) == {"label1", "label2", "label3", "train"}
    assert same_as_any(table.head(0), {"test1"}) == set()
