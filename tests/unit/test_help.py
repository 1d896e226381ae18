"""Help for models as they are: its tables against values by hand, its figures, and what its pages say."""

import json
import os
import re
import subprocess
import sys
from html import unescape
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from drawn import faults
from mlipshift.base.frames import Frames, Labels
from mlipshift.base.predictions import Predictions
from mlipshift.base.tables import write_table
from mlipshift.catalogue.captions import filled
from mlipshift.catalogue.figures import HELP, RESCUED
from mlipshift.evaluate import help_choice, help_costs, helped, statistics
from mlipshift.evaluate import rescued as evaluate_rescued
from mlipshift.evaluate.errors import Errors
from mlipshift.external.embedding import Embedding
from mlipshift.show import drawing, help_groups
from mlipshift.show.report import help as page
from mlipshift.show.report import help_left_out, help_sentences, rescued

ROOT = Path(__file__).parents[2]
TEMPLATE = ROOT / "workflow/report/help.html.j2"
TITLES = {"good": "Good, an ensemble", "bad": "Bad"}
GROUPS = ["val_ordinary", "val_hot", "ood_ordinary", "ood_hot"]
NOTHING = {"head": ["Model"], "rows": []}
READ = {"models": {"heading": "H", "content": NOTHING}, "tables": [], "told": ["a line"], "warnings": ["a warning"]}
EACH = 12  # structures per group, two of each molecule


@pytest.fixture(scope="module")
def errors(tmp_path_factory):
    """Errors in meV/Å known by construction: every component is off by so much."""
    folder = tmp_path_factory.mktemp("help")
    rows = [
        {
            "id": f"{g}/{k}",
            "group": g,
            "molecule": f"{g}-{k // 2}",
            "numbers": [6, 1],
            "positions": [[0, 0, 0], [0, 0, 1.1]],
        }
        | {"charge": 0, "multiplicity": 1}
        for g in GROUPS
        for k in range(EACH)
    ]
    frames = Frames.build(rows)
    hot = np.char.endswith(frames.group.astype(str), "hot")
    place = np.tile(np.arange(EACH), len(GROUPS))
    off = {
        "prior": np.full(len(frames), 0.2),
        "good": np.where(hot, 0.1, 0.03),
        "bad": np.where(hot, 0.5, 0.1) + 0.01 * place,
        "good_corrected": np.where(hot, 0.08, 0.03),
        "bad_rescued": np.where(hot, 0.2, 0.12),
        "committee_rescued": np.where(hot, 0.05, 0.028),
    }
    forces = {name: np.repeat(e, 2)[:, None] * np.ones(3) for name, e in off.items()}
    zero = [(0.0, np.zeros((2, 3)))] * len(frames)
    reference, prior = (
        Labels.build(frames, zero, "x"),
        Labels.build(frames, [(0.0, f) for f in np.split(forces["prior"], len(frames))], "p"),
    )
    paths = []
    for name, values in forces.items():
        if name != "prior":
            found = [([0.0], f[None]) for f in np.split(values, len(frames))]
            paths.append(folder / f"{name}.h5")
            Predictions.build(frames, found, [0], 5.0, name, -1).save(paths[-1])
    return Errors(frames, reference, prior, paths, 200, 0), off


@pytest.fixture(scope="module")
def tables(errors, tmp_path_factory):
    found, off = errors
    size = len(found.frames)
    expected = {
        "good": {"model": off["good"], "prior": off["prior"]},
        "bad": {"model": off["bad"], "prior": off["prior"]},
    }
    payoff = helped.payoff(found, [*TITLES], expected)
    signs = {
        "good": {"spread": off["good"] + 1e-4 * np.arange(size)},
        "bad": {"prior": off["bad"], "residual": -off["bad"]},
    }
    costs = help_costs.costs([*found.final], {"good": 0.1, "bad": 0.2, "good_head": 0.05}, 0.01, [*TITLES])
    made = {
        "groups": (helped.HELP, helped.table(found, [*TITLES])),
        "signs": (helped.SIGNS, helped.signs(found, signs)),
        "payoff": (helped.PAYOFF, payoff),
        "crossing": (helped.CROSSING, helped.crossing(payoff)),
        "kept": (help_choice.KEPT, help_choice.kept(found, signs, {"good": "spread", "bad": "prior"})),
        "decision": (help_choice.DECISION, help_choice.decision(found, payoff)),
        "costs": (help_costs.COSTS, costs),
    }
    folder = tmp_path_factory.mktemp("tables")
    for name, (columns, rows) in made.items():
        write_table(folder / f"{name}.csv", rows, columns)
    return folder, {name: pd.read_csv(folder / f"{name}.csv") for name in made}


