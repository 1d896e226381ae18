"""Force MAE against the TTT step, per group."""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from mlipshift.catalogue.groups import GROUPS, POOLED, group, ordered
from mlipshift.catalogue.methods import METHODS
from mlipshift.catalogue.methods import title as title_of
from mlipshift.evaluate.statistics import CHEMICAL_ACCURACY
from mlipshift.show import panels as parts
from mlipshift.show import samples, style
from mlipshift.show.panels import ERROR, HIGH, INSTEAD, LOW, MEAN
from mlipshift.show.style import DASHDOT, DOTTED, MUTED

NEEDS = {
    "steps": ("group", "method", "step", "n_structures", "n_molecules", *ERROR),
    "summary": (*samples.SUMMARY, MEAN),
}
ADAPTED = ("joint_ttt", "joint_placebo", "freeze_ttt")


def draw(tables: Mapping[str, pd.DataFrame], title: str) -> tuple[Figure, dict[str, str]]:
    """(figure, facts of the caption)."""
    table, summary = tables["steps"], tables["summary"]
    table = table[~table.group.str.startswith("val_") & table.method.isin(ADAPTED)]
    table = samples.need(table, "steps", "the reported groups")
    groups, methods = _shown(table.group), ordered(table.method, METHODS)
    table = table[table.group.isin(groups)]
    instead = summary[summary.method.isin(INSTEAD) & summary.group.isin(groups)].dropna(subset=[MEAN])
    columns = min(3, len(groups))
    rows = -(-len(groups) // columns)
    margins = {"left": 0.72, "right": 0.15, "top": 0.75, "bottom": 0.95, "wspace": 0.25, "hspace": 0.5}
    figure, panels = style.canvas(1.55 + 1.55 * rows, rows, columns, **margins, sharex=True, sharey=True)
    for panel, key in zip(panels.flat, groups):
        _lines(panel, table[table.group == key], methods)
        for row in instead[instead.group == key].to_dict("records"):
            panel.axhline(row[MEAN], **_instead(row["method"]))
        parts.accuracy(panel)
        parts.heading(panel, group(key), f"n = {samples.span(table[table.group == key].n_structures)}")
    values = [*parts.extent(table).ravel(), *instead[MEAN]]
    label = parts.scale(panels[0, 0], "y", values, "Force MAE (meV/Å)")
    for panel in panels[:, 0]:
        panel.set_ylabel(label.replace("), ", ")\n"))
    parts.foot(panels, len(groups), "TTT step")
    last = table.step.max()
    panels[0, 0].set_xlim(-0.03 * last, 1.03 * last)
    explained = "Step 0 is the model before adaptation"
    if "joint_placebo" in methods:
        explained += "; the placebo adapts to the prior labels of another structure"
    style.head(figure, title, explained)
    style.legend(figure, _handles(methods, ordered(instead.method, METHODS), bool(samples.alone(table))), 0.37, 4)
    facts = {"samples": samples.samples(summary, groups, methods), "accuracy": str(CHEMICAL_ACCURACY)}
    return figure, facts | samples.alone(table) | parts.instead(instead.method)


def _shown(found: Iterable[str]) -> list[str]:
    """Groups in their order, all held-out ones together last, and not where there is but one."""
    groups = [g for g in ordered(found, GROUPS) if g != POOLED]
    return [*groups, POOLED] if sum(g.startswith("ood_") for g in groups) != 1 else groups


def _lines(panel: Axes, part: pd.DataFrame, methods: list[str]) -> None:
    """Mean and interval of every method over the steps; the band of one molecule is dotted at its edges."""
    for name in methods:
        line, colour = part[part.method == name].sort_values("step"), style.colour(name)
        edge: dict[str, Any] = {"lw": 0.8, "ls": DOTTED} if (line.n_molecules == 1).any() else {"lw": 0}
        panel.fill_between(line.step, line[LOW], line[HIGH], color=colour, alpha=0.15, zorder=1, **edge)
        panel.plot(line.step, line[MEAN], zorder=3, **style.marks(name))


def _instead(key: str) -> dict[str, Any]:
    return {"color": style.colour(key), "lw": 1, "ls": DASHDOT, "zorder": 2}


def _handles(methods: list[str], instead: list[str], alone: bool) -> list[Any]:
    band = Patch(color=MUTED, alpha=0.2, lw=0, label="95 % interval")
    return [
        *map(style.handle, methods),
        *(Line2D([], [], label=title_of(key), **_instead(key)) for key in instead),
        band,
        *([style.alone_handle()] if alone else []),
        style.accuracy_handle(),
    ]
