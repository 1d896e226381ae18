"""Structures of surfaces, and those that a model is adapted on before it is asked for one.

A surface is the energy at `minimum + u * first + v * second` with two directions of unit norm. Ids say what a structure
is: MOLECULE/SCAN/ROW/COLUMN in group `grid`, with /reference behind it in group `reference`, MOLECULE/adapt/NUMBER in
group `adapt`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from mlipshift.simulate.minima import Minimum

GRID, REFERENCE, ADAPT = "grid", "reference", "adapt"
# scan -> pair of directions of minima.PAIRS that it is along
SCANS = {"soft": "soft", "wide": "soft", "stiff": "stiff"}
# what a model is adapted on -> structures of group `adapt`: the minimum; thirds of the range along both directions of
# the first scan, 12 without the minimum
ADAPTED_ON = {"minimum": slice(0, 1), "directions": slice(1, 13)}
THIRDS = (-1.0, -2 / 3, -1 / 3, 1 / 3, 2 / 3, 1.0)


def places(points: int, reach: float) -> np.ndarray:
    """Displacements [points] (Å) from -reach to reach, 0 among them for an odd number."""
    return np.linspace(-reach, reach, points)


def surface(minimum: Minimum, scan: str, points: int, reach: float, group: str = GRID) -> Iterator[dict[str, Any]]:
    """Rows of Frames.build of points² structures, v changing fastest; reach: largest displacement (Å)."""
    first, second = minimum.directions[SCANS[scan]]
    for i, u in enumerate(places(points, reach)):
        for j, v in enumerate(places(points, reach)):
            name = f"{minimum.name}/{scan}/{i:02d}/{j:02d}"
            yield row(minimum, group, name if group == GRID else f"{name}/{group}", u * first + v * second)


def adapted_on(minimum: Minimum, scan: str, reach: float) -> Iterator[dict[str, Any]]:
    """Rows of Frames.build: the minimum, and 12 structures along the directions of a scan (see ADAPTED_ON)."""
    moves = [np.zeros_like(minimum.positions)]
    moves += [share * reach * direction for direction in minimum.directions[SCANS[scan]] for share in THIRDS]
    for k, move in enumerate(moves):
        yield row(minimum, ADAPT, f"{minimum.name}/adapt/{k:02d}", move)


def row(minimum: Minimum, group: str, name: str, move: np.ndarray) -> dict[str, Any]:
    """A row of Frames.build of a molecule whose atoms are displaced by move [n, 3] (Å) from the minimum."""
    return {
        "id": name,
        "group": group,
        "molecule": minimum.name,
        "numbers": minimum.numbers,
        "positions": minimum.positions + move,
        "charge": 0,
        "multiplicity": 1,
    }


def structures(
    minima: Mapping[str, Minimum], points: int, reach: Mapping[str, float], reference: Mapping[str, int]
) -> Iterator[dict[str, Any]]:
    """Rows of Frames.build of all molecules: what is adapted on, the grids, and those of the reference labels.

    reach: {scan: largest displacement (Å)}, the first of which is that of what is adapted on; reference: {"MOLECULE/SCAN":
    points of its grid}.
    """
    for name in sorted(minima):
        first = next(iter(reach))
        yield from adapted_on(minima[name], first, reach[first])
        for scan, largest in reach.items():
            yield from surface(minima[name], scan, points, largest)
            if f"{name}/{scan}" in reference:
                yield from surface(minima[name], scan, reference[f"{name}/{scan}"], largest, REFERENCE)
