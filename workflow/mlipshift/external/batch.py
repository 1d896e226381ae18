"""Several structures as tensors: their atoms one behind the other, or side by side and padded to the largest."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from mlipshift.external.structure import Structure


def positions_of(structures: Sequence[Structure], dtype: torch.dtype) -> torch.Tensor:
    """Positions [N, 3] Å of the atoms of structures, one behind the other."""
    return torch.as_tensor(np.concatenate([s.positions for s in structures]), dtype=dtype)


def owners_of(structures: Sequence[Structure]) -> tuple[torch.Tensor, torch.Tensor]:
    """(atoms [S] of every structure, structure [N] of every atom)."""
    sizes = torch.tensor([len(s.numbers) for s in structures])
    return sizes, torch.repeat_interleave(torch.arange(len(sizes)), sizes)


def per_structure(
    energy: torch.Tensor, forces: torch.Tensor, structures: Sequence[Structure]
) -> list[tuple[float, np.ndarray]]:
    """(energy eV, forces [n, 3] eV/Å) of each of S structures, of energies [S] and forces [N, 3] of all of them."""
    ends = np.cumsum([len(s.numbers) for s in structures])[:-1]
    return list(zip(energy.detach().double().tolist(), np.split(forces.detach().double().numpy(), ends)))


class Padded(NamedTuple):
    """numbers [S, n]; atoms: rows and columns [N] of the atoms in these."""

    numbers: torch.Tensor
    atoms: tuple[torch.Tensor, torch.Tensor]

    @classmethod
    def of(cls, structures: Sequence[Structure], empty: int) -> "Padded":
        """Those of structures; empty: the number where there is no atom."""
        sizes, rows = owners_of(structures)
        atoms = rows, torch.cat([torch.arange(n) for n in sizes.tolist()])
        numbers = torch.full((len(sizes), int(sizes.max())), empty)
        numbers[atoms] = torch.as_tensor(np.concatenate([s.numbers for s in structures]).astype(np.int64))
        return cls(numbers, atoms)

    def spread(self, positions: torch.Tensor) -> torch.Tensor:
        """Positions [S, n, 3] of positions [N, 3], differentiable; zero where there is no atom."""
        return positions.new_zeros((*self.numbers.shape, 3)).index_put(self.atoms, positions)
