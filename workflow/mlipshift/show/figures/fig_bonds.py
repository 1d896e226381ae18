"""Share of bonds without a fault by model, and which fault the others have."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mlipshift.base.text import several
from mlipshift.show import samples, style, surfaces
from mlipshift.show.style import INK, MUTED, PALE

FAULTS = {
    "jumps_percent": ("Jumps", "#B5485D", "s"),
    "false_minima_percent": ("False minima", "#B07D00", "D"),
    "wrong_forces_percent": ("Forces that do not fit", "#3F7CAC", "o"),
    "missing_percent": ("No energy", "#5F6B6D", "X"),
}
SOUND = ("sound_percent", "sound_energy_percent")
NEEDS = {"bond_scores": ("method", "n_bonds", "n_molecules", "n_seeds", "reason", *SOUND, *FAULTS)}


def draw(tables: Mapping[str, pd.DataFrame], title: str) -> tuple[Figure, dict[str, str]]:
    """(figure, facts of the caption)."""
    table = tables["bond_scores"]
    missing = table[table.reason.notna()]
    table = samples.need(table[table.n_bonds.notna()], "bond_scores", "any model")
    order = surfaces.ordered(table.method)
    table = table.set_index("method").loc[order[::-1]].reset_index()
    rows = np.arange(len(table))
    margins = {"left": 2.35, "right": 0.2, "top": 0.75, "bottom": 0.9, "wspace": 0.3}
    figure, panels = style.canvas(1.85 + 0.2 * len(table), 1, 2, **margins, sharey=True)
    left, right = panels[0]
    left.barh(rows, table.sound_energy_percent, height=0.62, color=PALE)
    left.barh(rows, table.sound_percent, height=0.34, color=MUTED)
    for at, value in zip(rows, table.sound_percent):
        left.text(min(value + 2, 101.5), at, f"{value:.0f}", va="center", size=6.5, color=INK)
    left.set_yticks(rows, [surfaces.title(m) for m in table.method])
    left.set_ylim(-0.6, len(table) - 0.4)
    marks = [Line2D([], [], lw=5, color=c, label=t) for c, t in ((MUTED, "Sound"), (PALE, "Energy sound"))]
    count = len(FAULTS)
    for k, (column, (name, colour, marker)) in enumerate(FAULTS.items()):
        look: dict[str, Any] = {"ls": "none", "color": colour, "marker": marker, "ms": 4}
        there = table[column] > 0  # what no bond has is not drawn
        right.plot(table[column][there], rows[there] + 0.5 * ((k + 0.5) / count - 0.5), **look)
        marks.append(Line2D([], [], label=name, **look))
    for panel, name in ((left, "a  Bonds without a fault (%)"), (right, "b  Bonds with this fault (%)")):
        panel.set_xlim(-2, 110)
        panel.set_xticks(range(0, 101, 20))
        for edge in rows[:-1] + 0.5:
            panel.axhline(edge, color=PALE, lw=0.4, zorder=0)
        panel.set_title(name, pad=4)
        panel.set_xlabel("Share of the bonds (%)")
    sample = f"{int(table.n_bonds.max())} bonds of {int(table.n_molecules.max())} molecules"
    style.head(figure, title, f"n = {sample}, {several(samples.span(table.n_seeds.dropna()) or '0', 'seed')}")
    style.legend(figure, marks, 0.36, 6)
    left_out = {"missing": ", ".join(missing.method)} if len(missing) else {}
    return figure, left_out | {"sample": sample}
