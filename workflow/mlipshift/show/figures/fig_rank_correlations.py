"""How well every criterion predicts the error of a diagnosed model: rank correlation and AUROC, best first."""

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
from mlipshift.show.style import DASHED, INK, MUTED

NEEDS = {
    "ranks": (
        *("axis", "criterion", "needs_labels", "direction", "n_validation", "n_structures", "n_molecules"),
        *("spearman", "ci_low", "ci_high", "auroc", "auroc_ci_low", "auroc_ci_high"),
    )
}
# how a measure is used, if it is not that larger values are a sign of error
USED = {"smaller": ", small", "either": ", far from mean"}


def draw(
    tables: Mapping[str, pd.DataFrame], title: str, about: Mapping[str, Any]
) -> tuple[Figure, dict[str, str]] | None:
    """(figure, facts of the caption), None without a correlation; about: diagnosis.json and "title" of the model."""
    table = tables["ranks"].dropna(subset=["spearman"])
    if not len(table):
        return None
    height = 1.25 + 0.23 * len(table)
    margins = {"left": 2.75, "right": 0.5, "top": 0.55, "bottom": 0.7, "wspace": 0.65}
    figure, panels = style.canvas(height, 1, 2, **margins, sharey=True, width_ratios=[1.6, 1])
    _bars(panels[0, 0], table)
    _areas(panels[0, 1], table)
    style.head(figure, title, f"{about['title']}; first: {short(table.criterion.iloc[0])}")
    axes = [a for a in AXES if a in set(table.axis)]
    handles: list[Artist] = [Patch(color=AXES[a].colour, label=AXES[a].title) for a in axes]
    handles.append(Line2D([], [], color=INK, lw=1, label=samples.interval_label(about["resampled"])))
    if table.needs_labels.any():
        handles.append(Patch(fc="white", ec=MUTED, label="Needs reference labels"))
    style.legend(figure, handles, 0.2, len(handles))
    validation = table.n_validation.max()
    facts = {
        "model": about["title"],
        "n_structures": samples.span(table.n_structures),
        "molecules": several(samples.span(table.n_molecules), "molecule"),
        **({"n_validation": f"{validation:.0f}"} if validation else {"unknown": "yes"}),
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
        _beside(panel, y, f"{row['spearman']:+.2f}".replace("-", "−"))
    panel.axvline(0, color=MUTED, lw=0.6)
    panel.set_xlim(max(low - 0.05, -1), min(high + 0.05, 1))
    rows = table.iloc[::-1]
    panel.set_yticks(range(len(rows)), [short(c) + USED.get(d, "") for c, d in zip(rows.criterion, rows.direction)])
    panel.tick_params(axis="y", length=0)
    panel.set_xlabel("Spearman rank correlation with the force MAE")


def _areas(panel: Axes, table: pd.DataFrame) -> None:
    """One point per criterion with its interval and its value."""
    for y, row in enumerate(table.iloc[::-1].to_dict("records")):
        if not np.isfinite(row["auroc"]):
            continue
        colour = AXES[row["axis"]].colour
        if np.isfinite(row["auroc_ci_low"]):
            panel.plot([row["auroc_ci_low"], row["auroc_ci_high"]], [y, y], color=INK, lw=1)
        fill = "white" if row["needs_labels"] else colour
        panel.plot(row["auroc"], y, "o", ms=5, mfc=fill, mec=colour)
        _beside(panel, y, f"{row['auroc']:.2f}")
    panel.axvline(0.5, color=MUTED, ls=DASHED, lw=0.8)
    low = np.nanmin([0.4, *table.auroc, *table.auroc_ci_low])
    panel.set_xlim(max(low - 0.05, -0.02), 1.02)
    panel.tick_params(axis="y", length=0)
    panel.set_xlabel("AUROC of the worst tenth")


def _beside(panel: Axes, y: int, text: str) -> None:
    """A value beside its row."""
    panel.text(1.02, y, text, va="center", transform=panel.get_yaxis_transform(), size=7, color=MUTED)
