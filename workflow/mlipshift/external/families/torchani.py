"""ANI-1x, ANI-1ccx (Smith et al., J. Chem. Phys. 2018, 148, 241733; Nat. Commun. 2019, 10, 2903), eight members each.

Weights in the wheel of torchani 2.0; argument `model` is ANI1x or ANI1ccx. Neutral molecules of H, C, N and O.
Embedding: the atomic environment vectors, mean over atoms.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchani

from mlipshift.base.units import EV
from mlipshift.external.prediction import Answer
from mlipshift.external.structure import Structure

FOLDERS = {"ANI1x": "ani-1x_8x", "ANI1ccx": "ani-1ccx_8x"}


class Model:
    def __init__(self, entry: Mapping[str, Any], checkpoint: Path | None):
        torch.set_num_threads(1)
        name = entry["arguments"].get("model", "ANI1ccx")
        self.model = getattr(torchani.models, name)(periodic_table_index=True).double().requires_grad_(False)
        self.cutoff = float(self.model.aev_computer.Rcr)

    @staticmethod
    def weights(entry: Mapping[str, Any], checkpoint: Path | None) -> Path | None:
        folder = Path(torchani.__file__).parent / "resources" / FOLDERS[entry["arguments"].get("model", "ANI1ccx")]
        return folder / "train0" / "networks" / "ANN-H.nnf"

    def __call__(self, structure: Structure) -> Answer:
        position = torch.as_tensor(structure.positions)[None].requires_grad_()
        numbers = torch.as_tensor(structure.numbers.astype(np.int64))[None]
        species = self.model.species_converter((numbers, position)).species
        environment = self.model.aev_computer((species, position))
        energies, forces = [], []
        for member in self.model.neural_networks:
            energy = self.model.energy_shifter(member(environment)).energies.sum() * EV
            (gradient,) = torch.autograd.grad(energy, position, retain_graph=True)
            energies.append(float(energy))
            forces.append(-gradient[0].numpy())
        return Answer.of_members(energies, forces, environment.aevs[0].detach().numpy().mean(axis=0))
