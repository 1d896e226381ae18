"""Tidy tables as CSV: fixed column order, fixed float format, so that equal results are equal bytes."""

import csv

import numpy as np

from mlipshift.base.files import replacing


def _cell(value):
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value)).lower()
    if isinstance(value, (float, np.floating)):
        return "" if np.isnan(value) else format(float(value), ".8g")
    return "" if value is None else str(value)


def write_table(path, rows, columns=None):
    """Write rows (list of dicts, or a pandas DataFrame) to CSV; floats with 8 significant digits."""
    if hasattr(rows, "to_dict"):
        columns = columns or list(rows.columns)
        rows = rows.to_dict("records")
    columns = columns or list(rows[0])
    with replacing(path) as part, open(part, "w", newline="") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(columns)
        for row in rows:
            writer.writerow([_cell(row.get(c)) for c in columns])


def read_table(path):
    """DataFrame of a CSV written by write_table; empty cells are missing values."""
    import pandas as pd

    return pd.read_csv(path, keep_default_na=False, na_values=[""])
