"""Molecules drawn as balls and sticks in a panel of a figure."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mlipshift.catalogue.pairs import ENDS
from mlipshift.show import style
from mlipshift.show.style import INK, MUTED

COLUMNS, MOST = 4, 12  # panels in a row and in all
BOND: dict[str, Any] = {"color": MUTED, "lw": 1.6}
COLOURS = {"H": "#F4F4F4", "C": "#5A5A5A", "N": "#3F63C8", "O": "#D0342C", "S": "#D9B310", "F": "#5DAE4B"}
OTHER = "#B07FC7"
SIZES = {"H": 40.0}  # points², of others OTHER_SIZE
OTHER_SIZE = 95.0


def canvas(number: int, lines: int) -> tuple[Figure, np.ndarray]:
    """Figure of a panel without axes for each of `number` molecules, and the panels [number].

    lines: of `label` over each of them.
    """
    rows = -(-number // COLUMNS)
    margins = {"left": 0.1, "right": 0.1, "top": 0.8 + 0.15 * lines, "bottom": 0.1, "wspace": 0.1}
    figure, panels = style.canvas(
        0.35 + 0.15 * lines + 1.85 * rows, rows, COLUMNS, hspace=0.5 + 0.05 * lines, **margins
    )
    for panel in panels.flat:
        panel.set_axis_off()
        panel.set_xticks([])
        panel.set_yticks([])
    return figure, panels.ravel()[:number]


def label(panel: Axes, title: str, lines: Sequence[str]) -> None:
    """Title of a molecule, and the lines under it."""
    panel.set_title(title, size=7, pad=12 * len(lines))
    panel.text(0, 1.03, "\n".join(lines), transform=panel.transAxes, size=6.5, color=MUTED)


def draw(
    panel: Axes,
    pairs: pd.DataFrame,
    looks: Sequence[Mapping[str, Any] | None],
    scale: float = 1.0,
    reach: float = np.inf,
) -> None:
    """Atoms and lines, seen along the direction in which they are spread least.

    pairs: rows with the columns PAIR; looks: how to draw the line of each pair, None for no line; scale: of the sizes
    of atoms, which bear no symbols unless it is 1; reach: Å from the middle that are shown.
    """
    ends = pairs[list(ENDS)].to_numpy(dtype=float).reshape(-1, 2, 3)
    atoms: dict[int, tuple[str, np.ndarray]] = {}
    for (i, j), elements, (a, b) in zip(
        pairs[["first", "second"]].to_numpy(), pairs[["first_element", "second_element"]].to_numpy(), ends
    ):
        atoms |= {i: (elements[0], a), j: (elements[1], b)}
    points = np.array([place for _, place in atoms.values()])
    middle = np.median(points, axis=0)
    axes = np.linalg.svd(np.clip(points - middle, -reach, reach), full_matrices=False)[2]
    flat = lambda x: (x - middle) @ axes.T
    for (a, b), look in zip(ends, looks):
        if look is not None:
            (x, y), (u, v) = flat(a)[:2], flat(b)[:2]
            panel.plot([x, u], [y, v], **{"zorder": 1, **look})
    for element, place in sorted(atoms.values(), key=lambda atom: flat(atom[1])[2]):
        x, y, _ = flat(place)
        size = scale * SIZES.get(element, OTHER_SIZE)
        panel.scatter(x, y, s=size, color=COLOURS.get(element, OTHER), edgecolor=INK, linewidth=0.5, zorder=2)
        if element not in ("H", "C") and scale == 1.0:
            panel.text(x, y, element, ha="center", va="center", size=5.5, color="white", zorder=3)
    seen = np.clip(flat(points)[:, :2], -reach, reach)
    middle, half = (seen.min(axis=0) + seen.max(axis=0)) / 2, np.ptp(seen, axis=0).max() / 2 + 0.6
    # squares, so that the titles of a row stay level
    panel.set_xlim(middle[0] - half, middle[0] + half)
    panel.set_ylim(middle[1] - half, middle[1] + half)
    panel.set_aspect("equal", adjustable="box")