def test_tables_have_the_errors_and_the_differences(tables):
    groups = tables[1]["groups"].set_index(["group", "method"])
    assert set(tables[1]["groups"].best_single) == {"good"}
    assert groups.loc[("ood_hot", "good"), "mean_meV_per_A"] == pytest.approx(100)
    row = groups.loc[("ood_hot", "committee_rescued")]
    assert row.single_difference_meV_per_A == pytest.approx(-50) and row.single_ci_high_meV_per_A < 0
    assert np.isnan(row.model_difference_meV_per_A) and row.prior_difference_meV_per_A == pytest.approx(-150)
    assert groups.loc[("ood_hot", "bad_rescued"), "fraction_improved"] == 1
    assert groups.loc[("ood_severe", "good"), "n_structures"] == EACH
    signs = tables[1]["signs"].set_index(["model", "sign", "group"])
    assert signs.loc[("bad", "prior", "ood_all"), "spearman"] == pytest.approx(1)
    assert signs.loc[("bad", "residual", "ood_all"), "auroc"] == pytest.approx(0)
    assert (
        signs.loc[("bad", "prior", "val_all"), "recommended"]
        and not signs.loc[("bad", "residual", "val_all"), "recommended"]
    )
    assert signs.loc[("bad", "prior", "ood_all"), "kept_half_relative"] < 1
    payoff = tables[1]["payoff"].set_index(["id", "method"])
    assert payoff.loc[("ood_hot/0", "bad_rescued"), "error_ratio"] == pytest.approx(2.5)
    assert payoff.loc[("ood_hot/0", "bad_rescued"), "gain_ratio"] == pytest.approx(0.4)
    assert payoff.loc[("ood_hot/0", "bad_rescued"), "expected_ratio"] == pytest.approx(2.5)
    crossing = tables[1]["crossing"].set_index(["method", "side"])
    assert crossing.loc[("bad_rescued", "error ratio above 1"), "improved"] == 1
    assert crossing.loc[("good_corrected", "error ratio below 1"), "n_structures"] == 2 * EACH


def test_what_a_sign_keeps_is_the_mean_of_the_smallest(tables):
    """Errors of "bad" are 100 to 210 on ordinary structures and 500 to 610 on hot ones."""
    kept = tables[1]["kept"].set_index(["model", "sign", "share"])
    good, wrong = kept.loc[("bad", "prior", 0.5)], kept.loc[("bad", "residual", 0.5)]
    assert good.mean_meV_per_A == pytest.approx(155) and good.oracle_meV_per_A == pytest.approx(155)
    assert wrong.mean_meV_per_A == pytest.approx(555) and wrong.oracle_meV_per_A == pytest.approx(155)
    assert kept.loc[("bad", "prior", 1.0), "mean_meV_per_A"] == pytest.approx(355)
    assert kept.loc[("bad", "prior", 0.1), "n_structures"] == 3  # of 24, rounded up
    assert good.recommended and not wrong.recommended and good.ci_low_meV_per_A < 155 < good.ci_high_meV_per_A


