"""The first unphysical event of every run in which something happened, drawn as a molecule."""

from collections.abc import Mapping
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mlipshift.catalogue.runs import RUN
from mlipshift.show import runs, samples, style
from mlipshift.show.style import INK, MUTED

ENDS = [f"{end}_{axis}_A" for end in ("first", "second") for axis in "xyz"]
NEEDS = {
    "unphysical": (
        *("molecule", "run", "event", "time_ps", "first", "second", "first_element", "second_element"),
        *(*ENDS, "length_A", "mean_length_A"),
    ),
    "dynamics_summary": RUN,
}
COLOURS = {"H": "#F4F4F4", "C": "#5A5A5A", "N": "#3F63C8", "O": "#D0342C", "S": "#D9B310", "F": "#5DAE4B"}
OTHER = "#B07FC7"
SIZES = {"H": 40.0}  # points², of others OTHER_SIZE
OTHER_SIZE = 95.0
BROKEN = "#D55E00"
STRETCH = 0.5  # Å, as the criterion
COLUMNS, MOST, REACH = 4, 12, 7.0  # panels in a row and in all; Å from the middle that are shown


def draw(tables: Mapping[str, pd.DataFrame], title: str) -> tuple[Figure, dict[str, str]]:
    """(figure, facts of the caption)."""
    table = tables["unphysical"]
    if len(table) == 0:
        raise samples.NothingToDraw("no simulated molecule came apart")
    names = runs.titles(tables["dynamics_summary"])
    found = list(table.groupby(["molecule", "run"], sort=False))
    shown = found[:MOST]
    rows = -(-len(shown) // COLUMNS)
    margins = {"left": 0.1, "right": 0.1, "top": 0.95, "bottom": 0.1, "wspace": 0.1, "hspace": 0.55}
    figure, panels = style.canvas(0.5 + 1.85 * rows, rows, COLUMNS, **margins)
    for k, panel in enumerate(panels.flat):
        panel.set_axis_off()
        panel.set_xticks([])
        panel.set_yticks([])
        if k < len(shown):
            (molecule, run), bonds = shown[k]
            _molecule(panel, bonds)
            row = bonds.iloc[0]
            what = "bond lost" if row.event == "bond" else "energy exploded"
            panel.set_title(fill(names[run], 27), size=7, pad=12)
            said = f"{runs.molecule(molecule)}, {what} at {row.time_ps:.3g} ps"
            panel.text(0, 1.03, said, transform=panel.transAxes, size=6.5, color=MUTED)
    style.head(figure, title, "The first replica of every run; orange: bonds more than 0.5 Å from their mean length")
    facts = {"events": str(len(found))}
    return figure, facts | ({"left": str(len(found) - MOST)} if len(found) > MOST else {})


def _molecule(panel: Axes, bonds: pd.DataFrame) -> None:
    """Atoms and bonds seen along the direction in which they are spread least."""
    ends = bonds[ENDS].to_numpy(dtype=float).reshape(-1, 2, 3)
    atoms: dict[int, tuple[str, np.ndarray]] = {}
    for (i, j), elements, (a, b) in zip(
        bonds[["first", "second"]].to_numpy(), bonds[["first_element", "second_element"]].to_numpy(), ends
    ):
        atoms |= {i: (elements[0], a), j: (elements[1], b)}
    points = np.array([place for _, place in atoms.values()])
    middle = np.median(points, axis=0)
    axes = np.linalg.svd(np.clip(points - middle, -REACH, REACH), full_matrices=False)[2]
    flat = lambda x: (x - middle) @ axes.T
    for (a, b), length, mean in zip(ends, bonds.length_A, bonds.mean_length_A):
        lost = not abs(length - mean) <= STRETCH
        (x, y), (u, v) = flat(a)[:2], flat(b)[:2]
        look: dict[str, Any] = (
            {"color": BROKEN, "ls": (0, (2, 1.5)), "lw": 1.2} if lost else {"color": MUTED, "lw": 1.6}
        )
        panel.plot([x, u], [y, v], zorder=1, **look)
    for element, place in sorted(atoms.values(), key=lambda atom: flat(atom[1])[2]):
        x, y, _ = flat(place)
        size = SIZES.get(element, OTHER_SIZE)
        panel.scatter(x, y, s=size, color=COLOURS.get(element, OTHER), edgecolor=INK, linewidth=0.5, zorder=2)
        if element not in ("H", "C"):
            panel.text(x, y, element, ha="center", va="center", size=5.5, color="white", zorder=3)
    seen = np.clip(flat(points)[:, :2], -REACH, REACH)
    low, high = seen.min(axis=0) - 0.6, seen.max(axis=0) + 0.6
    panel.set_xlim(low[0], high[0])
    panel.set_ylim(low[1], high[1])
    panel.set_aspect("equal", adjustable="box")
