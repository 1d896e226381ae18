"""Tidy tables as CSV: fixed column order, fixed float format, so that equal results are equal bytes."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mlipshift.base.files import replacing

if TYPE_CHECKING:
    import pandas as pd

NAMES = ["id", "group", "molecule", "same_as", "same_as_group", "also_in"]  # columns of text that may look like numbers
FAILURES = ["id", "group", "stage", "reason"]  # columns of every table of structures that are left out


def _cell(value):
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value)).lower()
    if isinstance(value, (float, np.floating)):
        return "" if np.isnan(value) else format(float(value), ".8g")
    return "" if value is None else str(value)


def write_table(
    path: Path | str, rows: "Iterable[Mapping[str, object]] | pd.DataFrame", columns: Sequence[str] | None = None
) -> None:
    """Write rows (dicts, or a pandas DataFrame) to CSV; floats with 8 significant digits.

    columns: in order; by default those of the DataFrame, or the keys of the first row, for which the rows have to be
    a list. A table that may have no rows needs them, as its columns do not depend on what it holds: ValueError without.
    """
    if hasattr(rows, "columns") and hasattr(rows, "to_dict"):
        columns = columns or list(rows.columns)
        rows = rows.to_dict("records")
    if not columns:
        if not rows:
            raise ValueError(f"{path}: a table without rows needs columns")
        assert isinstance(rows, Sequence)
        columns = list(rows[0])
    with replacing(path) as part, open(part, "w", newline="") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(columns)
        for row in rows:
            writer.writerow([_cell(row.get(c)) for c in columns])


def read_table(path: Path | str) -> "pd.DataFrame":
    """DataFrame of a CSV written by write_table; empty cells are missing values, and names stay text: 0007 is not 7."""
    import pandas as pd

    return pd.read_csv(path, keep_default_na=False, na_values=[""], dtype=dict.fromkeys(NAMES, str))