def test_where_to_help_is_decided_on_validation(tables):
    """Help gives "bad" 120 on ordinary structures, which is worse than 100 and 110, no gain for the one at 120."""
    decision = tables[1]["decision"].set_index(["method", "group"])
    row = decision.loc[("bad_rescued", "ood_all")]
    assert row.threshold == pytest.approx(np.sqrt(0.65 * 0.6))
    assert row.decided_meV_per_A == pytest.approx((1410 / 12 + 200) / 2) and row.fraction_helped == pytest.approx(
        21 / 24
    )
    assert row.never_meV_per_A == pytest.approx(355) and row.always_meV_per_A == pytest.approx(160)
    assert row.regret_difference_meV_per_A == pytest.approx(0, abs=1e-4)
    assert row.always_difference_meV_per_A == pytest.approx(-1.25, abs=1e-4)
    assert decision.loc[("bad_rescued", "ood_hot"), "fraction_helped"] == 1
    assert not decision.index.get_level_values("group").str.startswith("val_").any()
    assert "committee_rescued" not in decision.index.get_level_values("method"), "it has no model of its own"


def test_the_threshold_of_help():
    ratios, before = np.array([0.1, 0.2, 0.3, 0.4]), np.full(4, 10.0)
    assert help_choice.threshold(ratios, before, np.full(4, 5.0)) == 0, "all"
    assert help_choice.threshold(ratios, before, np.full(4, 15.0)) == np.inf, "none"
    assert help_choice.threshold(ratios, before, before) == np.inf, "no gain is no reason"
    assert help_choice.threshold(ratios, before, np.array([20, 20, 5, 5])) == pytest.approx(np.sqrt(0.06))
    # structures of the same ratio go together: a gain of 8 and a loss of 5
    assert help_choice.threshold(np.array([1.0, 1.0, 0.1]), before[:3], np.array([2.0, 15.0, 30.0])) < 1


def test_runs_of_the_two_head_model_join_the_gains(tmp_path):
    row = {"id": "a", "group": "ood_larger", "molecule": "m", "method": "joint_ttt", "baseline": "joint"}
    row |= {"prior_error_meV_per_A": 50.0, "before_meV_per_A": 100.0, "after_meV_per_A": 25.0}
    others = [row | {"method": "joint_placebo"}, row | {"before_meV_per_A": np.nan}]
    path = tmp_path / "spice" / "tables" / "gains.csv"
    path.parent.mkdir(parents=True)
    write_table(path, [row, *others])
    (found,) = help_choice.of_other_runs([path])
    assert (found["run"], found["model"], found["method"]) == ("spice", "joint", "joint_ttt")
    assert (found["error_ratio"], found["gain_ratio"]) == (2, 0.25) and np.isnan(found["expected_ratio"])
    assert set(found) == set(helped.PAYOFF)
    sides = {r["side"]: r for r in helped.crossing([found])}
    assert set(sides) == {"error ratio above 1"} and sides["error ratio above 1"]["run"] == "spice"


def test_costs_add_up_and_constant_weights_are_conservative(tables):
    costs = tables[1]["costs"].set_index("method")
    assert costs.loc["good", "seconds"] == 0.1 and costs.loc["good", "conservative"]
    assert costs.loc["good_corrected", "seconds"] == pytest.approx(0.16) and costs.loc["good_corrected", "conservative"]
    assert costs.loc["bad_rescued", "seconds"] == pytest.approx(0.21) and not costs.loc["bad_rescued", "conservative"]
    assert costs.loc["committee_rescued", "seconds"] == pytest.approx(0.36)
    assert "prior" not in costs.index and "zero" not in costs.index


def draw(name, paths, titles):
    """(figure, caption); no text leaves the figure or lies on another."""
    figure, facts = drawing.draw(name, paths, HELP[name].title, {"titles": titles})
    assert faults(figure) == [], name
    return figure, filled(HELP[name].caption, facts)


def draw_all(folder, titles, place):
    """Figures of the tables in `folder` and their captions, in the folder `place`."""
    for name in HELP:
        figure, caption = draw(name, drawing.find_tables([folder]), titles)
        figure.savefig(place / f"{name}.svg")
        (place / f"{name}.txt").write_text(caption)


