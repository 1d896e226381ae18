"""Structures with labels that are learnt from, batch by batch."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from mlipshift.base.frames import Frames, Labels
from mlipshift.learn import batches
from mlipshift.learn.backbones.base import MAX_ELEMENT
from mlipshift.shift import graphs

GRAPHS = 2**29  # bytes of graphs that are kept


class Graphs(Sequence[graphs.Graph]):
    """Graphs of the structures `chosen` of frames, made when they are asked for; as many stay as GRAPHS bytes hold.

    Those of a million molecules of thirty atoms would take 28 GB, 16 times what their atoms take.
    """

    def __init__(self, frames: Frames, chosen: np.ndarray, cutoff: float):
        self.frames, self.chosen, self.cutoff = frames, chosen, cutoff
        self.kept: dict[int, graphs.Graph] = {}
        self.bytes = 0

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitem__(self, k):
        k = range(len(self))[k]
        if k in self.kept:
            return self.kept[k]
        graph = graphs.build(*self.frames[self.chosen[k]][:2], self.cutoff)
        size = graph.neighbours.nbytes + graph.vectors.nbytes
        if self.bytes + size <= GRAPHS:
            self.kept[k], self.bytes = graph, self.bytes + size
        return graph


@dataclass
class Dataset:
    """Graphs with one kind of labels: forces list of [n, 3] eV/Å, energy [S] eV above the atomic baseline or NaN.

    cutoffs: range (Å) out of which every structure of a step has its own radius of the envelope, by `rng`; that of the
    graphs if None.
    """

    graphs: Sequence[graphs.Graph]
    forces: list[np.ndarray]
    energy: np.ndarray
    cutoffs: tuple[float, float] | None = None
    rng: np.random.Generator | None = None

    def batch(
        self,
        index: Sequence[int] | np.ndarray,
        dtype: torch.dtype,
        device: torch.device | str = "cpu",
        least: tuple[int, int] = (0, 0),
    ) -> tuple[batches.Batch, Tensor, Tensor]:
        """(Batch, forces [1, n, 3], energy [S]) of the structures `index` in one replica; least: see collate."""
        chosen = [self.graphs[k] for k in index]
        if self.cutoffs is not None and self.rng is not None:
            # edges beyond the envelope weigh nothing, so that the lists stay as they are
            chosen = [replace(graph, envelope=float(self.rng.uniform(*self.cutoffs))) for graph in chosen]
        batch = batches.collate([chosen], dtype, device, least)
        forces = torch.zeros(batch.vectors[:, :, 0].shape, dtype=dtype)
        rows = np.concatenate([self.forces[k] for k in index])
        forces[0, : len(rows)] = torch.as_tensor(rows, dtype=dtype)
        return batch, forces.to(device), torch.as_tensor(self.energy[index], dtype=dtype, device=device)


def difference(reference: Labels, prior: Labels) -> Labels:
    """Labels reference - prior (Δ-learning) of the structures that have both; prior: labels that hold all of them.

    Raises UserError if `prior` lacks a structure.
    """
    prior = prior.select(reference.ids)
    return replace(
        reference,
        energy=reference.energy - prior.energy,
        forces=reference.forces - prior.forces,
        ok=reference.ok & prior.ok,
        level=f"{reference.level} - {prior.level}",
    )


def atomic_energies(frames: Frames, energy: np.ndarray) -> np.ndarray:
    """Least-squares atomic energies [MAX_ELEMENT + 1] (eV), 0 for elements that do not occur."""
    values = np.zeros(MAX_ELEMENT + 1)
    if not len(frames):
        return values
    present, place = np.unique(frames.numbers, return_inverse=True)
    counts = np.zeros((len(frames), len(present)))
    np.add.at(counts, (np.repeat(np.arange(len(frames)), frames.sizes), place), 1)
    values[present] = np.linalg.lstsq(counts, energy, rcond=None)[0]
    return values


def dataset(frames: Frames, labels: Labels, cutoff: float, shift: np.ndarray) -> Dataset:
    """Dataset of the structures that have forces; shift [elements]: atomic energies to subtract (eV)."""
    keep = np.flatnonzero(labels.ok)
    return Dataset(
        graphs=Graphs(frames, keep, cutoff),
        forces=[labels.forces_of(k) for k in keep],
        energy=np.array([labels.energy[k] - shift[frames[k][0]].sum() for k in keep]),
    )
