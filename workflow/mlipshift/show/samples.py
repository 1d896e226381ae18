"""Numbers of structures, molecules and seeds in words."""

from collections.abc import Iterable, Sized
from typing import TypeVar

import numpy as np
import pandas as pd

from mlipshift.base.text import count, listed, several
from mlipshift.catalogue.groups import group

Rows = TypeVar("Rows", bound=Sized)
SIZES = ("n_structures", "n_molecules", "n_seeds")
SUMMARY = ("group", "method", *SIZES)  # columns of the summary that the functions below read


class NothingToDraw(Exception):
    """Why a figure has nothing to show, as the rest of a sentence; no fault of a run, which may lack an adaptation."""


def need(rows: Rows, name: str, what: str) -> Rows:
    """The rows; NothingToDraw if there are none of table `name`."""
    if len(rows) == 0:
        raise NothingToDraw(f"{name}.csv has no rows for {what}")
    return rows


def span(values: Iterable[float]) -> str:
    """'12' or '12 to 14' of counts, nothing for no counts."""
    values = [float(v) for v in values if np.isfinite(float(v))]
    if not values:
        return ""
    low, high = count(min(values)), count(max(values))
    return low if low == high else f"{low} to {high}"


def sizes(rows: pd.DataFrame) -> str:
    """'n = 174 structures of 43 molecules, 3 seeds' of rows of a table."""
    seeds = span(rows.n_seeds.dropna())
    text = f"n = {span(rows.n_structures)} structures of {several(span(rows.n_molecules), 'molecule')}"
    return text + (f", {several(seeds, 'seed')}" if seeds else "")


def alone(rows: pd.DataFrame) -> dict[str, str]:
    """The fact of a caption that an interval is over the structures of a single molecule, if that of a row is."""
    return {"alone": "yes"} if (rows.n_molecules == 1).any() else {}


def sample(summary: pd.DataFrame, groups: list[str], methods: list[str]) -> str:
    """`sizes` of some rows of the summary."""
    rows = summary[summary.group.isin(groups) & summary.method.isin(methods)]
    return sizes(need(rows, "summary", f"groups {listed(groups)}"))


def samples(summary: pd.DataFrame, groups: list[str], methods: list[str]) -> str:
    """'New elements: n = …. Connectivity: n = ….' of several groups."""
    return " ".join(f"{group(g)}: {sample(summary, [g], methods)}." for g in groups)


def resampling(resampled: str) -> dict[str, str]:
    """Facts of a caption of a diagnosis; resampled: "molecules", or "structures" of one molecule alone."""
    return {"resampled": resampled} | ({} if resampled == "molecules" else {"alone": "yes"})


def interval_label(resampled: str) -> str:
    """Name of an interval in a legend; resampled as in `resampling`."""
    return "95 % interval" if resampled == "molecules" else "95 % interval of one molecule, too narrow"