@pytest.mark.parametrize("kept", [["good", "bad"], ["bad"]], ids=["two models", "one without a head"])
def test_the_page_says_what_the_tables_say(tables, tmp_path, kept):
    folder, read = tables
    titles = {name: TITLES[name] for name in kept}
    draw_all(folder, titles, tmp_path)
    html = page.render(TEMPLATE, read, titles, tmp_path, READ, "test")
    sources = re.findall(r'src="([^"]*)"', html)
    assert len(sources) == len(HELP) and all(source.startswith("data:image/svg+xml;base64,") for source in sources)
    assert all(re.match("#|data:text/csv", link) for link in re.findall(r'href="([^"]*)"', html))
    assert not re.search(r"<script|<link|@import|url\(", html) and all(re.findall(r'alt="([^"]*)"', html))
    assert "a warning" in html and "a line" in html and html.count('<details class="table">') == 5
    if kept == ["good", "bad"]:
        assert "Good is the best single model" in html and "lower for hot" in html
        assert "Bad, rescued:" not in html, "strategies of models with a prior head are in the answer"
        assert "Good, corrected: 55.0" in html


@pytest.mark.parametrize("case", ["one group", "one model", "no help", "all nan", "many models", "a run beside"])
def test_awkward_tables_are_drawn(tables, tmp_path, case):
    titles = dict(TITLES)
    for name, table in tables[1].items():
        if case == "one group" and "group" in table:
            table = table[table.group.isin(["ood_hot", "ood_all", "val_all", "val_hot"])]
        if case == "one model" and "model" in table:
            table = table[
                table.model.isin(["bad"]) | table.method.eq("prior") if "method" in table else table.model == "bad"
            ]
        if case == "no help" and "method" in table:
            table = table[table.method.isin(["good", "bad", "prior"])]
        if case == "all nan":
            table = table.assign(
                **{c: np.nan for c in table if c.endswith("meV_per_A") or "auroc" in c or "ratio" in c}
            )
        if case == "many models" and "model" in table:
            more = [f"m{k}" for k in range(11)]
            titles |= {m: f"A model of a long name number {m}, of 2026" for m in more}
            renamed = lambda t, m: t.assign(
                model=t.model.replace("good", m),
                **({"method": t.method.str.replace("good", m, regex=False)} if "method" in t else {}),
            )
            table = pd.concat([table, *(renamed(table[table.model == "good"], m) for m in more)])
        if case == "a run beside" and name == "payoff":
            table = pd.concat(
                [table, table.assign(run="spice", method="joint_ttt", model="joint", expected_ratio=np.nan)]
            )
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    captions = {name: draw(name, drawing.find_tables([tmp_path]), titles)[1] for name in HELP}
    assert all(caption.endswith(".") for caption in captions.values())
    assert ("Other runs of this workflow: spice" in captions["fig_help_payoff"]) == (case == "a run beside")
    if case == "no help":
        assert "no model of this run has help" in captions["fig_help_groups"]


def rows_of(*given):
    """Rows of the table of groups: (group, method, model, mean, {beside: (difference, low, high)})."""
    out = []
    for group, method, model, mean, beside in given:
        row = {"group": group, "method": method, "model": model, "best_single": "m", "n_structures": 30}
        row |= {"n_molecules": 9, "mean_meV_per_A": mean, "ci_low_meV_per_A": mean - 5, "ci_high_meV_per_A": mean + 5}
        for name in helped.AGAINST:
            values = beside.get(name, (np.nan,) * 3)
            row |= {f"{name}_{c}": v for c, v in zip(("difference_meV_per_A", *statistics.INTERVAL), values)}
        out.append(row)
    return pd.DataFrame(out)


MODELS = {"m": "M", "n": "N"}


def test_harm_is_said():
    table = rows_of(
        ("ood_all", "m_rescued", "m", 50.0, {"model": (-5.0, -9.0, -1.0)}),
        ("ood_ordinary", "m_rescued", "m", 50.0, {"model": (8.0, 2.0, 12.0)}),
    )
    text = help_sentences.strategy_sentence(table, "m_rescued", MODELS, "model", "the model alone")
    assert "higher for ordinary" in text and text.endswith("+8.0 [+2.0, +12.0]: harm.")
    assert "harm is done by M, rescued (+8.0 [+2.0, +12.0] meV/Å)" in help_sentences.worst_harm(table, MODELS)
    assert "No label-free help" in help_sentences.worst_harm(table.iloc[:1], MODELS)


