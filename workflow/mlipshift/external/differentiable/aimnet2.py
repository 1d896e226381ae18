"""AIMNet2 (Anstine, Zubatyuk & Isayev, Chem. Sci. 2025, 16, 10228), the four members of the ensemble side by side.

Features: the last atomic feature vectors of all members, from which each member's network reads its energy.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from mlipshift.external.batch import Padded
from mlipshift.external.families.aimnet2 import Model as Family
from mlipshift.external.structure import Structure


class Batch(NamedTuple):
    rows: Padded
    charge: torch.Tensor  # [S]


class Model:
    dtype = torch.float32

    def __init__(self, entry: Mapping[str, Any], checkpoint: Path | None):
        torch.set_num_threads(1)
        self.members = Family(entry, checkpoint).members
        self.network = torch.nn.ModuleList(self.members)

    def prepare(self, structures: Sequence[Structure]) -> Batch:
        return Batch(Padded.of(structures, empty=0), torch.tensor([s.charge for s in structures], dtype=self.dtype))

    def __call__(self, batch: Batch, positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        numbers, coord = batch.rows.numbers, batch.rows.spread(positions)
        energies, features = [], []
        for member in self.members:
            out = member({"coord": coord, "numbers": numbers, "charge": batch.charge})
            energies.append(out["energy"])
            features.append(out["aim"][:, : numbers.shape[1]][batch.rows.atoms])
        return torch.stack(energies).mean(0), torch.cat(features, dim=-1)

    def representation(self) -> list[torch.nn.Parameter]:
        shared = (".afv.", ".conv_a.", ".conv_q.", ".mlps.")
        return [p for name, p in self.network.named_parameters() if any(part in f".{name}" for part in shared)]

    def readout(self) -> list[torch.nn.Parameter]:
        return [p for name, p in self.network.named_parameters() if ".energy_mlp." in name]
