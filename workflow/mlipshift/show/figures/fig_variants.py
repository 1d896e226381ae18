"""Force MAE of every further adaptation before and after, and the paired difference to the unadapted model."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mlipshift.catalogue import methods
from mlipshift.catalogue.groups import POOLED
from mlipshift.evaluate.statistics import CHEMICAL_ACCURACY
from mlipshift.show import panels as parts
from mlipshift.show import samples, style
from mlipshift.show.style import DASHDOT, MUTED, PALE

BEFORE, AFTER = "baseline_mean_meV_per_A", "method_mean_meV_per_A"
CHANGE = ("difference_meV_per_A", "ci_low_meV_per_A", "ci_high_meV_per_A")
NEEDS = {"variants_paired": ("group", "method", "baseline", *samples.SIZES, BEFORE, AFTER, *CHANGE)}
OTHERS = ("supervised", "prior", "joint_corrected", "delta")


def draw(tables: Mapping[str, pd.DataFrame], title: str) -> tuple[Figure, dict[str, str]]:
    """(figure, facts of the caption)."""
    table = tables["variants_paired"]
    table = samples.need(table[table.group == POOLED], "variants_paired", "held-out shift groups")
    own = table.drop_duplicates("method").sort_values(AFTER, ascending=False)
    rows = len(own)
    margins = {"left": 2.1, "right": 0.15, "top": 0.75, "bottom": 0.9, "wspace": 0.3}
    figure, panels = style.canvas(1.85 + 0.2 * rows, 1, 2, **margins, sharey=True)
    left, right = panels[0]
    handles = _errors(left, own, {key: table[table.baseline == key][BEFORE] for key in OTHERS})
    _changes(right, own)
    left.set_yticks(np.arange(rows), [methods.scheme_title(k) for k in own.method])
    for panel, name in ((left, "a  Error"), (right, "b  Change, paired")):
        panel.set_title(name, pad=4)
        panel.set_ylim(-0.6, rows - 0.4)
    sample = samples.sizes(own)
    style.head(figure, title, f"Held-out shift groups, {sample}")
    alone = samples.alone(own)
    handles += [style.alone_handle()] if alone else []
    style.legend(figure, [*handles, style.accuracy_handle()], 0.36, 4)
    return figure, alone | {"sample": sample, "accuracy": str(CHEMICAL_ACCURACY)}


def _errors(panel: Axes, own: pd.DataFrame, others: dict[str, pd.Series]) -> list[Line2D]:
    """Error before and after, and as lines what one could use instead; entries of the legend."""
    place = np.arange(len(own))
    panel.hlines(place, own[BEFORE], own[AFTER], color=PALE, lw=1.2, zorder=1)
    for at, row in zip(place, own.to_dict("records")):
        for column, filled in ((BEFORE, False), (AFTER, True)):
            panel.plot(row[column], at, ls="none", **style.circle(style.colour(row["baseline"]), filled))
    names = ("Its model, not adapted", "Adapted")
    handles = [Line2D([], [], ls="none", label=n, **style.circle(MUTED, k > 0)) for k, n in enumerate(names)]
    for key, values in others.items():
        if len(values):
            line: dict[str, Any] = {"color": style.colour(key), "lw": 1, "ls": DASHDOT}
            panel.axvline(values.iloc[0], zorder=1, **line)
            handles.append(Line2D([], [], label=methods.title(key), **line))
    shown = np.concatenate([own[BEFORE], own[AFTER], *others.values()])
    panel.set_xlabel(parts.scale(panel, "x", shown, "Force MAE (meV/Å)"))
    parts.accuracy(panel, horizontal=False)
    return handles


def _changes(panel: Axes, own: pd.DataFrame) -> None:
    """Paired differences; linear as far as the improvements go, since a placebo may do ten times as much harm."""
    difference, low, high = (own[column] for column in CHANGE)
    for at, row in enumerate(own.to_dict("records")):
        value, *ends = (row[column] for column in CHANGE)
        marks = style.circle(style.colour(row["baseline"]), True)
        parts.point(panel, value, at, tuple(ends), row["n_molecules"] == 1, along="x", **marks)
    panel.axvline(0, color=MUTED, lw=0.8)
    straight = 100 * np.ceil(max(100, -low.min(), -difference.min()) / 100)
    label = "Change of the force MAE (meV/Å)"
    if max(high.max(), difference.max()) > 1.5 * straight:
        panel.set_xscale("symlog", linthresh=straight, linscale=2)
        panel.set_xticks([-straight, 0, straight])
        label = f"Change (meV/Å), linear within ±{straight:g}"
    panel.xaxis.set_major_formatter(parts.signed_numbers())
    panel.set_xlabel(label)
