"""What is wrong with an energy along a line: jumps, minima that are none, forces that are not its slope.

All take equidistant points. What is looked for is larger than what a smooth function of this step has: jumps are what
cubic extrapolations from both sides leave, the slope is that of Simpson's rule.
"""

from collections.abc import Iterable

import numpy as np

SIDE = 4  # points of an extrapolation to the middle between it and the next one
REACH = 2 * SIDE - 1  # intervals at which a jump is seen
AHEAD = np.array([-5.0, 21.0, -35.0, 35.0]) / 16  # weights of a cubic half a step behind the last of them


def jumps(energy: np.ndarray) -> np.ndarray:
    """Jump [..., P - 1] (eV) between each point and the next of energies [..., P].

    Value in the middle by a cubic through the four points on the right, minus that by the four on the left: 0 for
    polynomials up to the third degree, and of fifth order in the step for what is smooth. NaN where a side has fewer.
    """
    points = energy.shape[-1]
    out = np.full((*energy.shape[:-1], points - 1), np.nan)
    if points < 2 * SIDE:
        return out
    windows = np.lib.stride_tricks.sliding_window_view(energy, SIDE, axis=-1)
    left, right = windows @ AHEAD, windows @ AHEAD[::-1]
    out[..., SIDE - 1 : points - SIDE] = right[..., SIDE:] - left[..., : points - 2 * SIDE + 1]
    return out


def discontinuities(leaps: np.ndarray, limit: float) -> list[float]:
    """Heights (eV) of the jumps larger than `limit` (eV) among those of one line that `jumps` found [P - 1].

    A jump is seen by extrapolations from up to REACH neighbouring intervals, the middle one of which has its height.
    """
    large = np.flatnonzero(np.abs(np.nan_to_num(leaps)) > limit)
    runs = np.split(large, np.flatnonzero(np.diff(large) > 1) + 1) if len(large) else []
    parts = [part for run in runs for part in np.array_split(run, -(-len(run) // REACH))]
    return [float(leaps[part[len(part) // 2]]) for part in parts]


def largest(found: Iterable[float], leaps: Iterable[np.ndarray]) -> float:
    """Largest height (eV) of the discontinuities; without any, largest value of what `jumps` found; 0 for nothing."""
    heights = [abs(height) for height in found] or [float(np.nanmax(np.abs(one), initial=0.0)) for one in leaps]
    return max(heights, default=0.0)


def mismatch(energy: np.ndarray, force: np.ndarray, step: float) -> np.ndarray:
    """Force along the line minus the one that the energy has [..., P - 2] (eV/Å), at the inner points.

    energy [..., P] eV; force [..., P] eV/Å, projected on the line; step Å. Both are means over two steps, the force by
    Simpson's rule, so that the difference of what belongs together is of fourth order in the step.
    """
    mean = (force[..., :-2] + 4 * force[..., 1:-1] + force[..., 2:]) / 6
    return mean + (energy[..., 2:] - energy[..., :-2]) / (2 * step)


def minima(energy: np.ndarray, depth: float) -> list[int]:
    """Points at which an energy [P] has a minimum that is `depth` (eV) deep, ends included, ascending.

    A minimum is as deep as one has to climb from it to a lower one; the lowest is infinitely deep. A point without an
    energy is a wall.
    """
    found = _persistent(energy, [[k - 1, k + 1] for k in range(len(energy))], depth)
    return sorted(found)


def minima_of_surface(energy: np.ndarray, depth: float) -> list[tuple[int, int]]:
    """As `minima`, of energies [P, Q] on a grid, with eight neighbours; a minimum at the edge is none of the surface.

    A surface that falls towards its edge has its lowest point there, and is not counted for it.
    """
    rows, columns = energy.shape
    near = [(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1) if a or b]
    neighbours = []
    for k in range(energy.size):
        i, j = divmod(k, columns)
        inside = ((i + a, j + b) for a, b in near if 0 <= i + a < rows and 0 <= j + b < columns)
        neighbours.append([a * columns + b for a, b in inside])
    found = (divmod(k, columns) for k in _persistent(energy.ravel(), neighbours, depth))
    return sorted((i, j) for i, j in found if 0 < i < rows - 1 and 0 < j < columns - 1)


def _persistent(energy, neighbours, depth):
    """Points whose basin is at least `depth` deep when it meets a deeper one; points are flooded from below."""
    basin: dict[int, int] = {}  # point -> one of its basin that is nearer to the lowest one
    kept: set[int] = set()

    def lowest(k):
        while basin[k] != k:
            k = basin[k]
        return k

    for k in np.argsort(energy, kind="stable").tolist():
        if not np.isfinite(energy[k]):
            continue
        met = {lowest(m) for m in neighbours[k] if m in basin}
        first, *others = sorted(met, key=lambda m: (energy[m], m)) or [k]
        basin[k] = first
        for other in others:
            if energy[k] - energy[other] >= depth:
                kept.add(other)
            basin[other] = first
    return kept | {k for k, root in basin.items() if k == root}
