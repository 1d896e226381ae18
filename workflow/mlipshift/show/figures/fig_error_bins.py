"""Structures per error bin, before and after TTT."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from mlipshift.base.text import count
from mlipshift.catalogue import methods
from mlipshift.catalogue.groups import POOLED, ordered
from mlipshift.catalogue.methods import METHODS
from mlipshift.show import panels as parts
from mlipshift.show import samples
from mlipshift.show.figures.error_counts import LEFT, RIGHT, bars, canvas, finish, shown
from mlipshift.show.panels import INSTEAD

NEEDS = {"error_bins": ("method", LEFT, RIGHT, "n_structures"), "summary": samples.SUMMARY}
ADAPTED = ("joint_ttt", "freeze_ttt")


def draw(tables: Mapping[str, pd.DataFrame], title: str) -> tuple[Figure, dict[str, str]]:
    """(figure, facts of the caption)."""
    table = tables["error_bins"]
    pairs = [(before, key) for key in ADAPTED if (before := METHODS[key].before)]
    pairs = [pair for pair in pairs if {*pair} <= set(table.method)]
    samples.need(pairs, "error_bins", "a method before and after TTT")
    compared = [key for pair in pairs for key in pair]
    filled = shown(table, compared)
    figure, panels = canvas(len(pairs))
    highest: float = 0
    for panel, keys in zip(panels[:, 0], pairs):
        highest = max(highest, bars(panel, filled, keys))
        panel.set_title(" → ".join(map(methods.title, keys)), pad=6)
    sample = samples.sample(tables["summary"], [POOLED], compared)
    finish(figure, panels, highest, title, sample, table.method)
    lowest = table[table.method == pairs[0][0]].sort_values(LEFT).iloc[0]
    below = "; ".join(f"{methods.title(b)} {_lowest(table, a)} before, {_lowest(table, b)} after" for a, b in pairs)
    for key in ordered(set(table.method) & set(INSTEAD), METHODS):
        below += f"; {methods.title(key)} {_lowest(table, key)}"
    return figure, parts.instead(table.method) | {
        "sample": sample,
        "limit": f"{lowest[RIGHT]:g}",
        "below": below,
    }


def _lowest(table: pd.DataFrame, key: str) -> str:
    """'12 of 174': structures in the lowest error bin."""
    part = table[table.method == key].sort_values(LEFT)
    return f"{count(part.n_structures.iloc[0])} of {count(part.n_structures.sum())}"
