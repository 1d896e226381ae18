"""The rational choice on the page: its few distinct answers, and which of them holds where."""

from typing import Any

import numpy as np
import pandas as pd

from mlipshift.base.text import several
from mlipshift.catalogue.methods import look, scheme_title
from mlipshift.show.report import cells
from mlipshift.show.report.cells import Cell, cell, error
from mlipshift.show.report.format import bracket, duration, number, sample
from mlipshift.show.report.results import Results
from mlipshift.show.report.results import first as first_row

Table = dict[str, list] | None
PRIOR, PREDICTIONS, BUDGET = "prior_seconds", "predictions_per_adaptation", "budget_seconds_per_prediction"
NOTHING = "none is that cheap"
ANY = 1e99  # s, for sorting


def answers_table(results: Results) -> Table:
    """Every method that is the choice somewhere, most accurate first, and for how many of the settings it is."""
    table = results.optional("decision")
    if table is None:
        return None
    rows = []
    for _, part in table.dropna(subset=["choice"]).sort_values("error_meV_per_A").groupby("choice", sort=False):
        seconds = part.seconds_per_prediction
        takes = _span(seconds.min(), seconds.max())
        often = cell(f"{len(part)} of {len(table)}", len(part))
        rows.append([_choice(part), error(part.error_meV_per_A.iloc[0]), cell(takes, seconds.min()), often])
    return cells.table(["Choice", "Error (meV/Å)", "Takes per prediction", "Settings"], rows)


def decision_table(results: Results) -> Table:
    """The choice by allowed time, cost of a prior call and predictions per adaptation; equal neighbours are one."""
    table = results.optional("decision")
    if table is None:
        return None
    table = table.assign(**{BUDGET: table[BUDGET].fillna(np.inf)})
    choices = table.assign(choice=table.choice.fillna("")).pivot(index=[BUDGET, PRIOR], columns=PREDICTIONS)["choice"]
    choices = choices.sort_index(level=[BUDGET, PRIOR], ascending=[False, True])
    columns = _runs([choices[c].tolist() for c in choices])
    rows = []
    for budget, block in choices.groupby(level=BUDGET, sort=False):
        for first, last in _runs(block.values.tolist()):
            prior = [block.index[k][1] for k in (first, last)]
            chosen = table[(table[BUDGET] == budget) & table[PRIOR].between(*prior)]
            line = [
                cell(duration(budget) if np.isfinite(budget) else "any", min(budget, ANY)),
                cell(_span(*prior), prior[0]),
            ]
            for left, right in columns:
                ends = choices.columns[left], choices.columns[right]
                line.append(_choice(chosen[chosen[PREDICTIONS].between(*ends)]))
            rows.append(line)
    head = [_predictions(choices.columns[left], choices.columns[right]) for left, right in columns]
    return cells.table(["Allowed per prediction", "A prior call takes", *head], rows)


def form(results: Results) -> dict[str, Any] | None:
    """What the form of the page decides from: {"methods", "start", "sample"}; None where the run has no such table.

    methods: error (meV/Å), its interval and the costs of each; start: what the form asks for at first; sample: what
    the errors are of. The browser decides as mitigate.decision does.
    """
    table, choices = results.optional("decision_methods"), results.optional("decision")
    if table is None:
        return None
    methods = [
        {
            "name": row["method"],
            "title": scheme_title(row["method"]),
            "colour": look(row["method"])[0],
            "error": _plain(row["error_meV_per_A"]),
            "interval": bracket(row["ci_low_meV_per_A"], row["ci_high_meV_per_A"]),
            "seconds": row["seconds_per_prediction"],
            "prior_calls": row["prior_calls_per_prediction"],
            "adaptation_calls": row["prior_calls_per_adaptation"],
            "adaptation_seconds": row["seconds_per_adaptation"],
        }
        for row in table.to_dict("records")
    ]
    call = first_row(results.tables["seconds"].query("method == 'prior'"))
    measured = float(f"{call['seconds_per_structure']:.2g}") if call is not None else 1.0
    budgets = [] if choices is None else choices[BUDGET].dropna().tolist()
    start = {"predictions": 1000, "prior_seconds": measured, "budget": max(budgets, default=None), "tolerance": None}
    return {"methods": methods, "start": start, "measured": call is not None, "sample": sample(table.iloc[0])}


def _plain(value: float) -> float | None:
    """A number as JSON has it, which knows no NaN."""
    return float(value) if np.isfinite(value) else None


def _runs(lines: list[list[str]]) -> list[tuple[int, int]]:
    """(first, last) of every run of equal lines."""
    starts = [k for k in range(len(lines)) if k == 0 or lines[k] != lines[k - 1]]
    return list(zip(starts, [*(k - 1 for k in starts[1:]), len(lines) - 1]))


def _span(low: float, high: float) -> str:
    first, last = duration(low), duration(high)
    return first if first == last else f"{first} to {last}"


def _predictions(low: float, high: float) -> str:
    return several(f"{low:,.0f}" if low == high else f"{low:,.0f} to {high:,.0f}", "prediction")


def _choice(part: pd.DataFrame) -> Cell:
    """The choice that all rows of the table of the decision have, its error and time when pointed at."""
    row = part.iloc[0]
    if not isinstance(row["choice"], str):
        return cell(NOTHING)
    takes = _span(part.seconds_per_prediction.min(), part.seconds_per_prediction.max())
    title = f"{number(row['error_meV_per_A'])} meV/Å, {takes} per prediction"
    return cell(scheme_title(row["choice"]), title=title, colour=look(row["choice"])[0])
