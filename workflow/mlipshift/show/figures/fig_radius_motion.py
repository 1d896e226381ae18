"""Drift and jumps of the energy with a fixed, a chosen and a smoothly changing radius."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mlipshift.base.text import listed, several
from mlipshift.catalogue.runs import MOVING
from mlipshift.show import panels as parts
from mlipshift.show import rewired, runs, samples, style
from mlipshift.show.style import PALE, SERIES

VALUES = {
    "drift_meV_per_atom_per_ps": "Drift (meV/atom/ps)",
    "largest_jump_meV_per_atom": "Largest jump (meV/atom)",
}
NEEDS = {"radius_motion": ("network", "group", "mode", "n_replicas", "attempted_ps", *VALUES)}
FLOOR = 1e-5


def draw(tables: Mapping[str, pd.DataFrame], title: str) -> tuple[Figure, dict[str, str]]:
    """(figure, facts of the caption)."""
    table = samples.need(tables["radius_motion"], "radius_motion", "any trajectory")
    kinds = list(dict.fromkeys(zip(table.network, table.group)))
    margins = {"left": 2.1, "right": 0.2, "top": 0.75, "bottom": 0.8, "wspace": 0.25}
    figure, panels = style.canvas(1.6 + 0.3 * len(kinds), 1, 2, **margins, sharey=True)
    for panel, (column, label) in zip(panels[0], VALUES.items()):
        for k, kind in enumerate(kinds):
            own = table[(table.network == kind[0]) & (table.group == kind[1])].set_index("mode")
            for j, mode in enumerate(m for m in MOVING if m in own.index):
                colour, marker = SERIES[j]
                value = max(FLOOR, float(np.nan_to_num(own.loc[mode, column])))
                panel.plot(value, k + 0.22 * (j - 1), ls="none", color=colour, marker=marker, ms=4.5)
        panel.set_xscale("log")
        panel.xaxis.set_major_formatter(parts.plain_numbers())
        panel.tick_params(axis="x", labelsize=6.5)
        panel.set_xlabel(label)
        for edge in range(1, len(kinds)):
            panel.axhline(edge - 0.5, color=PALE, lw=0.5, zorder=0)
    names = [f"{rewired.network(n)}, {runs.molecule(g)}" for n, g in kinds]
    panels[0, 0].set_yticks(range(len(kinds)), names)
    panels[0, 0].set_ylim(len(kinds) - 0.5, -0.5)
    handles = [
        Line2D([], [], ls="none", color=c, marker=m, label=name) for name, (c, m) in zip(MOVING.values(), SERIES)
    ]
    style.legend(figure, handles, 0.26, 3)
    replicas = listed(f"{n:g}" for n in sorted(table.n_replicas.unique()))
    duration = listed(f"{t:g}" for t in sorted(table.attempted_ps.unique()))
    style.head(figure, title, f"No thermostat, {several(replicas, 'replica')}, {duration} ps")
    return figure, {"replicas": several(replicas, "replica"), "duration": duration}
