"""Bars of the structures per bin of the force error, before and after test-time training and of INSTEAD."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from mlipshift.base.text import count
from mlipshift.catalogue import methods
from mlipshift.catalogue.groups import ordered
from mlipshift.show import panels as parts
from mlipshift.show import style
from mlipshift.show.panels import INSTEAD
from mlipshift.show.style import INK, MUTED

LEFT, RIGHT = "bin_left_meV_per_A", "bin_right_meV_per_A"


def canvas(rows: int) -> tuple[Figure, np.ndarray]:
    """Figure of so many panels [rows, 1] below one another."""
    margins = {"left": 0.6, "right": 0.15, "top": 0.75, "bottom": 0.8, "hspace": 0.55}
    height = 1.55 + 1.25 * rows + 0.55 * (rows - 1)
    return style.canvas(height, rows, 1, **margins, sharex=True, sharey=True)


def shown(table: pd.DataFrame, methods: list[str]) -> pd.DataFrame:
    """Rows of methods, and of INSTEAD, in the bins in which one of them has a structure."""
    table = table[table.method.isin([*methods, *INSTEAD])]
    filled = table.groupby(LEFT).n_structures.max()
    return table[table[LEFT].isin(filled[filled > 0].index)]


def of(table: pd.DataFrame, key: str) -> pd.DataFrame:
    """Rows of a method, by bin."""
    return table[table.method == key].sort_values(LEFT).reset_index()


def bars(panel: Axes, table: pd.DataFrame, keys: tuple[str, str]) -> float:
    """Bars of the structures per error bin before and after, with the change, and of INSTEAD; the highest bar."""
    (before, after), colour = (of(table, key) for key in keys), style.colour(keys[1])
    instead = {key: rows for key in INSTEAD if len(rows := of(table, key))}
    x, width = np.arange(len(before)), (0.38, 0.27, 0.21)[len(instead)]
    bar: dict[str, Any] = {"width": width, "edgecolor": colour, "lw": 0.9}
    left = width * (1 + len(instead)) / 2
    panel.bar(x - left, before.n_structures, color="white", **bar)
    panel.bar(x - left + width, after.n_structures, color=colour, **bar)
    highest = max(before.n_structures.max(), after.n_structures.max())
    for k, (key, rows) in enumerate(instead.items(), 2):
        other = style.colour(key)
        panel.bar(x - left + k * width, rows.n_structures, color=other, alpha=0.55, **bar | {"edgecolor": other})
        highest = max(highest, rows.n_structures.max())
    tops = np.maximum(before.n_structures, after.n_structures)
    for at, top, change in zip(x - left + width / 2, tops, after.n_structures - before.n_structures):
        if top == 0:
            continue
        text = "0" if abs(change) < 0.05 else f"{'+' if change > 0 else '−'}{count(abs(change))}"
        above: dict[str, Any] = {"textcoords": "offset points", "ha": "center", "va": "bottom", "size": 7}
        panel.annotate(text, (at, top), (0, 2.5), **above, color=INK if text != "0" else MUTED)
    ends = zip(before[LEFT], before[RIGHT])
    panel.set_xticks(x, [f"{a:g}–{b:g}" if np.isfinite(b) else f"> {a:g}" for a, b in ends])
    panel.tick_params(axis="x", length=0)
    panel.set_ylabel("Structures")
    return highest


def finish(figure: Figure, panels: np.ndarray, highest: float, title: str, sample: str, shown: Iterable[str]) -> None:
    """Common height, label, title and legend; shown: methods, of which those of INSTEAD are in the legend."""
    panels[0, 0].set_ylim(0, highest * 1.15)
    parts.foot(panels, len(panels), "Force MAE of the structure (meV/Å)")
    style.head(figure, title, f"Held-out shift groups, {sample}")
    style.legend(figure, _handles(ordered(set(shown) & set(INSTEAD), methods.METHODS)), 0.22, 5)


def _handles(instead: list[str]) -> list[Artist]:
    pale: dict[str, Any] = {"alpha": 0.55}
    colours = {key: style.colour(key) for key in instead}
    return [
        Patch(facecolor="white", edgecolor=MUTED, lw=0.9, label="Before TTT"),
        Patch(facecolor=MUTED, edgecolor=MUTED, label="After TTT"),
        *(Patch(facecolor=c, edgecolor=c, label=methods.title(key), **pale) for key, c in colours.items()),
        Line2D([], [], ls="none", marker="$\\pm$", color=INK, ms=6, mew=0.3, label="Change (structures)"),
    ]
