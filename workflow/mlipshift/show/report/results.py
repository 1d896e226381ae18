"""The tables of a run with look-ups by group and method."""

from collections.abc import Mapping

import pandas as pd

from mlipshift.catalogue.groups import AXES, POOLED, ordered
from mlipshift.catalogue.methods import METHODS
from mlipshift.evaluate import statistics


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

    @property
    def candidates(self) -> pd.DataFrame:
        """Rows of the frontier of what one may choose; errors as they are shown, the plainer of equal methods first."""
        mean = statistics.MEAN[0]
        table = self.tables["frontier"].dropna(subset=[mean])
        table = table[~table.method.isin([key for key, method in METHODS.items() if method.control])]
        place = [list(METHODS).index(k) for k in table.method]
        return table.assign(place=place, **{mean: table[mean].round(1)}).sort_values("place")

    def against(self, key: str, baseline: str, where: str = POOLED) -> pd.Series | None:
        """`pair`, or the pair of the two the other way round with its difference turned."""
        row, turned = self.pair(key, baseline, where), self.pair(baseline, key, where)
        if row is not None or turned is None:
            return row
        difference, low, high = "difference_meV_per_A", *statistics.INTERVAL
        return pd.Series({**turned, difference: -turned[difference], low: -turned[high], high: -turned[low]})

    def pair(self, key: str, baseline: str, where: str = POOLED) -> pd.Series | None:
        """Row of the paired table, or None."""
        t = self.paired
        return first(t[(t.group == where) & (t.method == key) & (t.baseline == baseline)])


def first(rows: pd.DataFrame) -> pd.Series | None:
    """First row of a table, None if there is none."""
    return None if len(rows) == 0 else rows.iloc[0]
