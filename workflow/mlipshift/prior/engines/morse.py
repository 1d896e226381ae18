"""Morse bonds: the weakest prior, which knows the covalent radii alone and needs no library."""

from collections.abc import Callable

import numpy as np
from ase.data import covalent_radii

from mlipshift.base.geometry import pairs

PACKAGE = "Morse"
WELL_DEPTH = 4.0  # eV, of a typical single bond
STEEPNESS = 2.0  # 1/Å; with the depth a force constant of 32 eV/Å² (5 mdyn/Å), that of a typical single bond
SWITCH = 1.2, 1.6  # in sums of covalent radii; beyond lie the neighbours of neighbours


def engine(method: str, accuracy: float) -> Callable[..., tuple[float, np.ndarray]]:
    """`morse`; there is one method, and it is exact."""
    return morse


def morse(
    numbers: np.ndarray, positions: np.ndarray, charge: int = 0, multiplicity: int = 1
) -> tuple[float, np.ndarray]:
    """Energy (eV) and forces [n, 3] (eV/Å) of Morse bonds between atoms `numbers` [n] at `positions` [n, 3] (Å).

    Every pair has the same depth and steepness and its minimum at the sum of the covalent radii (Cordero et al. 2008,
    doi:10.1039/b801115j); it fades smoothly over SWITCH. Charge and multiplicity are ignored.
    """
    # what is farther away than SWITCH contributes nothing
    i, j = pairs(positions, 2 * SWITCH[1] * covalent_radii[numbers].max(initial=0))
    i, j = i[i < j], j[i < j]
    apart = positions[i] - positions[j]
    r = np.linalg.norm(apart, axis=1)
    bond = covalent_radii[numbers[i]] + covalent_radii[numbers[j]]
    decay = np.exp(-STEEPNESS * (r - bond))
    well = WELL_DEPTH * ((1 - decay) ** 2 - 1)
    slope = 2 * WELL_DEPTH * STEEPNESS * (1 - decay) * decay
    width = (SWITCH[1] - SWITCH[0]) * bond
    t = np.clip((r - SWITCH[0] * bond) / width, 0, 1)
    switch = 1 - t**3 * (10 - 15 * t + 6 * t**2)
    pull = (slope * switch - well * 30 * t**2 * (1 - t) ** 2 / width)[:, None] * apart / r[:, None]
    forces = np.zeros((len(numbers), 3))
    np.add.at(forces, i, -pull)
    np.add.at(forces, j, pull)
    return float(np.sum(well * switch)), forces
