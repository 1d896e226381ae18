"""How many structures of every group were left out at which stage, and why."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from mlipshift.base.text import kind

if TYPE_CHECKING:
    import pandas as pd

LEFT_OUT = ["group", "stage", "reason", "n_structures", "n_of"]
INPUT = "curate"  # stage of what is left out when the files are read


def counted(failures: Iterable[Mapping[str, str]], census: "pd.DataFrame") -> list[dict]:
    """Rows of LEFT_OUT: structures per group, stage and kind of reason, in the order in which these come first.

    failures: rows with group, stage and reason; census: table of the structures of every group. n_of: those that were
    read, or that later stages have; missing for a group that the census does not know.
    """
    sizes = census.set_index("group")
    counts = Counter((str(row["group"]), str(row["stage"]), kind(str(row["reason"]))) for row in failures)
    of = lambda group, stage: (
        sizes.loc[group, "n_read" if stage == INPUT else "n_used"] if group in sizes.index else None
    )
    return [
        dict(zip(LEFT_OUT, (group, stage, reason, number, of(group, stage))))
        for (group, stage, reason), number in counts.items()
    ]


def with_groups(failures: Iterable[Mapping[str, object]], groups: Mapping[str, str]) -> list[dict]:
    """Rows of failures, those without a group with that of their id; groups: {id: group}."""
    rows = [dict(row) for row in failures]
    return [
        row if isinstance(row.get("group"), str) else row | {"group": groups.get(str(row["id"]), "")} for row in rows
    ]
