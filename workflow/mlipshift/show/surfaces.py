"""Names, colours and order of what the figures of energy surfaces and bonds show."""

from collections.abc import Iterable, Sequence

import pandas as pd

from mlipshift.catalogue import methods

FORCES = ("direct", "gradient")
SCANS = {"soft": "softest directions", "wide": "softest directions, further out", "stiff": "stiffest directions"}
ORDER = ("prior", "reference", "supervised", "delta", "joint", "joint_ttt_minimum", "joint_ttt_directions")


def split(method: str) -> tuple[str, str]:
    """(method, other kind of forces) of a key such as joint_direct; no kind for that of the run."""
    base, _, kind = method.rpartition("_")
    return (base, kind) if base and kind in FORCES else (method, "")


def title(method: str) -> str:
    """Display name of a method of these figures."""
    if method == "reference":
        return "DFT"
    base, kind = split(method)
    return methods.scheme_title(base) + (f", {kind} forces" if kind else "")


def ordered(found: Iterable[str]) -> list[str]:
    """Methods in the order of ORDER, those with other forces behind their own, the rest by the catalogue and name."""
    known = [*ORDER, *methods.METHODS, *methods.ON_SURFACES]

    def place(method):
        base, kind = split(method)
        return (bool(kind), known.index(base) if base in known else len(known), method)

    return sorted(dict.fromkeys(found), key=place)


def molecule(name: str) -> str:
    """Name of a molecule for a reader."""
    return name.replace("_", " ").capitalize()


def over_seeds(table: pd.DataFrame, by: Sequence[str], column: str) -> pd.DataFrame:
    """Mean, least and largest value over seeds of a column: columns `by`, mean, low, high."""
    seeds = table.groupby(list(by), sort=False)[column]
    return seeds.agg(["mean", "min", "max"]).rename(columns={"min": "low", "max": "high"}).reset_index()
