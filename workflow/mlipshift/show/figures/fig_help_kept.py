"""Mean error of the structures that are kept when a sign leaves out the others, one panel per model."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from mlipshift.show import help_groups, panels, samples, style
from mlipshift.show.style import DASHED, INK, MUTED, SERIES

NEEDS = {
    "kept": (
        *("model", "sign", "recommended", "share", "n_structures"),
        *("mean_meV_per_A", "ci_low_meV_per_A", "ci_high_meV_per_A", "oracle_meV_per_A"),
    )
}
COLUMNS = 5
LINE = SERIES[4][0]


def draw(
    tables: Mapping[str, pd.DataFrame], title: str, about: Mapping[str, Any]
) -> tuple[Figure, dict[str, str]] | None:
    """(figure, facts of the caption); about: {"titles": {model: title}}."""
    table = tables["kept"]
    table = table[table.recommended.eq(True)]  # noqa: FBT003
    models = [m for m in about["titles"] if m in set(table.model)]
    if not models:
        raise samples.NothingToDraw("no sign is recommended for a model")
    columns = min(COLUMNS, len(models))
    rows = -(-len(models) // columns)
    margins = {"left": 0.55, "right": 0.15, "top": 0.85, "bottom": 0.85, "wspace": 0.18, "hspace": 0.55}
    figure, axes = style.canvas(
        1.75 + 1.15 * rows + 0.55 * (rows - 1), rows, columns, **margins, sharex=True, sharey=True
    )
    sizes = {}
    for panel, model in zip(axes.flat, models):
        own = table[table.model == model].sort_values("share")
        _curve(panel, own)
        name = help_groups.method(model, about["titles"])
        panel.set_title(panels.shortened(panel, name), pad=13)
        panel.text(0, 1.03, _sign(own.sign.iloc[0]), transform=panel.transAxes, size=6.5, color=MUTED, va="bottom")
        sizes[name] = f"{own.n_structures.max():.0f}"
    panels.foot(axes, len(models), "Share kept")
    for row in axes:
        row[0].set_ylabel("Error kept / all")
    style.head(figure, title, "Held-out structures of all groups; the sign that validation recommends")
    style.legend(figure, _handles(), 0.4, 4)
    return figure, {"sizes": "; ".join(f"{name} {n}" for name, n in sizes.items())}


def _sign(key: str) -> str:
    return f"by {help_groups.SHORT.get(key, key)}"


def _curve(panel: Axes, own: pd.DataFrame) -> None:
    """Error relative to that of all structures, of those kept by the sign and by the errors themselves."""
    everything = own.mean_meV_per_A.iloc[-1]
    relative = lambda column: own[column].astype(float) / everything
    low, high = relative("ci_low_meV_per_A"), relative("ci_high_meV_per_A")
    panel.fill_between(own.share, low, high, color=LINE, alpha=0.2, lw=0)
    panel.plot(own.share, relative("mean_meV_per_A"), color=LINE, marker="o", ms=2.5)
    panel.plot(own.share, relative("oracle_meV_per_A"), color=INK, lw=0.9, ls=DASHED)
    panel.axhline(1, color=MUTED, lw=0.8)
    panel.set_xlim(1.03, 0.07)
    panel.set_ylim(0, max(1.4, 1.05 * float(np.nanmax([1, *relative("mean_meV_per_A")]))))
    panel.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
    panel.set_xticks([1, 0.5, 0.1], ["1", "0.5", "0.1"])


def _handles() -> list[Line2D | Patch]:
    return [
        Line2D([], [], color=LINE, marker="o", ms=2.5, label="Kept by the sign"),
        Patch(color=LINE, alpha=0.2, lw=0, label="95 % interval"),
        Line2D([], [], color=INK, lw=0.9, ls=DASHED, label="Kept by the errors themselves"),
        Line2D([], [], color=MUTED, lw=0.8, label="All, or left out at random"),
    ]
