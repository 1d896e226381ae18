"""Radius graphs of molecules as padded lists of neighbours, one structure each; learn.batches puts them together."""

from dataclasses import dataclass

import numpy as np

from mlipshift.base.geometry import pairs


@dataclass
class Graph:
    """One structure: numbers [n], neighbours [n, K] (index, -1 for none), vectors [n, K, 3] Å to the neighbour.

    envelope: radius (Å) at which the model's envelope reaches zero, its trained cutoff if None.
    """

    numbers: np.ndarray
    neighbours: np.ndarray
    vectors: np.ndarray
    envelope: float | None = None


def build(numbers: np.ndarray, positions: np.ndarray, cutoff: float, envelope: float | None = None) -> Graph:
    """Graph of one structure, numbers [n], positions [n, 3] Å, with all neighbours closer than `cutoff` (Å)."""
    i, j = pairs(positions, cutoff)
    n = len(numbers)
    degree = np.bincount(i, minlength=n)
    width = max(1, int(degree.max(initial=0)))
    slot = np.arange(len(i)) - np.repeat(np.cumsum(degree) - degree, degree)
    neighbours = np.full((n, width), -1, dtype=np.int64)
    vectors = np.zeros((n, width, 3))
    neighbours[i, slot] = j
    vectors[i, slot] = positions[j] - positions[i]
    return Graph(np.asarray(numbers, dtype=np.int64), neighbours, vectors, envelope)
