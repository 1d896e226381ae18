"""Force MAE of methods binned along an axis of the shift, over the density of the training structures."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from mlipshift.base.text import count, several
from mlipshift.catalogue.groups import POOLED, ordered
from mlipshift.catalogue.methods import METHODS
from mlipshift.evaluate.statistics import CHEMICAL_ACCURACY
from mlipshift.show import panels as parts
from mlipshift.show import samples, style
from mlipshift.show.panels import ERROR, MEAN
from mlipshift.show.style import MUTED, PALE

NEEDS = {
    "bins": (
        *("axis", "subset", "bin_left", "bin_right", "bin_mean", "method", "n_structures", "n_molecules"),
        *ERROR,
    ),
    "training_density": ("axis", "bin_left", "bin_right", "density"),
    "summary": samples.SUMMARY,
}
SHOWN = ("prior", "supervised", "joint", "joint_ttt", "joint_corrected", "delta")
BEST = "top10_joint_ttt"  # subset of panel b


@dataclass(frozen=True)
class Background:
    """What all panels share: range of the axis, density of the training structures, unit of the density."""

    limits: tuple[float, float]
    density: pd.DataFrame
    unit: str


def draw_axis(
    tables: Mapping[str, pd.DataFrame], title: str, axis: str, label: str, unit: str
) -> tuple[Figure, dict[str, str]]:
    """(figure, facts of the caption) of an axis of bins.csv; label of the axis, unit of the density in brackets."""
    table, density = tables["bins"], tables["training_density"]
    table = table[(table.axis == axis) & table.method.isin(SHOWN) & (table.n_structures > 0)]
    table = samples.need(table.dropna(subset=[MEAN]), "bins", f"axis {axis}")
    everything, best = (table[table.subset == s] for s in ("all", BEST))
    samples.need(everything, "bins", f"axis {axis}")
    density = density[(density.axis == axis) & (density.density > 0)]
    density = samples.need(density, "training_density", f"axis {axis}")
    methods = ordered(everything.method, METHODS)
    two = len(best) > 0
    shape = {"left": 0.75, "right": 0.6, "top": 0.85, "bottom": 1.0, "wspace": 0.55}
    figure, panels = style.canvas(3.75, 1, 1 + two, **shape, sharey=True, width_ratios=[1.5, 1] if two else [1])
    background = Background(_limits(table, density), density, unit)
    facts = {"per_bin": _bins_of(panels[0, 0], everything, methods, background, labelled=not two)}
    panels[0, 0].set_ylabel(parts.scale(panels[0, 0], "y", parts.extent(table), "Force MAE (meV/Å)"))
    scope, facts["sample"] = _scope(everything, tables["summary"], methods)
    if two:
        facts["few"] = _bins_of(panels[0, 1], best, methods, background, labelled=True)
        panels[0, 0].set_title("a  All structures", pad=14)
        panels[0, 1].set_title("b  Tenth that TTT improves most", pad=14)
        facts["number"] = samples.span([best.groupby("method").n_structures.sum().max()])
    for panel in panels[0]:
        parts.accuracy(panel)
        panel.set_xlabel(label)
    style.head(figure, title, f"{scope}, {facts['sample']}")
    density_handle = Patch(color=PALE, label="Training structures")
    alone, bare = samples.alone(table), {"bare": "yes"} if table[ERROR[1]].isna().any() else {}
    handles = [*map(style.handle, methods), style.accuracy_handle(), density_handle]
    style.legend(figure, [*handles, *([style.alone_handle()] if alone else [])], 0.51, 4)
    return figure, facts | alone | bare | {
        "scope": f"{scope[0].lower()}{scope[1:]}",
        "accuracy": str(CHEMICAL_ACCURACY),
    }


def _limits(table: pd.DataFrame, density: pd.DataFrame) -> tuple[float, float]:
    """Ends of the axis: all means of bins, and all but the thinnest hundredth of the training structures."""
    width = density.bin_right - density.bin_left
    share = (density.density * width).cumsum() / (density.density * width).sum()
    low, high = density.bin_left[share > 0.005].min(), density.bin_right[share >= 0.995].min()
    low, high = min(low, table.bin_mean.min()), max(high, table.bin_mean.max())
    return low - 0.03 * (high - low), high + 0.03 * (high - low)


def _bins_of(panel: Axes, table: pd.DataFrame, methods: list[str], background: Background, labelled: bool) -> str:
    """Draw the methods of binned errors over the training density; returns where the counts per bin stand."""
    parts.behind(panel, background.density, f"Training density{background.unit}" if labelled else None)
    limits = background.limits
    step = 0.008 * (limits[1] - limits[0])  # dodge of the methods
    for k, key in enumerate(methods):
        part = table[table.method == key].sort_values("bin_left")
        x = part.bin_mean + step * (k - (len(methods) - 1) / 2)
        # no line over a bin without structures
        gap = (part.bin_left != part.bin_right.shift()).cumsum()
        for _, run in part.assign(x=x).groupby(gap):
            panel.plot(run.x, run[MEAN], lw=0.9, color=style.colour(key), alpha=0.55, zorder=2)
        for at, row in zip(x, part.to_dict("records")):
            parts.mean(panel, at, row, **style.marks(key), zorder=3)
    parts.inner_ticks(panel, table)
    panel.set_xlim(*limits)
    panel.xaxis.set_major_locator(MaxNLocator(5))
    return _counts(panel, table, limits)


def _counts(panel: Axes, table: pd.DataFrame, limits: tuple[float, float]) -> str:
    """Write the structures per bin above a panel, each over its bin where there is room; caption in words."""
    by_bin = table.groupby(["bin_left", "bin_right"])
    counts, centres = by_bin.n_structures.agg(["min", "max"]).reset_index(), by_bin.bin_mean.mean().to_numpy()
    names = [samples.span([a, b]).replace(" to ", "–") for a, b in zip(counts["min"], counts["max"])]
    wide = style.WIDTH * panel.get_position().width  # inches
    room = wide * np.diff(centres).min(initial=np.inf) / (limits[1] - limits[0])
    if room < 0.065 * max(map(len, names)) + 0.04:
        numbers = samples.span([counts["min"].min(), counts["max"].max()])
        per_bin = f"n = {several(numbers, 'structure')} per bin"
        parts.note(panel, per_bin)
        return per_bin
    for at, name in zip(centres, names):
        above: dict[str, Any] = {"transform": panel.get_xaxis_transform(), "color": MUTED, "size": 7}
        panel.text(at, 1.03, name, ha="center", va="bottom", **above)
    # left of the first number
    first = (centres[0] - limits[0]) / (limits[1] - limits[0]) - (0.035 * len(names[0]) + 0.06) / wide
    panel.text(first, 1.03, "n =", ha="right", va="bottom", transform=panel.transAxes, color=MUTED, size=7)
    return "numbers above: structures per bin (inner ticks)"


def _scope(table: pd.DataFrame, summary: pd.DataFrame, methods: list[str]) -> tuple[str, str]:
    """Which structures the bins hold (in distribution or not), and their number; judged by the counts."""
    total = table[table.method.isin(methods)].groupby("method").n_structures.sum().max()
    sizes = summary[summary.method.isin(methods)].groupby("group").n_structures.max()
    if total > sizes.get(POOLED, 0) and "id_test" in sizes:
        return "In distribution and held-out shift groups", f"n = {count(total)} structures"
    return "Held-out shift groups", samples.sample(summary, [POOLED], methods)
