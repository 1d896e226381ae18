"""Sentences on models as they are and what helps them, each from the tables of the run."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from mlipshift.base.text import count, listed
from mlipshift.show import help_groups
from mlipshift.show.report.format import bracket, number

Titles = Mapping[str, str]
ALL, ORDINARY = "ood_all", "ood_ordinary"
MEAN, LOW, HIGH = "mean_meV_per_A", "ci_low_meV_per_A", "ci_high_meV_per_A"
HARM = 1.0  # meV/Å on ordinary structures that are no harm


def row_of(table: pd.DataFrame, group: str, method: str) -> pd.Series | None:
    """Row of a method in a group, None where there is none."""
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
    row, prior = row_of(table, ALL, name), row_of(table, ALL, "prior")
    if row is None or prior is None:
        return "No held-out structure has an error of the best single model and of the prior."
    groups = help_groups.held_out(table.group)
    worse = [g for g in groups if (r := row_of(table, g, name)) is not None and _against(r, "prior") == "higher"]
    same = [g for g in groups if (r := row_of(table, g, name)) is not None and _against(r, "prior") == "unclear"]
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
    rows = [(m, row_of(table, ALL, m)) for m in titles]
    worse = [help_groups.method(m, titles) for m, r in rows if r is not None and _against(r, "prior") == "higher"]
    if not worse:
        return "No model is worse than GFN2-xTB over all held-out structures that it takes."
    return (
        f"{listed(worse)} {'are' if len(worse) > 1 else 'is'} worse than GFN2-xTB over the held-out structures taken;"
        " errors contain the difference between the level of theory that a model learned and that of the labels."
    )


def strategy_sentence(table: pd.DataFrame, method: str, titles: Titles, prefix: str, beside: str) -> str:
    """What a strategy gives in every held-out group beside the model or the best single one, and its harm."""
    row = row_of(table, ALL, method)
    if row is None:
        return ""
    groups = [g for g in help_groups.held_out(table.group) if row_of(table, g, method) is not None]
    sides: dict[str, list[str]] = {"lower": [], "unclear": [], "higher": []}
    for g in groups:
        side = _against(row_of(table, g, method), prefix)
        if side:
            sides[side].append(g)
    text = (
        f"{help_groups.method(method, titles)}: {number(row[MEAN])} meV/Å over all held-out structures,"
        f" {_change(row, prefix)} against {beside}."
    )
    words = {"lower": "lower", "unclear": "within its interval", "higher": "higher"}
    parts = [f"{words[side]} for {_named(found)}" for side, found in sides.items() if found]
    text += f" The paired difference is {'; '.join(parts)}."
    ordinary = row_of(table, ORDINARY, method)
    if ordinary is not None and np.isfinite(change := ordinary[f"{prefix}_difference_meV_per_A"]):
        ends = [ordinary[f"{prefix}_{c}"] for c in (LOW, HIGH)]
        verdict = "a gain" if ends[1] < 0 else "no harm" if change <= HARM else "harm" if ends[0] > 0 else "maybe harm"
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


def answer(tables: Mapping[str, pd.DataFrame], titles: Titles) -> list[str]:
    """The answer of the page: the best model, what strategies give, worse models, signs, when help pays."""
    groups = tables["groups"]
    names = [*dict.fromkeys(groups.method)]
    together = [m for m in ("committee_rescued", "committee_weighted") if m in names]
    ways = ("corrected", "rescued", "ttt", "distilled")
    own = [(m, f"{m}_{way}") for m in titles for way in ways if f"{m}_corrected" in names and f"{m}_{way}" in names]
    found = [single_sentence(groups, titles)]
    found += [strategy_sentence(groups, m, titles, "single", "the best single model") for m in together]
    found += [strategy_sentence(groups, m, titles, "model", "the model alone") for _, m in own]
    found += [worse_models(groups, titles), sign_sentence(tables["signs"], titles)]
    return [text for text in (*found, crossing_sentence(tables["crossing"])) if text]
