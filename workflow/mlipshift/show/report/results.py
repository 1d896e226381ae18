"""The tables of a run with look-ups by group and method."""

from collections.abc import Mapping

import pandas as pd

from mlipshift.catalogue.groups import AXES, POOLED, ordered


class Results:
    """The tables of a run.

    tables: {name: DataFrame} of those that the report needs, and of its optional ones if there.
    """

    def __init__(self, tables: Mapping[str, pd.DataFrame]) -> None:
        self.tables = tables
        self.summary, self.paired = tables["summary"], tables["paired"]

    def optional(self, name: str) -> pd.DataFrame | None:
        """A table, None if it is not there or has no rows."""
        table = self.tables.get(name)
        return None if table is None or len(table) == 0 else table

    @property
    def of_one_molecule(self) -> bool:
        """Whether the structures of some row of a table are all of one molecule."""
        return any("n_molecules" in table and (table.n_molecules == 1).any() for table in self.tables.values())

    def error(self, key: str, where: str = POOLED) -> pd.Series | None:
        """Row of the summary, or None."""
        return first(self.summary[(self.summary.group == where) & (self.summary.method == key)])

    @property
    def shifts(self) -> list[str]:
        """Names of the held-out groups, without ood_, in display order."""
        groups = {g.removeprefix("ood_") for g in self.summary.group if g.startswith("ood_") and g != POOLED}
        return ordered(groups, AXES)

    def pair(self, key: str, baseline: str, where: str = POOLED) -> pd.Series | None:
        """Row of the paired table, or None."""
        t = self.paired
        return first(t[(t.group == where) & (t.method == key) & (t.baseline == baseline)])


def first(rows: pd.DataFrame) -> pd.Series | None:
    """First row of a table, None if there is none."""
    return None if len(rows) == 0 else rows.iloc[0]
