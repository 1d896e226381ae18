"""The Hessian of a molecule from forces, and its directions without translations and rotations."""

from collections.abc import Callable

import numpy as np

from mlipshift.base.geometry import centred

# positions [n, 3] Å -> forces [n, 3] eV/Å
Forces = Callable[[np.ndarray], np.ndarray]

RIGID = 1e-6  # of a singular value relative to the largest one: the rotation of a linear molecule about its axis


def hessian(forces: Forces, positions: np.ndarray, step: float = 0.005) -> np.ndarray:
    """Symmetric Hessian [3n, 3n] (eV/Å²) by central differences of the forces.

    positions [n, 3] Å; step: displacement of every coordinate (Å), with an error of its square; below it the
    convergence of a self-consistent field has a say. Raises what `forces` raises.
    """
    found = np.empty((positions.size, positions.size))
    for k in range(positions.size):
        ahead, behind = positions.copy(), positions.copy()
        ahead[k // 3, k % 3] += step
        behind[k // 3, k % 3] -= step
        after, before = forces(ahead), forces(behind)
        found[k] = (before - after).ravel() / (2 * step)
    return 0.5 * (found + found.T)


def rigid(positions: np.ndarray) -> np.ndarray:
    """Orthonormal basis [m, 3n] of translations and rotations, m = 6, 5 for a linear molecule; positions [n, 3] Å."""
    around = centred(positions)
    moves = [np.broadcast_to(axis, positions.shape) for axis in np.eye(3)]
    moves += [np.cross(axis, around) for axis in np.eye(3)]
    _, weights, basis = np.linalg.svd(np.array(moves).reshape(6, -1), full_matrices=False)
    return basis[weights > RIGID * weights[0]]


def internal(found: np.ndarray, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues [m] (eV/Å²) of a Hessian, ascending, and their directions [m, n, 3], of unit norm.

    found [3n, 3n] eV/Å², not weighted by masses; positions [n, 3] Å. Translations and rotations are projected out. The
    sign of a direction is that of its largest component, which is positive.
    """
    basis = rigid(positions)
    # what is rigid goes to the end, whatever the curvatures are
    projector = np.eye(positions.size) - basis.T @ basis
    shift = 1.0 + np.abs(found).sum(axis=1).max()
    values, vectors = np.linalg.eigh(projector @ found @ projector + shift * basis.T @ basis)
    values, vectors = values[: -len(basis)], vectors.T[: -len(basis)]
    largest = np.abs(vectors).argmax(axis=1)
    vectors = vectors * np.sign(vectors[np.arange(len(vectors)), largest])[:, None]
    return values, vectors.reshape(len(vectors), -1, 3)
