"""Averages over the atoms of every structure."""

import numpy as np

SOFT = 0.02  # eV/Å, added to errors whose ratio is taken, so that errors near zero do not decide


def over_atoms(values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Mean [..., S] over the atoms of every structure of values [..., N]; offsets [S + 1]."""
    return np.add.reduceat(values, offsets[:-1], axis=-1) / np.diff(offsets)


def component_mae(forces: np.ndarray, reference: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Mean absolute error [..., S] per force component and structure, in the unit of forces [..., N, 3].

    reference [N, 3]; offsets [S + 1]; NaN where either is missing.
    """
    return over_atoms(np.abs(forces - reference).mean(-1), offsets)


def mean_norm(forces: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Mean over atoms of the Euclidean force norm per structure [S] (eV/Å); forces [N, 3], offsets [S + 1]."""
    return over_atoms(np.linalg.norm(forces, axis=1), offsets)
