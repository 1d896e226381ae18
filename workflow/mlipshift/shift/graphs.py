"""Molecular graphs as padded neighbour lists.

A batch has R replicas of n (padded) atoms with K (padded) neighbours each. Training uses one replica
that holds all atoms of the batch; test-time training uses one replica per set of adapted parameters.
Both are the same code, without scatter operations.
"""

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


def build(numbers, positions, cutoff, envelope=None):
    """Graph of one structure with all neighbours within `cutoff` (Å); envelope (Å): see Graph."""
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