def test_a_committee_that_is_worse_is_called_so_and_validation_recommends():
    table = rows_of(
        *(("val_all", f"committee_{way}", "", mean, {}) for way, mean in (("mean", 80.0), ("rescued", 90.0))),
        ("ood_all", "committee_mean", "", 70.0, {"single": (20.0, 11.0, 31.0)}),
        ("ood_hot", "committee_mean", "", 70.0, {"single": (20.0, 11.0, 31.0)}),
        ("ood_ions", "committee_mean", "", 70.0, {"single": (-1.0, -4.0, 3.0)}),
    )
    assert help_sentences.recommended(table) == ["committee_mean", "committee_rescued"]
    text = help_sentences.strategy_sentence(table, "committee_mean", MODELS, "single", "the best single model")
    assert "+20.0 [+11.0, +31.0] against the best single model" in text
    assert "within its interval for ions; higher for hot" in text and "lower for" not in text


def test_the_best_model_stands_beside_the_prior_and_the_next_one():
    table = rows_of(
        ("ood_all", "m", "m", 50.0, {"prior": (-50.0, -60.0, -40.0)}),
        ("ood_all", "n", "n", 70.0, {"single": (20.0, 11.0, 31.0), "prior": (8.0, 3.0, 12.0)}),
        ("ood_all", "prior", "", 100.0, {"single": (50.0, 40.0, 60.0)}),
        ("ood_hot", "m", "m", 90.0, {"prior": (30.0, 20.0, 40.0)}),
        ("ood_hot", "prior", "", 60.0, {}),
    )
    text = help_sentences.single_sentence(table, MODELS)
    assert "50.0 meV/Å [45.0, 55.0] on 30 held-out structures of 9 molecules, beside 100.0 of GFN2-xTB" in text
    assert "The next one is N, +20.0 [+11.0, +31.0] on those of both" in text and "worse than GFN2-xTB for hot" in text
    assert help_sentences.worse_models(table, MODELS).startswith("N is worse than GFN2-xTB")


@pytest.mark.parametrize(
    ("always", "words"),
    [
        ((-3.0, -5.0, -1.0), "better than help for all"),
        ((3.0, 1.0, 5.0), "worse than"),
        ((1.0, -1.0, 3.0), "no different"),
    ],
)
def test_what_the_decision_gives_is_said_as_it_is(always, words):
    row = {"method": "m_rescued", "model": "m", "group": "ood_all", "decided_meV_per_A": 40.0, "always_meV_per_A": 43.0}
    row |= {"never_meV_per_A": 60.0, "regret_difference_meV_per_A": 2.0}
    row |= {"regret_ci_low_meV_per_A": 1.0, "regret_ci_high_meV_per_A": 3.0}
    row |= {f"always_{c}": v for c, v in zip(("difference_meV_per_A", *statistics.INTERVAL), always)}
    table = pd.DataFrame([row, row | {"method": "m_corrected"}])
    text = help_sentences.decision_sentence(table, MODELS)
    assert f"M, rescued: 40.0 meV/Å, {words}" in text and "lower by 2.0 [1.0, 3.0]" in text
    assert help_sentences.decision_sentence(table.iloc[:1], MODELS) == "", (
        "without a prior head it is in the table alone"
    )


