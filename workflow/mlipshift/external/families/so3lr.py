"""SO3LR (Kabylda et al., J. Am. Chem. Soc. 2025, 147, 33723), weights in the wheel of so3krates-torch.

These are a pickled module in the package, which runs no code that the package itself could not run: they need no
`trust` beyond that of its installation, and the registry's sha256 says that they are the ones which were looked at.

It knows the charge. Its spin embedding was not trained, and every structure is a singlet to it: the package takes S
from `total_spin`, where other models look for 2S + 1. Features: the invariant ones of the last layer.
"""

import contextlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from ase import Atoms
from so3krates_torch.calculator.so3 import TorchkratesCalculator
from so3krates_torch.data.atomic_data import AtomicData
from so3krates_torch.data.utils import config_from_atoms
from so3krates_torch.tools import torch_geometric

from mlipshift.base.errors import UserError
from mlipshift.external import families
from mlipshift.external.answer import Answer
from mlipshift.external.structure import Structure

# as the package's own calculator has them
LONG_RANGE = {"r_max_lr": 12.0, "dispersion_energy_cutoff_lr_damping": 2.0}  # Å


class Model:
    """Arguments: those of so3krates_torch's TorchkratesCalculator, of which r_max_lr (Å) is of use."""

    block = 256  # atoms

    def __init__(self, entry: Mapping[str, Any], checkpoint: Path | None):
        torch.set_num_threads(1)
        path = self.weights(entry, checkpoint)
        loaded = torch.load(path, map_location="cpu", weights_only=False)
        if not isinstance(loaded, torch.nn.Module):
            raise UserError(
                f"{path}: holds {type(loaded).__name__}, no model of so3krates-torch; correct the checkpoint"
            )
        with contextlib.redirect_stdout(io.StringIO()):  # of its remarks
            self.calculator = TorchkratesCalculator(models=[loaded.eval()], **LONG_RANGE | entry["arguments"])
        self.model = self.calculator.models[0]
        self.cutoff: float | None = float(self.calculator.r_max)
        scales = self.model.atomic_energy_output_block.energy_scales.weight[0]
        # elements that were in training have a scale of their own
        self.known = {z for z, scale in enumerate(scales.tolist(), 1) if scale != 1.0}

    @staticmethod
    def weights(entry: Mapping[str, Any], checkpoint: Path | None) -> Path:
        """The checkpoint, or the file in the wheel; nothing is imported."""
        return checkpoint or families.installed("so3krates_torch", "pretrained", "so3lr", "so3lr.model")

    def __call__(self, structure: Structure) -> Answer:
        return self.many([structure])[0]

    def many(self, structures: Sequence[Structure]) -> list[Answer]:
        """Answers for structures at once. Raises ValueError for elements that it has not learnt."""
        families.all_known(structures, self.known)
        loader = torch_geometric.dataloader.DataLoader([self._data(s) for s in structures], len(structures))
        batch = next(iter(loader))
        out = self.model(batch.to_dict(), return_descriptors=True)
        sizes = [len(s.numbers) for s in structures]
        energies = out["energy"].detach().double()
        parts = (out[name].detach().split(sizes) for name in ("forces", "inv_features"))
        return [Answer.of_atoms(*each) for each in zip(energies, *parts)]

    def _data(self, structure):
        """One structure as the package's own calculator would hand it over, in state S = 0."""
        atoms = Atoms(structure.numbers, structure.positions, cell=structure.cell, pbc=structure.pbc)
        atoms.info.update(charge=structure.charge, total_spin=0.0)
        calculator = self.calculator
        return AtomicData.from_config(
            config_from_atoms(atoms, key_specification=calculator.key_specification),
            z_table=calculator.z_table,
            cutoff=calculator.r_max,
            cutoff_lr=calculator.r_max_lr,
        )
