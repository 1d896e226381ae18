"""Structures of surfaces, and those that a model is adapted on before it is asked for one.

A surface is the energy at `minimum + u * first + v * second` with two directions of unit norm. Ids say what a structure
is: MOLECULE/SCAN/ROW/COLUMN in group `grid`, with /reference behind it in group `reference`, MOLECULE/adapt/NUMBER in
group `adapt`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlipshift.base.frames import Frames
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
    minima: Mapping[str, Minimum],
    points: int,
    reach: Mapping[str, float],
    reference: Mapping[str, Mapping[str, float]] | None = None,
) -> Iterator[dict[str, Any]]:
    """Rows of Frames.build of all molecules: what is adapted on, the grids, and those of the reference labels.

    points: along each direction; reach: {scan: largest displacement (Å)}, the first of which is that of what is adapted
    on; reference: {"MOLECULE/SCAN": {"points", "reach_A"}} of what has reference labels.
    """
    for name in sorted(minima):
        first = next(iter(reach))
        yield from adapted_on(minima[name], first, reach[first])
        for scan, largest in reach.items():
            yield from surface(minima[name], scan, points, largest)
            known = (reference or {}).get(f"{name}/{scan}")
            if known:
                yield from surface(minima[name], scan, int(known["points"]), known["reach_A"], REFERENCE)


@dataclass(frozen=True)
class Scan:
    """A surface among frames. molecule; name: of SCANS; rows [P, P]: numbers of its structures; places [P] Å: of them
    along both directions; directions [2, n, 3] of unit norm.
    """

    molecule: str
    name: str
    rows: np.ndarray
    places: np.ndarray
    directions: np.ndarray

    @property
    def step(self) -> float:
        """Of the grid (Å)."""
        return float(self.places[1] - self.places[0])

    def along(self, forces: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Forces [n, 3] of every structure of the frames, projected on both directions: two of [P, P] (eV/Å)."""
        whole = np.array([forces[k] for k in self.rows.ravel()]).reshape(*self.rows.shape, -1)
        first, second = (whole @ direction.ravel() for direction in self.directions)
        return first, second


def scans_of(frames: Frames, group: str = GRID) -> list[Scan]:
    """The surfaces of a group of frames, in their order."""
    found: dict[tuple[str, str], dict[tuple[int, int], int]] = {}
    for k in np.flatnonzero(frames.group == group):
        molecule, name, i, j, *_ = str(frames.ids[k]).split("/")
        found.setdefault((molecule, name), {})[int(i), int(j)] = int(k)
    out = []
    for (molecule, name), places_of in found.items():
        points = max(i for i, _ in places_of) + 1
        rows = np.array([[places_of[i, j] for j in range(points)] for i in range(points)])
        middle = points // 2
        ends = [(rows[0, middle], rows[-1, middle]), (rows[middle, 0], rows[middle, -1])]
        moves = np.array([frames[last][1] - frames[first][1] for first, last in ends])
        lengths = np.sqrt((moves**2).sum(axis=(1, 2)))
        directions = moves / lengths[:, None, None]
        out.append(Scan(molecule, name, rows, places(points, float(lengths[0]) / 2), directions))
    return out