def test_what_a_model_does_not_take_and_at_which_level():
    structures = pd.DataFrame({"id": [*"abcd", "v"], "group": [*["ood_hot"] * 4, "val_hot"]})
    none = pd.DataFrame({"id": [], "reason": []})
    reasons = {
        "a": "element B, F and Si unknown to the model",
        "b": "element B unknown to the model",
        "c": "charged, and the model knows no charge",
        "v": "element I unknown to the model",
    }
    failed = pd.DataFrame({"id": [*reasons], "reason": [*reasons.values()]})
    levels = {"m": "PBE0", "n": None}
    found = help_left_out.of_models({"m": failed, "n": none}, structures, levels, "wB97M/TZ", MODELS)
    first, second = [[c["text"] for c in row] for row in found["rows"]]
    assert first == ["M", "PBE0", "4", "1", "B, F, Si", "charged, and the model knows no charge (1)"]
    assert second == ["N", "as in this run", "4", "4", "–", "–"]
    assert "the errors of M contain" in help_left_out.on_levels(levels, "wB97M/TZ", MODELS)
    assert help_left_out.on_levels({"m": "ωB97M / TZ"}, "wb97m/tz", {"m": "M"}) == ""
    assert help_left_out.why(failed.reason) == "elements B, F, I and Si unknown to it; charged (1)"


def test_names_of_strategies():
    titles = {"ani1x": "ANI-1x, ensemble", "ani1": "ANI-1"}
    assert help_groups.method("ani1x_rescued", titles) == "ANI-1x, rescued"
    assert help_groups.method("ani1_full_50", titles) == "ANI-1, fine-tuned, 50 labels"
    assert (
        help_groups.method("committee_mean", titles) == "Committee, mean"
        and help_groups.method("prior", titles) == "GFN2-xTB"
    )
    assert help_groups.held_out(["ood_all", "ood_mine", "ood_hot", "ood_ordinary", "val_hot"]) == [
        "ood_ordinary",
        "ood_hot",
        "ood_mine",
    ]


OWN = [("model", 30.0, 20.0), ("corrected", 70.0, 40.0), ("prior", 400.0, 300.0), ("prior", np.nan, np.nan)]


@pytest.fixture(params=["labelled", "unlabelled"])
def own(request, tmp_path):
    """(whether there are labels, table of structures of one's own, folder of their figure, card of the calculator)."""
    about = {"group": "ood_mine", "atoms": 3, "strategy": "m_rescued", "trusted_weight": 0.9}
    rows = [
        about
        | {"id": f"s{k}", "molecule": f"m{k}", "trusted": t, "weights": f"{t} 0.90", "spread_meV_per_A": e / 2}
        | {"prior_residual_meV_per_A": e / 5, "expected_model_meV_per_A": e, "expected_error_meV_per_A": min(e, 90.0)}
        | {"true_model_meV_per_A": true, "true_rescued_meV_per_A": true / 2}
        for k, (t, e, true) in enumerate(OWN)
    ]
    table = pd.DataFrame(rows)
    if request.param == "unlabelled":
        table = table.drop(columns=[c for c in table if c.startswith("true_")])
    write_table(tmp_path / "m.csv", table)
    about = {"name": "Model M", "ordinary": 32.0, "outside": help_groups.OUTSIDE}
    figure, facts = drawing.draw(RESCUED.name, {"rescued": tmp_path / "m.csv"}, RESCUED.title, about)
    assert faults(figure) == [] and facts["n"] == "3" and facts["missing"] == "1"
    figure.savefig(tmp_path / f"{RESCUED.name}.svg")
    (tmp_path / f"{RESCUED.name}.txt").write_text(filled(RESCUED.caption, facts))
    card = tmp_path / "m.json"
    card.write_text(json.dumps({"head": "head.pt", "weight": 0.25}))
    return request.param == "labelled", table, tmp_path, card


def test_the_page_of_own_structures_gives_a_verdict(own):
    labelled, table, folder, card = own
    usual = {"expected": 32.0, "spread": 20.0, "residual": 2.0}
    failures = pd.DataFrame({"id": ["s3", "other"], "reason": ["element Xe unknown to the model"] * 2})
    html = rescued.render(TEMPLATE, table, "Model M, large", usual, card, folder, failures, ["a line"], "mine")
    assert "2 of 3 structures lie outside what Model M knows" in html and f"Rescued(&#34;{card}&#34;)" in html
    assert "rest mainly on the corrected model (1), GFN2-xTB (1). Inside they rest on the model (1)" in html
    assert "1 more structure cannot be predicted by Model M (element Xe unknown to it)" in html
    assert "w = 0.25 for all structures" in html and "gradient of an energy" in html and "a line" in html
    assert "residual of the prior head: 80.0" in html and "40.0 times the usual" in html
    assert ("3 structures with reference forces" in html) == labelled == ("True, Rescued" in html)
    if labelled:
        assert "of the rescued forces, lower than the" in unescape(re.sub(r"<[^>]+>", "", html))
    assert all(s.startswith("data:") for s in re.findall(r'src="([^"]*)"', html))


