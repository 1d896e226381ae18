"""Expected error of every structure of one's own, of the model alone and of the rescued forces."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mlipshift.show import help_groups, panels, samples, style
from mlipshift.show.style import DASHED, INK, MUTED, SERIES

NEEDS = {"rescued": ("id", "trusted", "expected_model_meV_per_A", "expected_error_meV_per_A")}
LOOKS = {name: SERIES[k] for k, name in zip((1, 0, 3), help_groups.TRUSTED)}


def draw(
    tables: Mapping[str, pd.DataFrame], title: str, about: Mapping[str, Any]
) -> tuple[Figure, dict[str, str]] | None:
    """(figure, facts of the caption); about: {"name": of the model, "ordinary": its expected error there, meV/Å}."""
    table = tables["rescued"]
    x, y = (table[f"expected_{name}_meV_per_A"].astype(float) for name in ("model", "error"))
    known = (x > 0) & (y > 0) & np.isfinite(x) & np.isfinite(y)
    if not known.any():
        raise samples.NothingToDraw("no structure has an expected error")
    margins = {"left": 0.75, "right": 2.3, "top": 0.65, "bottom": 0.6}
    figure, axes = style.canvas(3.6, 1, 1, **margins)
    panel = axes[0, 0]
    for trusted, (colour, marker) in LOOKS.items():
        own = known & (table.trusted == trusted)
        panel.scatter(x[own], y[own], s=16, color=colour, marker=marker, alpha=0.75, lw=0, zorder=2)
    both = np.concatenate([x[known], y[known]])
    ends = both.min() / 1.2, max(both.max(), 1.05 * about["ordinary"] * about["outside"]) * 1.2
    panel.plot(ends, ends, color=INK, lw=0.8, zorder=1)
    limit = about["outside"] * about["ordinary"]
    if np.isfinite(limit):
        panel.axvline(limit, color=MUTED, ls=DASHED, lw=0.8, zorder=1)
    for which in "xy":
        panels.ends(panel, which, *ends)
    panel.set_xlabel(f"Expected error of {about['name']} (meV/Å)")
    panel.set_ylabel("Expected error, rescued (meV/Å)")
    style.head(
        figure, title, f"n = {known.sum()} structures; below the line the rescued forces are expected to be better"
    )
    style.legend(figure, _handles(table.trusted[known]), 2.9, 1, x=4.85)
    facts = {"name": about["name"], "n": f"{known.sum()}", "outside": f"{about['outside']:g}"}
    missing = len(table) - known.sum()
    return figure, facts | ({"missing": f"{missing}"} if missing else {})


def _handles(trusted: pd.Series) -> list[Line2D]:
    shown = [(name, look) for name, look in LOOKS.items() if (trusted == name).any()]
    handles = [
        Line2D([], [], ls="none", marker=marker, color=colour, ms=5, label=f"Rests on {help_groups.TRUSTED[name]}")
        for name, (colour, marker) in shown
    ]
    handles.append(Line2D([], [], color=INK, lw=0.8, label="As good as the model"))
    return [*handles, Line2D([], [], color=MUTED, ls=DASHED, lw=0.8, label="Outside to the right")]
