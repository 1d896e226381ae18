"""Molecular graphs as padded neighbour lists.

A batch has R replicas of n (padded) atoms with K (padded) neighbours each. Training uses one replica
that holds all atoms of the batch; test-time training uses one replica per set of adapted parameters.
Both are the same code, without scatter operations.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from mlipshift.shift.graphs import Graph

ATOMS = 2**13  # of the structures that are computed at once, of which each has as many as the largest
PAIRS = 2**13  # of atoms of structures that one core computes at once: their features stay in its cache


@dataclass
class Batch:
    """Padded batch of R replicas (see module docstring).

    z [R, n] (0 for padding); neighbours [R * n * K] flat atom index; vectors [R, n, K, 3] Å;
    edges [R, n, K] 1 for a real edge; structure [R, n] structure number, S for padding;
    replica [S]; sizes [S] atoms per structure; envelope [R, n, 1, 1] Å, None for the trained cutoff everywhere.
    """

    z: torch.Tensor
    neighbours: torch.Tensor
    vectors: torch.Tensor
    edges: torch.Tensor
    structure: torch.Tensor
    sizes: torch.Tensor
    envelope: torch.Tensor | None = None

    @cached_property
    def reverse(self) -> torch.Tensor:
        """Flat position of the reverse of every edge in [R * n * K]; of a padded edge its own."""
        near = self.neighbours.view(self.edges.shape)
        own = torch.arange(near[..., 0].numel(), device=near.device).view(*near.shape[:2], 1)
        real = self.edges > 0
        lists = torch.where(real, near, -1).flatten(0, 1)[self.neighbours].unflatten(0, near.shape)
        slot = (lists == own[..., None]).int().argmax(-1)
        flat = torch.arange(near.numel(), device=near.device).view(near.shape)
        return torch.where(real, near * near.shape[2] + slot, flat).flatten()


def portions(sizes: Sequence[int] | np.ndarray, count: int, device: torch.device | str = "cpu") -> list[slice]:
    """Consecutive parts of structures of `sizes` atoms: `count` of them, fewer large ones.

    Fewer where they are padded beyond ATOMS, and on a CPU beyond PAIRS.
    """
    pairs = PAIRS if torch.device(device).type == "cpu" else np.inf
    parts, start, largest = [], 0, 0
    for k, size in enumerate(sizes):
        largest = max(largest, int(size))
        padded = (k - start + 1) * largest
        if k > start and (k - start == count or padded > ATOMS or padded * largest > pairs):
            parts.append(slice(start, k))
            start, largest = k, int(size)
    return [*parts, slice(start, len(sizes))] if len(sizes) else []


def collate(
    replicas: Sequence[Sequence[Graph]],
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
    least: tuple[int, int] = (0, 0),
) -> Batch:
    """Batch of a list of replicas, each a list of Graphs; structures are numbered in reading order.

    Either all Graphs or none have an envelope. least: atoms and neighbours that are padded to where there are fewer.
    """
    n = max(least[0], *(sum(len(g.numbers) for g in graphs) for graphs in replicas))
    width = max(least[1], *(g.neighbours.shape[1] for graphs in replicas for g in graphs))
    total = sum(len(graphs) for graphs in replicas)
    z = np.zeros((len(replicas), n), dtype=np.int64)
    neighbours = np.zeros((len(replicas), n, width), dtype=np.int64)
    vectors = np.zeros((len(replicas), n, width, 3))
    edges = np.zeros((len(replicas), n, width))
    structure = np.full((len(replicas), n), total, dtype=np.int64)
    own = {g.envelope is not None for graphs in replicas for g in graphs}
    assert len(own) < 2, "all graphs of a batch or none have an envelope"
    rescaled = own == {True}
    envelope = np.ones((len(replicas), n, 1, 1)) if rescaled else None
    sizes, s = [], 0
    for r, graphs in enumerate(replicas):
        start = 0
        for g in graphs:
            m, k = g.neighbours.shape
            rows = slice(start, start + m)
            real = g.neighbours >= 0
            z[r, rows] = g.numbers
            neighbours[r, rows, :k] = np.where(real, g.neighbours + start + r * n, 0)
            vectors[r, rows, :k] = g.vectors
            edges[r, rows, :k] = real
            structure[r, rows] = s
            if envelope is not None:
                envelope[r, rows] = g.envelope
            sizes.append(m)
            start, s = start + m, s + 1
    tensor = lambda a, kind: torch.as_tensor(a, dtype=kind, device=device)
    return Batch(
        z=tensor(z, torch.long),
        neighbours=tensor(neighbours.ravel(), torch.long),
        vectors=tensor(vectors, dtype),
        edges=tensor(edges, dtype),
        structure=tensor(structure, torch.long),
        sizes=tensor(sizes, torch.long),
        envelope=tensor(envelope, dtype) if rescaled else None,
    )
