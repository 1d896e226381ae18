"""AIMNet2 (Anstine, Zubatyuk & Isayev, Chem. Sci. 2025, 16, 10228), the four members of the ensemble side by side.

Features: the last atomic feature vectors of all members, from which each member's network reads its energy.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from mlipshift.external.families.aimnet2 import Model as Family
from mlipshift.external.structure import Structure


class Batch(NamedTuple):
    numbers: torch.Tensor  # [S, n], 0 where there is no atom
    charge: torch.Tensor  # [S]
    atoms: tuple[torch.Tensor, torch.Tensor]  # rows and columns [N] of the atoms in these


class Model:
    dtype = torch.float32

    def __init__(self, entry: Mapping[str, Any], checkpoint: Path | None):
        torch.set_num_threads(1)
        self.members = Family(entry, checkpoint).members
        self.network = torch.nn.ModuleList(self.members)

    def prepare(self, structures: Sequence[Structure]) -> Batch:
        sizes = [len(s.numbers) for s in structures]
        numbers = torch.zeros((len(sizes), max(sizes)), dtype=torch.long)
        rows = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
        columns = torch.cat([torch.arange(n) for n in sizes])
        numbers[rows, columns] = torch.as_tensor(np.concatenate([s.numbers for s in structures]).astype(np.int64))
        charge = torch.tensor([s.charge for s in structures], dtype=self.dtype)
        return Batch(numbers, charge, (rows, columns))

    def __call__(self, batch: Batch, positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        coord = positions.new_zeros((*batch.numbers.shape, 3)).index_put(batch.atoms, positions)
        energies, features = [], []
        for member in self.members:
            out = member({"coord": coord, "numbers": batch.numbers, "charge": batch.charge})
            energies.append(out["energy"])
            features.append(out["aim"][:, : batch.numbers.shape[1]][batch.atoms])
        return torch.stack(energies).mean(0), torch.cat(features, dim=-1)

    def representation(self) -> list[torch.nn.Parameter]:
        shared = (".afv.", ".conv_a.", ".conv_q.", ".mlps.")
        return [p for name, p in self.network.named_parameters() if any(part in f".{name}" for part in shared)]

    def readout(self) -> list[torch.nn.Parameter]:
        return [p for name, p in self.network.named_parameters() if ".energy_mlp." in name]
