"""How rough an energy surface is, as numbers.

The roughness is what a smooth surface leaves: the root mean square, over the grid, of the energy minus that of a local
least-squares cubic in five by five points at its centre (the two-dimensional filter of Savitzky and Golay, Anal. Chem.
1964, 36, 1627). It is 0 for polynomials up to the third degree, and for independent noise of standard deviation s it is
s sqrt(1 - w), with w the weight of the centre. A smooth surface has some of it, too, by its higher derivatives, so that
it is also given in units of that of the prior on the same grid.
"""

from typing import Any

import numpy as np

from mlipshift.simulate import smoothness

HALF, DEGREE = 2, 3  # points on either side of the centre; of the polynomial


def _weights():
    """Weights [25] of the points of a window for the value of the polynomial at its centre."""
    x, y = (a.ravel() for a in np.meshgrid(*[np.arange(-HALF, HALF + 1.0)] * 2, indexing="ij"))
    powers = [(a, b) for a in range(DEGREE + 1) for b in range(DEGREE + 1 - a)]
    design = np.column_stack([x**a * y**b for a, b in powers])
    return np.linalg.pinv(design)[powers.index((0, 0))]


WEIGHTS = _weights()
CENTRE = float(WEIGHTS[len(WEIGHTS) // 2])  # w of the module's description


def residual(energy: np.ndarray) -> np.ndarray:
    """Energy [P, Q] minus the local cubic at every point with five by five around it [P - 4, Q - 4] (eV)."""
    size = 2 * HALF + 1
    windows = np.lib.stride_tricks.sliding_window_view(energy, (size, size))
    smooth = windows.reshape(*windows.shape[:2], -1) @ WEIGHTS
    return energy[HALF:-HALF, HALF:-HALF] - smooth


def roughness(energy: np.ndarray) -> float:
    """Root mean square of `residual` (eV)."""
    return float(np.sqrt(np.mean(residual(energy) ** 2)))


def describe(
    energy: np.ndarray, forces: tuple[np.ndarray, np.ndarray], step: float, depth: float, jump: float
) -> dict[str, Any]:
    """What is told of a surface of energies [P, P] (eV), all of them known.

    forces: two of [P, P] (eV/Å), along the rows' and along the columns' direction; step: of the grid (Å); depth: of a
    minimum that counts, jump: of a discontinuity that counts (eV).
    """
    first, second = forces
    lines = [*energy.T, *energy]
    leaps = [smoothness.jumps(line) for line in lines]
    found = [height for line in leaps for height in smoothness.discontinuities(line, jump)]
    gaps = [smoothness.mismatch(energy.T, first.T, step), smoothness.mismatch(energy, second, step)]
    return {
        "roughness_meV": 1e3 * roughness(energy),
        "minima": len(smoothness.minima_of_surface(energy, depth)),
        "jumps": len(found),
        "largest_jump_meV": 1e3 * smoothness.largest(found, leaps),
        "force_mismatch_eV_per_A": float(np.sqrt(np.mean(np.concatenate([g.ravel() for g in gaps]) ** 2))),
        "range_eV": float(energy.max() - energy.min()),
    }
