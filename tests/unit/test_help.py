"""Help for models as they are: its tables against values by hand, its figures, and what its pages say."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlipshift.base.frames import Frames, Labels
from mlipshift.base.predictions import Predictions
from mlipshift.base.tables import write_table
from mlipshift.catalogue.captions import filled
from mlipshift.catalogue.figures import HELP
from mlipshift.evaluate import help_choice, help_costs, helped
from mlipshift.evaluate.errors import Errors
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


@pytest.mark.parametrize("kept", [["good", "bad"], ["bad"]], ids=["two models", "one without a head"])
def test_the_page_says_what_the_tables_say(tables, tmp_path, kept):
    folder, read = tables
    titles = {name: TITLES[name] for name in kept}
    for name, figure in HELP.items():
        drawn, facts = drawing.draw(name, drawing.find_tables([folder]), figure.title, {"titles": titles})
        drawn.savefig(tmp_path / f"{name}.svg")
        (tmp_path / f"{name}.txt").write_text(filled(figure.caption, facts))
    html = page.render(TEMPLATE, read, titles, tmp_path, READ, "test")
    assert "http" not in html.replace("http://www.w3.org", "").split("base64")[0] and "a warning" in html
    if kept == ["good", "bad"]:
        assert "Good is the best single model" in html and "lower for hot" in html
        assert "Bad, rescued:" not in html, "strategies of models with a prior head are in the answer"
        assert "Good, corrected: 55.0" in html


def test_harm_is_said():
    row = {"group": "ood_all", "method": "m_rescued", "mean_meV_per_A": 50.0, "model_difference_meV_per_A": -5.0}
    row |= {"model_ci_low_meV_per_A": -9.0, "model_ci_high_meV_per_A": -1.0}
    ordinary = row | {"group": "ood_ordinary", "model_difference_meV_per_A": 8.0}
    ordinary |= {"model_ci_low_meV_per_A": 2.0, "model_ci_high_meV_per_A": 12.0}
    text = help_sentences.strategy_sentence(
        pd.DataFrame([row, ordinary]), "m_rescued", {"m": "M"}, "model", "the model alone"
    )
    assert "higher for ordinary" in text and text.endswith("+8.0 [+2.0, +12.0]: harm.")


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


def test_the_page_of_own_structures_gives_a_verdict(tmp_path):
    rows = [
        {
            "id": f"s{k}",
            "group": "ood_mine",
            "molecule": "m",
            "atoms": 3,
            "strategy": "m_rescued",
            "trusted": t,
            "trusted_weight": 0.9,
        }
        | {
            "spread_meV_per_A": 10.0,
            "expected_model_meV_per_A": e,
            "expected_error_meV_per_A": min(e, 90.0),
            "weights": f"{t} 0.90",
        }
        for k, (t, e) in enumerate([("model", 30.0), ("corrected", 70.0), ("prior", 400.0)])
    ]
    card = tmp_path / "m.json"
    card.write_text(json.dumps({"head": "head.pt", "weight": 0.25}))
    html = rescued.render(TEMPLATE, pd.DataFrame(rows), "Model M, large", 32.0, card, [], "mine")
    assert "2 of 3 structures lie outside what Model M knows" in html and str(card) in html
    assert "1 on the model, 1 on the corrected model, 1 on GFN2-xTB" in html and "weight 0.25" in html
