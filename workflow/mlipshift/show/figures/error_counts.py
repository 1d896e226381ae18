"""Bars of the structures per bin of the force error, before and after test-time training."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from mlipshift.base.text import count
from mlipshift.show import panels as parts
from mlipshift.show import style
from mlipshift.show.style import INK, MUTED

LEFT, RIGHT = "bin_left_meV_per_A", "bin_right_meV_per_A"


def canvas(rows: int) -> tuple[Figure, np.ndarray]:
    """Figure of so many panels [rows, 1] below one another."""
    margins = {"left": 0.6, "right": 0.15, "top": 0.75, "bottom": 0.8, "hspace": 0.55}
    height = 1.55 + 1.25 * rows + 0.55 * (rows - 1)
    return style.canvas(height, rows, 1, **margins, sharex=True, sharey=True)


def pair_of(table: pd.DataFrame, keys: tuple[str, str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows of two methods, by bin."""
    before, after = (table[table.method == key].sort_values(LEFT).reset_index() for key in keys)
    return before, after


def bars(panel: Axes, before: pd.DataFrame, after: pd.DataFrame, colour: str) -> float:
    """Bars of the structures per error bin before and after, with the change; returns the highest bar."""
    x = np.arange(len(before))
    bar: dict[str, Any] = {"width": 0.38, "edgecolor": colour, "lw": 0.9}
    panel.bar(x - 0.2, before.n_structures, color="white", **bar)
    panel.bar(x + 0.2, after.n_structures, color=colour, **bar)
    tops = np.maximum(before.n_structures, after.n_structures)
    for at, top, change in zip(x, tops, after.n_structures - before.n_structures):
        text = "0" if abs(change) < 0.05 else f"{'+' if change > 0 else '−'}{count(abs(change))}"
        above: dict[str, Any] = {"textcoords": "offset points", "ha": "center", "va": "bottom", "size": 7}
        panel.annotate(text, (at, top), (0, 2.5), **above, color=INK if text != "0" else MUTED)
    ends = zip(before[LEFT], before[RIGHT])
    panel.set_xticks(x, [f"{a:g}–{b:g}" if np.isfinite(b) else f"> {a:g}" for a, b in ends])
    panel.tick_params(axis="x", length=0)
    panel.set_ylabel("Structures")
    return tops.max()


def finish(figure: Figure, panels: np.ndarray, highest: float, title: str, sample: str) -> None:
    """Common height, label, title and legend."""
    panels[0, 0].set_ylim(0, highest * 1.15)
    parts.foot(panels, len(panels), "Force MAE of the structure (meV/Å)")
    style.head(figure, title, f"Held-out shift groups, {sample}")
    style.legend(figure, _handles(), 0.22, 3)


def _handles() -> list[Artist]:
    return [
        Patch(facecolor="white", edgecolor=MUTED, lw=0.9, label="Before TTT"),
        Patch(facecolor=MUTED, edgecolor=MUTED, label="After TTT"),
        Line2D([], [], ls="none", marker="$\\pm$", color=INK, ms=6, mew=0.3, label="Change (structures)"),
    ]
