"""Distances and neighbours of atoms, free and periodic."""

import numpy as np
from ase.data import chemical_symbols, covalent_radii
from ase.geometry import complete_cell
from ase.neighborlist import primitive_neighbor_list
from scipy.spatial import cKDTree

DENSE_LIMIT = 64  # atoms; up to here all distances at once are faster than a tree


def pairs(positions: np.ndarray, cutoff: float) -> tuple[np.ndarray, np.ndarray]:
    """Directed pairs (i [E], j [E]), i != j, closer than `cutoff` (Å), sorted by i then j; positions [n, 3] Å."""
    n = len(positions)
    if n <= DENSE_LIMIT:
        d2 = ((positions[:, None] - positions[None]) ** 2).sum(-1)
        np.fill_diagonal(d2, np.inf)
        i, j = np.nonzero(d2 < cutoff**2)
        return i, j
    found = cKDTree(positions).query_pairs(np.nextafter(cutoff, 0), output_type="ndarray")
    both = np.concatenate([found, found[:, ::-1]])
    both = both[np.lexsort((both[:, 1], both[:, 0]))]
    return both[:, 0], both[:, 1]


def edges(
    positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray, cutoff: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Directed edges (i, j, S [E, 3], distance [E] Å) from every atom to all atoms and images closer than `cutoff` (Å).

    positions [n, 3] Å; cell [3, 3] Å; pbc [3]. The neighbour is at positions[j] + S @ cell.
    """
    return primitive_neighbor_list("ijSd", pbc, complete_cell(cell), positions, float(cutoff))


def centred(positions: np.ndarray) -> np.ndarray:
    """Positions [n, 3] about their mean."""
    return positions - positions.mean(axis=0)


def rotation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Rotation [3, 3] that, from the right, brings `second` [n, 3] closest to `first` [n, 3], both about their means.

    Kabsch 1976 (doi 10.1107/S0567739476001873); the identity where a position is not finite.
    """
    if not np.isfinite([first, second]).all():
        return np.eye(3)
    u, _, v = np.linalg.svd(centred(second).T @ centred(first))
    return u @ np.diag([1, 1, np.sign(np.linalg.det(u @ v))]) @ v


def scaled_distances(numbers: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Distances [n, n] in sums of covalent radii, infinite on the diagonal and where not finite.

    numbers [n] atomic numbers; positions [n, 3] Å.
    """
    distance = np.linalg.norm(positions[:, None] - positions[None], axis=-1)
    scaled = distance / (covalent_radii[numbers][:, None] + covalent_radii[numbers])
    scaled[np.diag_indices(len(numbers))] = np.inf
    return np.where(np.isfinite(scaled), scaled, np.inf)


def symbol(number: int) -> str:
    """Chemical symbol of an atomic number; X for 0."""
    return chemical_symbols[number]
