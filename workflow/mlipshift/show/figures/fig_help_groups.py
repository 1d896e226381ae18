"""Errors of a model, of what helps it and of the prior, group by group: one panel per model with help of its own."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator

from mlipshift.show import help_groups, samples, style
from mlipshift.show.panels import plain_numbers, shortened
from mlipshift.show.style import INK, MUTED, SERIES

NEEDS = {
    "groups": (
        *("group", "method", "model", "best_single", "n_structures"),
        *("mean_meV_per_A", "ci_low_meV_per_A", "ci_high_meV_per_A"),
    )
}
# of a panel, in the order of the legend: ways of a model, and of the committee
OWN = ("", "corrected", "rescued", "ttt", "distilled")
COMMITTEE = ("mean", "weighted", "rescued")
PANELS = 3


def _lines(names: list[str], titles: Mapping[str, str], single: str) -> list[tuple[str, dict[str, str]]]:
    """(title, {method: label}) of every panel, that of the best single model first."""
    found = []
    for model in sorted(titles, key=lambda m: m != single):
        if f"{model}_corrected" in names:
            own = {f"{model}_{way}" if way else model: help_groups.WAYS.get(way, "as it is") for way in OWN}
            found.append((help_groups.method(model, titles), {m: label for m, label in own.items() if m in names}))
    together = {f"committee_{way}": help_groups.WAYS[way] for way in COMMITTEE if f"committee_{way}" in names}
    return [*found[: PANELS - bool(together)], *([("Committee", together)] if together else [])]


def draw(
    tables: Mapping[str, pd.DataFrame], title: str, about: Mapping[str, Any]
) -> tuple[Figure, dict[str, str]] | None:
    """(figure, facts of the caption); about: {"titles": {model: title}}."""
    table, titles = tables["groups"], about["titles"]
    table = table[np.isfinite(table.mean_meV_per_A.astype(float))]
    groups = help_groups.held_out(table.group)
    single = next(iter(table.best_single.dropna()), "")
    panels_of = _lines([*dict.fromkeys(table.method)], titles, single)
    if not groups or not panels_of:
        raise samples.NothingToDraw("no model of this run has help")
    height = 1.65 + 0.3 * len(groups)
    margins = {"left": 1.15, "right": 0.15, "top": 0.75, "bottom": 1.1, "wspace": 0.2}
    figure, panels = style.canvas(height, 1, len(panels_of), **margins, sharey=True, sharex=True)
    looks: dict[str, tuple[str, str]] = {}
    for panel, (name, lines) in zip(panels[0], panels_of):
        more = {single: "as it is"} if name == "Committee" and single else {}
        shown = {**more, **lines, "prior": "prior"}
        _dots(panel, table, groups, shown, looks)
        panel.set_title(shortened(panel, name), pad=4)
        panel.set_xlabel("Force MAE (meV/Å), log scale")
    sizes = table.groupby("group").n_structures.max()
    labels = [f"{help_groups.title(g)} ({sizes[g]:.0f})" for g in groups]
    panels[0, 0].set_yticks(range(len(groups)), labels[::-1])
    together = f"; beside the committee {help_groups.method(single, titles)} as it is" if more else ""
    style.head(figure, title, f"Held-out structures, number of each group in parentheses{together}")
    handles = [
        Line2D([], [], ls="none", marker=m, color=c, ms=4.5, label=f"{label[:1].upper()}{label[1:]}")
        for label, (c, m) in looks.items()
    ]
    style.legend(figure, handles, 0.55, 5)
    return figure, {}


def _dots(panel: Axes, table: pd.DataFrame, groups: list[str], shown: dict[str, str], looks: dict) -> None:
    """One row per group, one point per method, dodged."""
    for k, (method, label) in enumerate(shown.items()):
        if label not in looks:
            looks[label] = (INK, "o") if label == "as it is" else SERIES[len(looks) % len(SERIES)]
        if label == "prior":
            looks[label] = (MUTED, "|")
        colour, marker = looks[label]
        rows = table[table.method == method].set_index("group").reindex(groups[::-1])
        y = np.arange(len(groups)) + 0.3 - 0.6 * k / max(1, len(shown) - 1)
        panel.plot([rows.ci_low_meV_per_A, rows.ci_high_meV_per_A], [y, y], color=colour, lw=0.9, alpha=0.7)
        panel.plot(
            rows.mean_meV_per_A, y, ls="none", marker=marker, color=colour, ms=5, mew=1.2 if marker == "|" else 0
        )
    for y in range(len(groups) - 1):
        panel.axhline(y + 0.5, color="#EEEEEE", lw=0.6, zorder=0)
    panel.set_xscale("log")
    panel.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
    panel.xaxis.set_major_formatter(plain_numbers())
    panel.minorticks_off()
    panel.tick_params(axis="y", length=0)
