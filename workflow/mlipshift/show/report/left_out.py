"""What both reports say of the input: structures left out, labels missing or odd, structures that occur twice."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mlipshift.base.tables import read_table
from mlipshift.catalogue.groups import GROUPS, ordered
from mlipshift.catalogue.headings import INPUT_REPORT
from mlipshift.evaluate.left_out import counted, with_groups
from mlipshift.show.report import cells
from mlipshift.show.report.cells import Cell, cell, group_cell
from mlipshift.show.report.cells import counted as number_of
from mlipshift.show.report.downloads import shown

Shown = list[dict[str, object]]


def lines(paths: Iterable[Path]) -> list[str]:
    """What the user was told when the files were read and their labels checked."""
    return [line for path in paths for line in path.read_text(encoding="utf-8").splitlines()]


def of_models(errors: Sequence[Path], failures: Iterable[Path]) -> list[dict]:
    """Failures of models with the group of each structure.

    errors: tables of the errors of all structures, which have their groups; failures: tables of failures.
    """
    rows = [row for path in failures for row in read_table(path).to_dict("records")]
    groups: dict[str, str] = {}
    for path in errors[:1] if rows else ():
        table = read_table(path)
        groups = dict(zip(table["id"], table["group"]))
    return with_groups(rows, groups)


def tables(given: Mapping[str, pd.DataFrame], later: Iterable[Mapping[str, str]] = ()) -> Shown:
    """[{id, title, heading, content, downloads}] of the tables that have something to say.

    given: DataFrames "census", "left_out", "label_check", "duplicate_counts"; later: failures of models or methods.
    """
    more = counted(later, given["census"])
    left_out = [*given["left_out"].to_dict("records"), *more]
    made = {
        "census": _census(given["census"]),
        "left_out": _left_out(left_out),
        "duplicates": _duplicates(given["duplicate_counts"]),
        "label_check": _label_check(given["label_check"]),
    }
    return [shown(key, INPUT_REPORT[key], content, given) for key, content in made.items() if content["rows"]]


def _in_order(table: pd.DataFrame) -> list[dict]:
    place = {group: k for k, group in enumerate(ordered(table.group, GROUPS))}
    return sorted(table.to_dict("records"), key=lambda row: place[row["group"]])


def _census(table):
    columns = ("n_read", "n_left_out", "n_used", "n_energy", "n_forces", "n_zero_forces", "n_net_force")
    head = ["Group", "Read", "Left out", "Used", "With energy", "With forces", "Forces all zero", "Net force"]
    return cells.table(head, [[group_cell(r["group"]), *(number_of(r[c]) for c in columns)] for r in _in_order(table)])


def _left_out(rows):
    head = ["Group", "Stage", "Reason", "Structures", "Of"]
    return cells.table(
        head,
        [
            [
                group_cell(str(r["group"])),
                *(cell(str(r[c])) for c in ("stage", "reason")),
                *(number_of(np.nan if r[c] is None else r[c]) for c in ("n_structures", "n_of")),
            ]
            for r in rows
        ],
    )


def _duplicates(table):
    rows = [
        [group_cell(r["group"]), _place(r), *(number_of(r[c]) for c in ("n_structures", "n_of"))]
        for r in table.to_dict("records")
    ]
    return cells.table(["Group", "Also in", "Structures", "Of"], rows)


def _place(row: Mapping[str, Any]) -> Cell:
    return cell("the group itself") if row["group"] == row["also_in"] else group_cell(row["also_in"])


def _label_check(table):
    head = ["Group", "Structures", "Correlation of forces", "Slope", "Ratio of norms"]
    head += ["Energy differences", "Correlation", "Slope", "Verdict"]
    fit = lambda row, name: cell("–" if np.isnan(row[name]) else f"{row[name]:.3g}".replace("-", "−"), row[name])
    rows = [
        [
            group_cell(r["group"]),
            number_of(r["n_structures"]),
            *(fit(r, name) for name in ("correlation", "slope", "norm_ratio")),
            number_of(r["n_energies"]),
            *(fit(r, name) for name in ("energy_correlation", "energy_slope")),
            cell(str(r["verdict"])),
        ]
        for r in _in_order(table)
    ]
    return cells.table(head, rows)
