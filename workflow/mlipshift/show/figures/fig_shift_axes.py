"""Force MAE in and out of distribution per shift axis and method, as a dot plot."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mlipshift.catalogue import methods as methods_of
from mlipshift.catalogue.groups import AXES, GROUPS, ordered, shift
from mlipshift.catalogue.methods import METHODS
from mlipshift.evaluate.statistics import CHEMICAL_ACCURACY
from mlipshift.show import panels as parts
from mlipshift.show import samples, style
from mlipshift.show.panels import ERROR, HIGH, LOW, MEAN
from mlipshift.show.style import MUTED, PALE

NEEDS = {"shift_axes": ("axis", "group", "method", "n_structures", *ERROR), "summary": samples.SUMMARY}
COMPARED = ("prior", "supervised", "joint", "joint_ttt", "joint_corrected", "delta")


def draw(tables: Mapping[str, pd.DataFrame], title: str) -> tuple[Figure, dict[str, str]]:
    """(figure, facts of the caption)."""
    table, summary = tables["shift_axes"], tables["summary"]
    table = samples.need(table[table.method.isin(COMPARED)], "shift_axes", "the compared methods")
    shown, methods = ordered(table.axis, AXES), ordered(table.method, METHODS)
    alone = set(summary[summary.n_molecules == 1].group)
    rows = (len(shown) + 1) // 2
    height = 1.2 + rows * (0.45 + 0.2 * len(methods)) + (rows - 1) * 0.25
    margins = {"left": 1.2, "right": 0.15, "top": 0.75, "bottom": 0.8, "wspace": 0.3, "hspace": 0.5}
    figure, panels = style.canvas(height, rows, 2, **margins, sharex=True, sharey=True)
    for panel, axis in zip(panels.flat, shown):
        part = table[table.axis == axis]
        inside, outside = part[part.group == "id_test"], part[part.group != "id_test"]
        for y, key in enumerate(reversed(methods)):
            ends = [side[side.method == key] for side in (inside, outside)]
            _dumbbell(panel, y, ends, style.colour(key), alone)
        sizes = f"n = {samples.span(inside.n_structures)} in, {samples.span(outside.n_structures)} out"
        parts.heading(panel, shift(axis), sizes)
        panel.set_yticks(range(len(methods)), [methods_of.title(k) for k in reversed(methods)])
        panel.set_ylim(-0.6, len(methods) - 0.4)
        panel.tick_params(axis="y", length=0)
        parts.accuracy(panel, horizontal=False)
    parts.foot(panels, len(shown), parts.scale(panels[0, 0], "x", parts.extent(table), "Force MAE (meV/Å)"))
    style.head(figure, title, _spread(table))
    marker: dict[str, Any] = {"marker": "o", "ls": "none", "color": MUTED, "mew": 1.1}
    handles = [
        Line2D([], [], **marker, mfc="white", label="In distribution"),
        Line2D([], [], **marker, label="Held-out shift group"),
        Line2D([], [], color=MUTED, lw=1.4, label="95 % interval"),
        style.accuracy_handle(),
    ]
    if alone & set(table.group):
        handles.insert(3, style.alone_handle())
    style.legend(figure, handles, 0.36 if len(handles) > 4 else 0.22, min(len(handles), 4))
    groups = [g for g in ordered(table.group, GROUPS) if g != "id_test"]
    sizes = samples.samples(summary, ["id_test", *groups], methods)
    return figure, {"samples": sizes, "accuracy": str(CHEMICAL_ACCURACY)}


def _dumbbell(panel: Axes, y: int, ends: list[pd.DataFrame], colour: str, alone: set[str]) -> None:
    """One row of a dot plot: (in, out) tables of at most one row each, joined by a pale line.

    alone: groups of a single molecule, whose interval is dotted.
    """
    means = []
    for filled, rows in enumerate(ends):
        for row in rows.to_dict("records"):
            marks = style.circle(colour, filled > 0) | {"elinewidth": 1.4, "zorder": 3 + filled}
            interval, one = (row[LOW], row[HIGH]), row["group"] in alone
            parts.point(panel, row[MEAN], y, interval, one, along="x", **marks)
            means.append(row[MEAN])
    if len(means) == 2:
        panel.plot(means, [y, y], color=PALE, lw=3.5, zorder=1, solid_capstyle="butt")


def _spread(table: pd.DataFrame) -> str:
    """Largest loss of accuracy of the supervised model over the shift axes, in words."""
    ratios = {}
    for axis, part in table[table.method == "supervised"].groupby("axis"):
        inside, outside = part[part.group == "id_test"][MEAN], part[part.group != "id_test"][MEAN]
        if len(inside) and len(outside):
            ratios[axis] = outside.iloc[0] / inside.iloc[0]
    if not ratios:
        return "Mean over structures and seeds"
    worst = max(ratios, key=ratios.__getitem__)
    return (
        f"Supervised model: largest ratio of held-out to in-distribution error {ratios[worst]:.1f}"
        f" ({shift(worst).lower()})"
    )
