"""The page on models as they are and what helps them: the answer in sentences, figures, tables."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mlipshift.base.text import count, listed, several
from mlipshift.catalogue.figures import HELP
from mlipshift.show import help_groups
from mlipshift.show.report import cells
from mlipshift.show.report.cells import cell, counted
from mlipshift.show.report.format import bracket, duration, number
from mlipshift.show.report.page import embedded, page

Titles = Mapping[str, str]
ALL, SEVERE, ORDINARY = "ood_all", "ood_severe", "ood_ordinary"
MEAN, LOW, HIGH = "mean_meV_per_A", "ci_low_meV_per_A", "ci_high_meV_per_A"
HARM = 1.0  # meV/Å on ordinary structures that are no harm


def _row(table, group, method):
    found = table[(table.group == group) & (table.method == method)]
    return found.iloc[0] if len(found) else None


def _against(row, prefix):
    """'lower', 'higher' or 'unclear' of the paired difference of a row, None where there is none."""
    low, high = row[f"{prefix}_ci_low_meV_per_A"], row[f"{prefix}_ci_high_meV_per_A"]
    if not np.isfinite(row[f"{prefix}_difference_meV_per_A"]):
        return None
    return "lower" if high < 0 else "higher" if low > 0 else "unclear"


def _change(row, prefix):
    """'−4.2 [−6.0, −1.1]' of the paired difference of a row."""
    value, low, high = (row[f"{prefix}_{c}"] for c in ("difference_meV_per_A", LOW, HIGH))
    return f"{number(value, True)} {bracket(low, high, True)}"


def _named(groups):
    return listed([help_groups.title(g).lower() for g in groups])


def single_sentence(table: pd.DataFrame, titles: Titles) -> str:
    """Which model is best, chosen on validation groups, and how it stands beside the prior in every held-out group."""
    name = table.best_single.dropna().iloc[0]
    row, prior = _row(table, ALL, name), _row(table, ALL, "prior")
    groups = help_groups.held_out(table.group)
    worse = [g for g in groups if (r := _row(table, g, name)) is not None and _against(r, "prior") == "higher"]
    same = [g for g in groups if (r := _row(table, g, name)) is not None and _against(r, "prior") == "unclear"]
    text = (
        f"{help_groups.method(name, titles)} is the best single model of the validation groups: {number(row[MEAN])}"
        f" meV/Å {bracket(row[LOW], row[HIGH])} on {count(row.n_structures)} held-out structures of"
        f" {count(row.n_molecules)} molecules, beside {number(prior[MEAN])} of GFN2-xTB."
    )
    if worse:
        text += f" It is worse than GFN2-xTB for {_named(worse)}."
    if same:
        text += f" It cannot be told apart from GFN2-xTB for {_named(same)}."
    return text


def worse_models(table: pd.DataFrame, titles: Titles) -> str:
    """Which models are worse than the prior over all held-out structures that they take."""
    rows = [(m, _row(table, ALL, m)) for m in titles]
    worse = [help_groups.method(m, titles) for m, r in rows if r is not None and _against(r, "prior") == "higher"]
    if not worse:
        return "No model is worse than GFN2-xTB over all held-out structures that it takes."
    return (
        f"{listed(worse)} {'are' if len(worse) > 1 else 'is'} worse than GFN2-xTB over the held-out structures taken;"
        " errors contain the difference between the level of theory that a model learned and that of the labels."
    )


def strategy_sentence(table: pd.DataFrame, method: str, titles: Titles, prefix: str, beside: str) -> str:
    """What a strategy gives in every held-out group beside the model or the best single one, and its harm."""
    row = _row(table, ALL, method)
    if row is None:
        return ""
    groups = [g for g in help_groups.held_out(table.group) if _row(table, g, method) is not None]
    sides: dict[str, list[str]] = {"lower": [], "unclear": [], "higher": []}
    for g in groups:
        side = _against(_row(table, g, method), prefix)
        if side:
            sides[side].append(g)
    text = (
        f"{help_groups.method(method, titles)}: {number(row[MEAN])} meV/Å over all held-out structures,"
        f" {_change(row, prefix)} against {beside}."
    )
    words = {"lower": "lower", "unclear": "within its interval", "higher": "higher"}
    parts = [f"{words[side]} for {_named(found)}" for side, found in sides.items() if found]
    text += f" The paired difference is {'; '.join(parts)}."
    ordinary = _row(table, ORDINARY, method)
    if ordinary is not None and np.isfinite(change := ordinary[f"{prefix}_difference_meV_per_A"]):
        verdict = "no harm" if change <= HARM else "harm"
        text += f" On ordinary structures {_change(ordinary, prefix)}: {verdict}."
    return text


def sign_sentence(table: pd.DataFrame, titles: Titles) -> str:
    """Which sign validation recommends for which models, with its AUROC on held-out structures."""
    rows = table[(table.group == ALL) & table.recommended.eq(True)]  # noqa: FBT003
    by_sign: dict[str, list[str]] = {}
    for row in rows.to_dict("records"):
        text = f"{help_groups.method(row['model'], titles)} ({row['auroc']:.2f}"
        text += f" [{row['auroc_ci_low']:.2f}, {row['auroc_ci_high']:.2f}])"
        by_sign.setdefault(help_groups.SIGNS.get(row["sign"], row["sign"]), []).append(text)
    parts = [f"the {sign} for {listed(models)}" for sign, models in by_sign.items()]
    return (
        "The sign of being outside that validation recommends, with its AUROC for the worst tenth of the held-out"
        f" structures: {'; '.join(parts)}."
    )


def crossing_sentence(table: pd.DataFrame) -> str:
    """How often help improves on either side of the crossover, by the true and by the expected ratio."""
    own = table[table.method.str.endswith("_rescued") & ~table.method.str.startswith("committee")]
    if not len(own):
        return ""
    parts = []
    for side in dict.fromkeys(own.side):
        rows = own[own.side == side]
        total = rows.n_structures.sum()
        improved = (rows.improved * rows.n_structures).sum() / total
        parts.append(f"{100 * improved:.0f} % of {count(total)} with an {side}")
    return f"Help by weights of every structure improves {'; '.join(parts)} (pairs of a structure and a model)."


def groups_table(table: pd.DataFrame, titles: Titles) -> dict[str, Any]:
    """Error of every method in every held-out group."""
    groups = [*help_groups.held_out(table.group), ALL]
    names = [m for m in dict.fromkeys(table.method)]
    rows = []
    for name in names:
        found = [cell(help_groups.method(name, titles), title=name)]
        for g in groups:
            row = _row(table, g, name)
            found.append(
                cell("–") if row is None else cell(f"{number(row[MEAN])} {bracket(row[LOW], row[HIGH])}", row[MEAN])
            )
        rows.append(found)
    return cells.table(["Method", *(help_groups.title(g) for g in groups)], rows)


def costs_table(table: pd.DataFrame, titles: Titles) -> dict[str, Any]:
    """Seconds per structure of every method."""
    rows = [
        [
            cell(help_groups.method(row["method"], titles), title=row["method"]),
            cell(duration(row["seconds"]), row["seconds"]),
            cell(
                "–" if not np.isfinite(row["relative_to_model"]) else f"{row['relative_to_model']:.1f}",
                row["relative_to_model"],
            ),
            counted(row["prior_calls"]),
            cell("yes" if row["conservative"] else "no"),
        ]
        for row in table.to_dict("records")
    ]
    return cells.table(["Method", "CPU time per structure", "Times the model", "Prior calls", "Conservative"], rows)


def signs_table(table: pd.DataFrame, titles: Titles) -> dict[str, Any]:
    """How well the signs find errors, on all held-out structures."""
    estimate = lambda row, name, low, high: cell(f"{row[name]:.2f} [{row[low]:.2f}, {row[high]:.2f}]", row[name])
    rows = [
        [
            cell(help_groups.method(row["model"], titles)),
            cell(help_groups.SIGNS.get(row["sign"], row["sign"]) + (" (recommended)" if row["recommended"] else "")),
            estimate(row, "spearman", "ci_low", "ci_high"),
            estimate(row, "auroc", "auroc_ci_low", "auroc_ci_high"),
            estimate(row, "kept_half_relative", "kept_half_ci_low", "kept_half_ci_high"),
            counted(row["n_structures"]),
        ]
        for row in table[table.group == ALL].to_dict("records")
    ]
    head = [
        "Model",
        "Sign",
        "Rank correlation",
        "AUROC of the worst tenth",
        "Error of the half kept / all",
        "Structures",
    ]
    return cells.table(head, rows)


def render(
    template: Path, tables: Mapping[str, pd.DataFrame], titles: Titles, figures: Path, lines: Sequence[str], run: str
) -> str:
    """HTML of the page; tables: groups, signs, payoff, crossing, costs; figures: their folder; lines: on the models."""
    groups, signs = tables["groups"], tables["signs"]
    names = [*dict.fromkeys(groups.method)]
    with_head = [m for m in titles if f"{m}_corrected" in names]
    answer = [single_sentence(groups, titles)]
    answer += [
        strategy_sentence(groups, m, titles, "single", "the best single model")
        for m in ("committee_rescued", "committee_weighted")
        if m in names
    ]
    answer += [
        strategy_sentence(groups, f"{m}_{way}", titles, "model", "the model alone")
        for m in with_head
        for way in ("corrected", "rescued", "ttt", "distilled")
        if f"{m}_{way}" in names
    ]
    answer += [worse_models(groups, titles), sign_sentence(signs, titles), crossing_sentence(tables["crossing"])]
    drawn = {name: embedded(figures / f"{name}.svg") for name in HELP if (figures / f"{name}.svg").exists()}
    of = lambda *which: [drawn[name] for name in which if name in drawn]
    sections = [
        {
            "name": "models",
            "title": "Models and help, group by group",
            "texts": [],
            "code": "",
            "figures": of("fig_help_models", "fig_help_groups"),
            "tables": [
                {
                    "content": groups_table(groups, titles),
                    "heading": "Force MAE, meV/Å, 95 % intervals over molecules.",
                    "folded": "All methods in all held-out groups",
                },
                {
                    "content": costs_table(tables["costs"], titles),
                    "heading": "CPU time of one core, as measured in this run.",
                    "folded": "What it costs",
                },
            ],
        },
        {
            "name": "signs",
            "title": "Am I outside?",
            "texts": ["None of these signs needs a label; which one to trust was chosen on the validation groups."],
            "code": "",
            "figures": of("fig_help_signs"),
            "tables": [
                {"content": signs_table(signs, titles), "heading": "All held-out structures.", "folded": "All signs"}
            ],
        },
        {
            "name": "payoff",
            "title": "When does it pay?",
            "texts": [],
            "code": "",
            "figures": of("fig_help_payoff"),
            "tables": [],
        },
    ]
    first = groups[groups.method == "prior"]
    held = first[first.group == ALL]
    lead = "Force errors of potentials as they are, and of label-free help for them."
    if len(held):
        lead += (
            f" {count(held.n_structures.iloc[0])} held-out structures of"
            f" {several(count(held.n_molecules.iloc[0]), 'molecule')}; choices were made on other molecules."
        )
    return page(template).render(
        title="Universal potentials where they were not trained",
        lead=lead,
        run=run,
        answer=[text for text in answer if text],
        warnings=list(lines),
        sections=sections,
    )
