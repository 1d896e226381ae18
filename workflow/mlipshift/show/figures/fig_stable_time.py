"""How long every simulated molecule stays whole, beside the published times."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mlipshift.base.text import listed
from mlipshift.catalogue.runs import RUN
from mlipshift.show import panels as parts
from mlipshift.show import runs, samples, style
from mlipshift.show.style import INK, MUTED

NEEDS = {
    "dynamics_summary": (*RUN, "n_replicas", "stable_ps", "attempted_ps"),
    "dynamics": ("molecule", "run", "replica", "stable_ps", "event"),
    "published": ("quantity", "published", "ours_is"),
}


def draw(tables: Mapping[str, pd.DataFrame], title: str) -> tuple[Figure, dict[str, str]]:
    """(figure, facts of the caption)."""
    table = tables["dynamics_summary"]
    table = table[table.ensemble == "nvt"]
    if len(table) == 0:
        raise samples.NothingToDraw("no run with a thermostat")
    shown, names = runs.molecules(table.molecule), runs.titles(tables["dynamics_summary"])
    rows = list(dict.fromkeys(table.run))
    height = 1.35 + 0.2 * len(rows)
    margins = {"left": 2.3, "right": 0.2, "top": 0.75, "bottom": 0.75, "wspace": 0.2}
    figure, panels = style.canvas(height, 1, len(shown), **margins, sharey=True)
    for panel, molecule in zip(panels[0], shown):
        own = table[table.molecule == molecule].set_index("run")
        _bars(panel, own, rows, tables["dynamics"][tables["dynamics"].molecule == molecule])
        panel.set_title(parts.shortened(panel, runs.molecule(molecule)), pad=14)
        said = _said(tables["published"], molecule)
        parts.note(panel, f"published: {said}" if said else "")
        panel.set_xlabel("Time until something breaks (ps)")
    panels[0, 0].set_yticks(range(len(rows)), [names[r] for r in rows])
    panels[0, 0].invert_yaxis()
    replicas = sorted(table.n_replicas.unique())
    style.head(figure, title, f"Langevin dynamics, {listed(f'{n:g}' for n in replicas)} replicas each")
    point: dict[str, Any] = {"color": INK, "ls": "none", "marker": "o", "ms": 3.2}
    handles = [
        Line2D([], [], label="Whole to the end", **point),
        Line2D([], [], label="Came apart", **point | {"mfc": "white"}),
        Line2D([], [], color=MUTED, lw=1, label="Attempted"),
    ]
    style.legend(figure, handles, 0.22, 3, x=2.3)
    facts = {"replicas": listed(f"{n:g}" for n in replicas)}
    told = [f"{runs.molecule(m)}: {_said(tables['published'], m)}" for m in shown if _said(tables["published"], m)]
    return figure, facts | ({"published": "; ".join(told)} if told else {})


def _bars(panel: Axes, own: pd.DataFrame, rows: list[str], replicas: pd.DataFrame) -> None:
    """Mean of every run as a bar, its replicas as points, filled where nothing happened; the attempted time."""
    for k, run in enumerate(rows):
        if run not in own.index:
            continue
        row = own.loc[run]
        panel.barh(k, row.stable_ps, height=0.62, color=runs.colour(row), alpha=0.75, lw=0)
        panel.plot([row.attempted_ps] * 2, [k - 0.42, k + 0.42], color=MUTED, lw=1)
        points = replicas[replicas.run == run]
        dodge = np.linspace(-0.2, 0.2, len(points)) if len(points) > 1 else [0]
        for shift, point in zip(dodge, points.to_dict("records")):
            whole = point["event"] == "none"
            style_of: dict[str, Any] = {"mfc": INK if whole else "white", "mec": INK, "mew": 0.7}
            panel.plot(point["stable_ps"], k + shift, "o", ms=3.2, clip_on=False, zorder=3, **style_of)
    panel.set_xlim(0, own.attempted_ps.max() * 1.03)


def _said(published: pd.DataFrame, molecule: str) -> str:
    """The published times of a molecule before and after adaptation; empty where there are none."""
    own = published[published.quantity.str.startswith("Stable time") & published.ours_is.notna()]
    own = own[own.ours_is.astype(str).str.endswith(f" of {molecule}")]
    values = [f"{value:g} ps" for value in own.published]
    return " → ".join(values)
