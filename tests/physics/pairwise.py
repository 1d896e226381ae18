"""A published model in small, for the tests of adaptation: a pair potential with features of every atom."""

import numpy as np
import torch

from mlipshift.base.frames import Frames, Labels
from mlipshift.external.structure import Structure

WIDTH = 12


class Pairwise:
    """As external.differentiable.Differentiable says; numbers up to 9, features [n, WIDTH]."""

    def __init__(self, seed=0, dtype=torch.float64):
        torch.manual_seed(seed)
        self.dtype = dtype
        self.network = torch.nn.ModuleDict(
            {
                "embedding": torch.nn.Embedding(10, 4),
                "message": torch.nn.Sequential(torch.nn.Linear(12, 16), torch.nn.SiLU(), torch.nn.Linear(16, WIDTH)),
                "readout": torch.nn.Sequential(torch.nn.Linear(WIDTH, 8), torch.nn.SiLU(), torch.nn.Linear(8, 1)),
            }
        ).to(dtype)
        self.network.requires_grad_(False)

    def prepare(self, structures):
        sizes = [len(s.numbers) for s in structures]
        owner = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
        pairs = torch.nonzero((owner[:, None] == owner) & ~torch.eye(len(owner), dtype=torch.bool)).T
        numbers = torch.as_tensor(np.concatenate([s.numbers for s in structures]).astype(np.int64))
        return owner, pairs, numbers, len(sizes)

    def __call__(self, batch, positions):
        owner, (i, j), numbers, size = batch
        distance = (positions[i] - positions[j]).square().sum(-1, keepdim=True).sqrt()
        basis = torch.exp(-((distance - torch.tensor([0.8, 1.2, 1.8, 2.5], dtype=self.dtype)) ** 2) * 2)
        z = self.network["embedding"](numbers)
        message = self.network["message"](torch.cat([z[i], z[j], basis], dim=-1)) * torch.exp(-distance / 2)
        features = torch.tanh(message.new_zeros(len(numbers), WIDTH).index_add(0, i, message))
        atomic = self.network["readout"](features)[:, 0]
        return atomic.new_zeros(size).index_add(0, owner, atomic), features

    def representation(self):
        return [*self.network["embedding"].parameters(), *self.network["message"].parameters()]

    def readout(self):
        return [*self.network["readout"].parameters()]


class Springs:
    """Another energy, by which forces are made that a pairwise model has not: springs on all distances."""

    def __call__(self, structure):
        d = structure.positions[:, None] - structure.positions
        r = np.sqrt((d**2).sum(-1)) + np.eye(len(d))
        pull = np.where(np.eye(len(d), dtype=bool), 0.0, r - 1.4) * np.exp(-r)
        return float(0.5 * (pull**2).sum()), -((pull / r)[..., None] * d).sum(1)


def structures(count, seed=0, name="s"):
    """Frames of small molecules of H, C, N and O, five molecules in two groups, one twice as large."""
    rng, rows = np.random.default_rng(seed), []
    for k in range(count):
        n = 3 + k % 4
        positions = rng.normal(scale=0.25, size=(n, 3)) + 1.1 * np.array([[a % 2, a // 2, 0.3 * a] for a in range(n)])
        numbers = np.array([8, 1, 6, 1, 7, 1])[:n]
        rows.append(
            {"id": f"{name}{k:03d}", "group": f"g{k % 2}", "molecule": f"{name}m{k % 5}", "numbers": numbers}
            | {"positions": positions, "charge": 0, "multiplicity": 1}
        )
    return Frames.build(rows)


def labels(frames, call, level="prior"):
    """Labels of frames by a function of a structure."""
    return Labels.build(frames, [call(Structure.of(frames, k)) for k in range(len(frames))], level)
