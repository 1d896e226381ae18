"""Molecules drawn as balls and sticks in a panel of a figure."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from mlipshift.show.style import INK, MUTED

ENDS = [f"{end}_{axis}_A" for end in ("first", "second") for axis in "xyz"]
PAIR = ("first", "second", "first_element", "second_element", *ENDS)  # columns of a pair of atoms
BOND: dict[str, Any] = {"color": MUTED, "lw": 1.6}
COLOURS = {"H": "#F4F4F4", "C": "#5A5A5A", "N": "#3F63C8", "O": "#D0342C", "S": "#D9B310", "F": "#5DAE4B"}
OTHER = "#B07FC7"
SIZES = {"H": 40.0}  # points², of others OTHER_SIZE
OTHER_SIZE = 95.0
REACH = 7.0  # Å from the middle that are shown


def draw(panel: Axes, pairs: pd.DataFrame, looks: Sequence[Mapping[str, Any] | None], scale: float = 1.0) -> None:
    """Atoms and lines, seen along the direction in which they are spread least.

    pairs: rows with the columns PAIR; looks: how to draw the line of each pair, None for no line; scale: of the sizes
    of atoms.
    """
    ends = pairs[ENDS].to_numpy(dtype=float).reshape(-1, 2, 3)
    atoms: dict[int, tuple[str, np.ndarray]] = {}
    for (i, j), elements, (a, b) in zip(
        pairs[["first", "second"]].to_numpy(), pairs[["first_element", "second_element"]].to_numpy(), ends
    ):
        atoms |= {i: (elements[0], a), j: (elements[1], b)}
    points = np.array([place for _, place in atoms.values()])
    middle = np.median(points, axis=0)
    axes = np.linalg.svd(np.clip(points - middle, -REACH, REACH), full_matrices=False)[2]
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
    seen = np.clip(flat(points)[:, :2], -REACH, REACH)
    middle, half = (seen.min(axis=0) + seen.max(axis=0)) / 2, np.ptp(seen, axis=0).max() / 2 + 0.6
    # squares, so that the titles of a row stay level
    panel.set_xlim(middle[0] - half, middle[0] + half)
    panel.set_ylim(middle[1] - half, middle[1] + half)
    panel.set_aspect("equal", adjustable="box")
