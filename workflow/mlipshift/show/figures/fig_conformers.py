"""Force MAE on unseen geometries of a molecule against the number of geometries it was adapted on."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from mlipshift.base.text import listed
from mlipshift.catalogue import methods
from mlipshift.catalogue.groups import COMMON, ordered
from mlipshift.evaluate.statistics import CHEMICAL_ACCURACY
from mlipshift.show import panels as parts
from mlipshift.show import samples, style
from mlipshift.show.panels import ERROR, MEAN
from mlipshift.show.style import DASHDOT, MUTED, WIDTH

CHANGE = ("difference_meV_per_A", "difference_ci_low_meV_per_A", "difference_ci_high_meV_per_A")
NEEDS = {
    "conformers": (
        *("group", "scheme", "strategy", "geometries", "prior_calls_per_molecule"),
        *("baseline", "baseline_mean_meV_per_A", *samples.SIZES, *ERROR, *CHANGE),
    )
}


def draw(tables: Mapping[str, pd.DataFrame], title: str) -> tuple[Figure, dict[str, str]]:
    """(figure, facts of the caption)."""
    table = tables["conformers"]
    table = table[table.group == COMMON]
    if len(table) == 0:
        raise samples.NothingToDraw("no held-out molecule has two or more geometries")
    margins = {"left": 0.75, "right": 2.2, "top": 0.75, "bottom": 0.5, "wspace": 0.6}
    figure, panels = style.canvas(3.5, 1, 2, **margins)
    left, right = panels[0]
    shown = table.drop_duplicates(["scheme", "geometries"])
    handles = [*_unadapted(left, table), *_schemes(left, right, table, shown)]
    values = np.concatenate([parts.extent(shown).ravel(), table.baseline_mean_meV_per_A.to_numpy(dtype=float)])
    left.set_ylabel(parts.scale(left, "y", values, "Force MAE (meV/Å)"))
    right.axhline(0, color=MUTED, lw=0.8)
    right.set_ylabel("Change of the force MAE (meV/Å)")
    counts = sorted(shown.geometries.unique())
    for panel, name in ((left, "a  Error on unseen geometries"), (right, "b  Change by adaptation")):
        panel.set_xscale("log")
        panel.set_xlim(0.8, shown.geometries.max() * 1.25)
        panel.set_xticks(counts, [f"{v:g}" for v in counts])
        panel.xaxis.set_minor_locator(NullLocator())
        panel.set_xlabel("Geometries adapted on")
        panel.set_title(name, pad=4)
    parts.accuracy(left)
    sample = samples.sizes(shown)
    style.head(figure, title, f"Held-out shift groups, {sample}")
    alone = samples.alone(shown)
    handles += [style.alone_handle()] if alone else []
    style.legend(figure, [*handles, style.accuracy_handle()], 2.8, 1, x=WIDTH - 2.1)
    calls = shown.groupby("geometries").prior_calls_per_molecule.first()
    spent = listed(f"{k:g}: {v:g}" for k, v in calls.items())
    return figure, alone | {"spent": spent, "sample": sample, "accuracy": str(CHEMICAL_ACCURACY)}


def _unadapted(panel: Axes, table: pd.DataFrame) -> list[Line2D]:
    """Line of every baseline; entries of the legend."""
    handles = []
    known = table.drop_duplicates("baseline").set_index("baseline").baseline_mean_meV_per_A
    for key in ordered(known.index, methods.METHODS):
        called = methods.METHODS.get(key)
        if called and called.mean_of:
            continue  # beside its members
        line: dict[str, Any] = {"color": style.colour(key), "lw": 1, "ls": DASHDOT}
        panel.axhline(known[key], zorder=1, **line)
        note = " (a prior call each)" if called and called.prior_calls else ", unadapted"
        handles.append(Line2D([], [], label=methods.title(key) + note, **line))
    return handles


def _schemes(left: Axes, right: Axes, table: pd.DataFrame, shown: pd.DataFrame) -> list[Line2D]:
    """Error and change of every scheme, dodged for clarity by a factor on the logarithmic axis; entries of a legend."""
    handles = []
    schemes = ordered(shown.scheme, methods.SCHEMES)
    looks = methods.looks(schemes)
    for k, name in enumerate(schemes):
        dodge, marks = 1.03 ** (k - (len(schemes) - 1) / 2), style.drawn_as(looks[name])
        own = shown[shown.scheme == name].sort_values("geometries")
        left.plot(own.geometries * dodge, own[MEAN], color=marks["color"])
        for row in own.to_dict("records"):
            parts.mean(left, row["geometries"] * dodge, row, **marks)
        own = table[(table.scheme == name) & (table.baseline == table.strategy)].sort_values("geometries")
        right.plot(own.geometries * dodge, own[CHANGE[0]], color=marks["color"])
        for row in own.to_dict("records"):
            difference, low, high = (row[column] for column in CHANGE)
            at = row["geometries"] * dodge
            parts.point(right, at, difference, (low, high), row["n_molecules"] == 1, **marks)
        handles.append(Line2D([], [], label=methods.scheme_title(name), **marks))
    return handles