def test_nothing_to_expect_is_a_figure_that_says_so(tmp_path):
    (tmp_path / "m.csv").write_text("id,trusted,expected_model_meV_per_A,expected_error_meV_per_A\ns,prior,,\n")
    about = {"name": "M", "ordinary": 32.0, "outside": 2.0}
    facts = drawing.draw(RESCUED.name, {"rescued": tmp_path / "m.csv"}, RESCUED.title, about)[1]
    assert facts["nothing"].endswith("no structure has an expected error.")


def test_what_is_usual_is_that_of_ordinary_validation_structures():
    row = {"strategy": "m_rescued", "group": "val_ordinary", "expected_model_meV_per_A": 10.0, "spread_meV_per_A": 4.0}
    rows = [row, row | {"group": "ood_mine", "spread_meV_per_A": 50.0}, row | {"strategy": "n_rescued"}]
    columns = {"spread": "spread_meV_per_A"}
    assert help_groups.usual(pd.DataFrame(rows), "m", columns) == {"expected": 10.0, "spread": 4.0}
    others = pd.DataFrame([r | {"group": r["group"].replace("ordinary", "hot")} for r in rows])
    assert help_groups.usual(others, "m", columns)["spread"] == 4.0


def test_true_errors_are_those_of_the_labels(errors):
    found, off = errors
    size = len(found.frames)
    reference = Labels.build(found.frames, [(0.0, np.zeros((2, 3))), *[None] * (size - 1)], "x")
    forces = np.repeat(off["bad"], 2)[:, None] * np.ones(3)
    table = evaluate_rescued.true_errors(found.frames, reference, {"model": forces})
    assert table.true_model_meV_per_A[0] == pytest.approx(100) and table.true_model_meV_per_A[1:].isna().all()


def test_weights_and_labels_handed_on_are_those_of_validation_groups(errors, tmp_path):
    """Other labels of the held-out groups change neither the weights nor what learns from a few."""
    found, off = errors
    frames, size = found.frames, len(found.frames)
    frames.save(tmp_path / "frames.h5")
    shaped = lambda e: [([0.0], np.full((1, 2, 3), v)) for v in e]
    Predictions.build(frames, shaped(off["bad"]), [0], 5.0, "bad", -1).save(tmp_path / "bad.h5")
    Embedding.build(frames, [None] * size).save(tmp_path / "embedding.h5")
    Labels.build(frames, [(0.0, f[1][0]) for f in shaped(off["prior"])], "prior").save(tmp_path / "prior.h5")
    told = []
    for shift in (0.0, 1.0):
        truth = [(0.0, np.full((2, 3), shift * (not g.startswith("val_")))) for g in frames.group]
        Labels.build(frames, truth, "x").save(tmp_path / "reference.h5")
        common = ["--frames", "frames.h5", "--reference", "reference.h5"]
        of_models = ["--prior", "prior.h5", "--predictions", "bad.h5", "--embeddings", "embedding.h5"]
        for command in (
            ["weigh_models.py", *common, *of_models, "--output", "weights.json"],
            ["take_validation.py", *common, "--output", "val.h5", "--labels", "labels.h5"],
        ):
            script = ROOT / "workflow/scripts" / command[0]
            paths = os.environ | {"PYTHONPATH": str(ROOT / "workflow")}
            subprocess.run([sys.executable, script, *command[1:]], cwd=tmp_path, env=paths, check=True)
        told.append([(tmp_path / name).read_bytes() for name in ("weights.json", "val.h5", "labels.h5")])
    assert told[0] == told[1]
    assert set(Frames.load(tmp_path / "val.h5").group) == {"val_ordinary", "val_hot"}
