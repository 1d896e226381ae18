"""What no number of the page on models as they are is of: elements, charges, other levels of theory."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from mlipshift.base.text import kind, listed, reasons, several
from mlipshift.show import help_groups
from mlipshift.show.report import cells
from mlipshift.show.report.cells import cell, counted

ELEMENT = re.compile(r"element (.+) unknown to the model")
HEAD = ["Model", "Level of theory it learned", "Structures", "Taken", "Elements not covered", "Other reasons"]


def of_models(
    failures: Mapping[str, pd.DataFrame],
    structures: pd.DataFrame,
    levels: Mapping[str, str | None],
    level: str | None,
    titles: Mapping[str, str],
) -> dict[str, Any]:
    """Table: level of theory of every model beside that of the labels, and which structures it does not take.

    failures {model: table of the structures without a prediction}; structures: a table with id and group of all;
    levels {model: what it learned, None for the labels of this run}; level: that of the labels.
    """
    held_out = set(structures.id[structures.group.astype(str).str.startswith("ood_")])
    rows = []
    for model in titles:
        own = failures[model]
        said = own.reason[own.id.isin(held_out)].astype(str)
        elements, others = _sorted_out(said)
        learned = levels.get(model)
        rows.append(
            [
                cell(help_groups.method(model, titles), title=model),
                cell(learned or "as in this run", title="that of the labels" if _same(learned, level) else None),
                counted(len(held_out)),
                counted(len(held_out) - own.id[own.id.isin(held_out)].nunique()),
                cell(", ".join(elements) or "–"),
                cell(reasons(others) or "–"),
            ]
        )
    return cells.table(HEAD, rows)


def _sorted_out(said):
    """(elements that are unknown, {other reason: structures})."""
    elements: set[str] = set()
    others: Counter[str] = Counter()
    for reason in said:
        if found := ELEMENT.fullmatch(reason):
            elements |= set(re.split(r", | and ", found[1]))
        else:
            others[reason] += 1
    return sorted(elements), others


def why(said: Iterable[str]) -> str:
    """'elements B and Si unknown to it; charged (12)' of the reasons why structures have no prediction."""
    elements, others = _sorted_out(map(str, said))
    unknown = [f"element{'s' if len(elements) > 1 else ''} {listed(elements)} unknown to it"] if elements else []
    return "; ".join([*unknown, *([reasons(Counter(kind(r) for r in others.elements()))] if others else [])])


def _same(learned, level):
    plain = lambda text: "".join(str(text).casefold().replace("ω", "w").split())
    return learned is None or (level is not None and plain(learned) == plain(level))


def on_levels(levels: Mapping[str, str | None], level: str | None, titles: Mapping[str, str]) -> str:
    """Which models learned another level of theory than that of the labels; empty where none did."""
    others = [help_groups.method(m, titles) for m in titles if not _same(levels.get(m), level)]
    if not others:
        return ""
    if level is None:
        return (
            "The level of theory of the labels is not stated (data.level): errors contain the difference to it, if any."
        )
    return (
        f"The labels are {level}. {several(len(others), 'model')} learned another level of theory, and the errors of"
        f" {listed(others)} contain the difference."
    )
