"""Distances and neighbours of atoms, free and periodic."""

import numpy as np
from ase.data import chemical_symbols, covalent_radii
from ase.geometry import complete_cell
from scipy.spatial import cKDTree

DENSE_LIMIT = 64  # atoms; up to here all distances at once are faster than a tree
FIRST_NEIGHBOURS = 9  # of an atom, itself among them, that a tree is asked for first
ROUNDING = 1e-9  # relative, of distances
# Å; shells of crystals lie at a cutoff to rounding, which would make some of their atoms neighbours and others not
TIE = 1e-6


def within(cutoff: np.ndarray | float) -> np.ndarray | float:
    """Distance (Å) below which atoms are neighbours at a cutoff (Å): those that lie at it, to within TIE, are none."""
    return np.maximum(np.asarray(cutoff) - TIE, 0.0)


def pairs(positions: np.ndarray, cutoff: float) -> tuple[np.ndarray, np.ndarray]:
    """Directed pairs (i [E], j [E]), i != j, neighbours at `cutoff` (Å), sorted by i then j; positions [n, 3] Å."""
    n, cutoff = len(positions), float(within(cutoff))
    if n <= DENSE_LIMIT:
        d2 = ((positions[:, None] - positions[None]) ** 2).sum(-1)
        np.fill_diagonal(d2, np.inf)
        i, j = np.nonzero(d2 < cutoff**2)
        return i, j
    found = cKDTree(positions).query_pairs(np.nextafter(cutoff, 0.0), output_type="ndarray")
    both = np.concatenate([found, found[:, ::-1]])
    both = both[np.lexsort((both[:, 1], both[:, 0]))]
    return both[:, 0], both[:, 1]


def bonds(numbers: np.ndarray, positions: np.ndarray, scale: float = 1.3) -> set[tuple[int, int]]:
    """Covalently bonded pairs (i < j) of atoms at positions [n, 3] Å: closer than `scale` sums of covalent radii."""
    radii = scale * covalent_radii[numbers]
    i, j = pairs(positions, 2 * float(radii.max(initial=0.0)))
    near = np.linalg.norm(positions[i] - positions[j], axis=1) < radii[i] + radii[j]
    return {(int(min(a, b)), int(max(a, b))) for a, b in zip(i[near], j[near])}


def edges(
    positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray, cutoff: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Directed edges (i, j, S [E, 3], distance [E] Å) from every atom to its neighbours, images too, at `cutoff` (Å).

    positions [n, 3] Å, in the cell or not; cell [3, 3] Å, of any shape; pbc [3]. The neighbour is at
    positions[j] + S @ cell. Sorted by i, then j. Memory grows with the edges, and with the images within the cutoff of
    the cell.
    """
    cell, pbc = complete_cell(cell), np.asarray(pbc)
    fraction = positions @ np.linalg.inv(cell)
    home = np.where(pbc, np.floor(fraction), 0.0)
    atoms, shifts = _images(fraction - home, np.where(pbc, cutoff / thickness(cell, pbc), 0.0))
    trees = (cKDTree(points) for points in (positions - home @ cell, (positions - home @ cell)[atoms] + shifts @ cell))
    found = next(trees).sparse_distance_matrix(next(trees), cutoff * (1 + ROUNDING), output_type="ndarray")
    i, image = found["i"], found["j"]
    order = np.lexsort((image, atoms[image], i))
    i, image = i[order], image[order]
    j, shift = atoms[image], shifts[image] - home[atoms[image]] + home[i]
    distance = np.linalg.norm(positions[j] - positions[i] + shift @ cell, axis=1)
    kept = (distance < within(cutoff)) & ((i != j) | shift.any(axis=1))
    return i[kept], j[kept], shift[kept].astype(np.intp), distance[kept]


def thickness(cell: np.ndarray, pbc: np.ndarray) -> np.ndarray:
    """Distances [3] (Å) between opposite faces of the cell; infinite along directions that are not periodic."""
    reciprocal = np.linalg.inv(complete_cell(cell)).T
    return np.where(pbc, 1.0 / np.linalg.norm(reciprocal, axis=1), np.inf)


def _images(fraction, reach):
    """(atoms [M], shifts [M, 3]) of the images of atoms at `fraction` [n, 3] that are in the cell or `reach` [3] of it.

    Fractions of the cell vectors, both; along vectors without images the reach is 0.
    """
    atoms, shifts = np.arange(len(fraction)), np.zeros((len(fraction), 3))
    for axis in np.flatnonzero(reach):
        steps = np.arange(-np.ceil(reach[axis]), np.ceil(reach[axis]) + 1)
        along = fraction[atoms, axis] + steps[:, None]
        inside = (along >= -reach[axis] - ROUNDING) & (along <= 1 + reach[axis] + ROUNDING)
        step, old = np.nonzero(inside)
        atoms, shifts = atoms[old], shifts[old]
        shifts[:, axis] = steps[step]
    return atoms, shifts


def centred(positions: np.ndarray) -> np.ndarray:
    """Positions [n, 3] about their mean."""
    return positions - positions.mean(axis=0)


def rotation(first: np.ndarray, second: np.ndarray, mirrored: bool = False) -> np.ndarray:
    """Rotation [3, 3] that, from the right, brings `second` [n, 3] closest to `first` [n, 3], both about their means.

    mirrored: whether it may be a reflection, too. Kabsch 1976 (doi 10.1107/S0567739476001873); the identity where a
    position is not finite.
    """
    if not np.isfinite([first, second]).all():
        return np.eye(3)
    u, _, v = np.linalg.svd(centred(second).T @ centred(first))
    return u @ v if mirrored else u @ np.diag([1, 1, np.sign(np.linalg.det(u @ v))]) @ v


def nearest(numbers: np.ndarray, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distances [n] from every atom to its nearest one: in Å, and in sums of covalent radii, which may be another atom.

    numbers [n] atomic numbers; positions [n, 3] Å. Infinite for an atom alone, and where a position is not finite.
    Memory grows with the number of atoms, even where all of them lie on one spot.
    """
    found = np.full((2, len(numbers)), np.inf)
    finite = np.flatnonzero(np.isfinite(positions).all(axis=1))
    points, radii = positions[finite], covalent_radii[numbers[finite]]
    if len(finite) > DENSE_LIMIT:
        found[:, finite] = _nearest_of_many(points, radii)
    elif len(finite) > 1:
        distance = np.linalg.norm(points[:, None] - points, axis=-1)
        np.fill_diagonal(distance, np.inf)
        found[:, finite] = distance.min(axis=1), (distance / (radii[:, None] + radii)).min(axis=1)
    return found[0], found[1]


def _nearest_of_many(points, radii):
    """`nearest` [2, n] by a tree, which is asked for more neighbours until no other can be nearer in radii."""
    tree, total = cKDTree(points), len(points)
    found, left, count = np.full((2, total), np.inf), np.arange(total), FIRST_NEIGHBOURS
    while len(left):
        near = tree.query(points[left], count)[1]
        distance = np.linalg.norm(points[left, None] - points[near], axis=-1)
        reached = distance.max(axis=1)
        distance[near == left[:, None]] = np.inf
        relative = (distance / (radii[left, None] + radii[near])).min(axis=1)
        found[:, left] = distance.min(axis=1), relative
        if count == total:
            break
        left = left[relative * (radii[left] + radii.max()) * (1 + ROUNDING) > reached]
        count = min(4 * count, total)
    return found


def symbol(number: int) -> str:
    """Chemical symbol of an atomic number; X for 0."""
    return chemical_symbols[number]
