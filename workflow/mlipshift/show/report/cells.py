"""Cells of the tables of a page."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from mlipshift.base.text import count
from mlipshift.catalogue.groups import group
from mlipshift.catalogue.methods import METHODS, look, title
from mlipshift.evaluate.statistics import CHEMICAL_ACCURACY
from mlipshift.show.report.format import LOW, MEAN, interval, number, share

Cell = dict[str, object]
Row = Mapping[str, Any]
ERROR_HEAD = (
    "Mean (meV/Å)",
    "95 % interval (meV/Å)",
    "Median (meV/Å)",
    "Quartiles (meV/Å)",
    "Below 25 meV/Å",
    f"Below {CHEMICAL_ACCURACY} meV/Å",
)


def cell(text: str, value: float | str | None = None, title: str | None = None, colour: str | None = None) -> Cell:
    """One table cell; `value` is what sorting uses, numbers are aligned right."""
    if value is not None and not np.isfinite(value):
        value = None
    return {
        "text": text,
        "sort": text if value is None else value,
        "title": title,
        "colour": colour,
        "number": value is not None or text == "–",
    }


def table(head: Iterable[str], rows: Iterable[list[Cell]]) -> dict[str, list]:
    """A table of a page."""
    return {"head": list(head), "rows": list(rows)}


def method_cell(key: str) -> Cell:
    """A method with its colour, its meaning when pointed at."""
    return cell(title(key), title=f"{key}: {METHODS[key].meaning}" if key in METHODS else key, colour=look(key)[0])


def group_cell(key: str) -> Cell:
    """A group, its key when pointed at."""
    return cell(group(key), title=key)


def counted(value: float) -> Cell:
    """A number of structures, molecules or seeds."""
    return cell(count(value) if np.isfinite(value) else "–", value)


def error(value: float, sign: bool = False) -> Cell:
    """An error, or a difference of errors with its sign."""
    return cell(number(value, sign), value)


def shared(value: float, number_of: float = np.inf) -> Cell:
    """A share of so many structures."""
    return cell(share(value, number_of), value)


def error_cells(row: Row) -> list[Cell]:
    """Cells under ERROR_HEAD of one row of the summary."""
    median, q25, q75 = (row[f"{k}_meV_per_A"] for k in ("median", "q25", "q75"))
    return [
        error(row[MEAN]),
        cell(interval(row), row[LOW]),
        error(median),
        cell(f"{number(q25)} to {number(q75)}", q25),
        *(shared(row[k], row["n_structures"]) for k in ("below_25_meV_per_A", "below_43_meV_per_A")),
    ]


def difference_cells(row: Row, prefix: str = "") -> list[Cell]:
    """Paired difference and its interval; prefix of the columns of the interval."""
    return [error(row["difference_meV_per_A"], True), cell(interval(row, True, prefix), row[prefix + LOW])]
