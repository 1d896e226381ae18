"""Spearman rank correlation of the error of a diagnosed model with every criterion, best first."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from mlipshift.base.text import several
from mlipshift.show import samples, style
from mlipshift.show.criteria import AXES, short
from mlipshift.show.style import INK, MUTED

NEEDS = {
    "ranks": (
        *("axis", "criterion", "needs_labels", "n_structures", "n_molecules"),
        *("spearman", "ci_low", "ci_high"),
    )
}


def draw(
    tables: Mapping[str, pd.DataFrame], title: str, about: Mapping[str, Any]
) -> tuple[Figure, dict[str, str]] | None:
    """(figure, facts of the caption), None without a correlation; about: diagnosis.json and "title" of the model."""
    table = tables["ranks"].dropna(subset=["spearman"])
    if not len(table):
        return None
    height = 1.15 + 0.23 * len(table)
    figure, panels = style.canvas(height, 1, 1, left=2.75, right=0.55, top=0.55, bottom=0.6)
    _bars(panels[0, 0], table)
    style.head(figure, title, f"{about['title']}; first: {short(table.criterion.iloc[0])}")
    axes = [a for a in AXES if a in set(table.axis)]
    handles: list[Artist] = [Patch(color=AXES[a].colour, label=AXES[a].title) for a in axes]
    handles.append(Line2D([], [], color=INK, lw=1, label="95 % interval"))
    if table.needs_labels.any():
        handles.append(Patch(fc="white", ec=MUTED, label="Needs reference labels"))
    style.legend(figure, handles, 0.2, len(handles))
    facts = {
        "model": about["title"],
        "n_structures": samples.span(table.n_structures),
        "molecules": several(samples.span(table.n_molecules), "molecule"),
    }
    constant = len(tables["ranks"]) - len(table)
    return figure, facts | samples.resampling(about["resampled"]) | ({"constant": str(constant)} if constant else {})


def _bars(panel: Axes, table: pd.DataFrame) -> None:
    """One bar per criterion, hollow where it needs labels, with its interval and its value."""
    low = min(0.0, np.nanmin(table[["spearman", "ci_low"]]))
    high = max(0.0, np.nanmax(table[["spearman", "ci_high"]]))
    for y, row in enumerate(table.iloc[::-1].to_dict("records")):
        colour = AXES[row["axis"]].colour
        fill = "white" if row["needs_labels"] else colour
        panel.barh(y, row["spearman"], height=0.62, color=fill, edgecolor=colour, lw=1, alpha=0.85)
        if np.isfinite(row["ci_low"]):
            panel.plot([row["ci_low"], row["ci_high"]], [y, y], color=INK, lw=1)
        value = f"{row['spearman']:+.2f}".replace("-", "−")
        panel.text(1.01, y, value, va="center", transform=panel.get_yaxis_transform(), size=7, color=MUTED)
    panel.axvline(0, color=MUTED, lw=0.6)
    panel.set_xlim(max(low - 0.05, -1), min(high + 0.05, 1))
    panel.set_yticks(range(len(table)), [short(c) for c in table.criterion[::-1]])
    panel.tick_params(axis="y", length=0)
    panel.set_xlabel("Spearman rank correlation with the force MAE")
