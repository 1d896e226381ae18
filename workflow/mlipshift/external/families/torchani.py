"""ANI-1x (Smith et al., J. Chem. Phys. 2018, 148, 241733) and ANI-1ccx (Smith et al., Nat. Commun. 2019, 10, 2903).

Eight networks each, weights in the wheel of torchani. Arguments: `model`, ani-1x or ani-1ccx; `members`, how many of
the eight are used, all if not given. No charge, no spin, molecules only. Features: the last hidden layer, mean over the
members.
"""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from mlipshift.base import units
from mlipshift.base.errors import UserError
from mlipshift.external import families
from mlipshift.external.answer import Answer
from mlipshift.external.batch import Padded, positions_of
from mlipshift.external.structure import Structure

with warnings.catch_warnings():  # of its own imports
    warnings.simplefilter("ignore")
    from torchani import models

MODELS = {"ani-1x": models.ANI1x, "ani-1ccx": models.ANI1ccx}


class Model:
    """model: torchani's own, with species as atomic numbers; energies in hartree."""

    block = 512  # atoms

    def __init__(self, entry: Mapping[str, Any], checkpoint: Path | None):
        torch.set_num_threads(1)
        name = _name(entry)
        if checkpoint:
            raise UserError(f"{checkpoint}: the weights of {name} are those of its package; leave checkpoint out")
        self.model = MODELS[name](periodic_table_index=True).eval().requires_grad_(False)
        number = entry["arguments"].get("members", len(self.model))
        if not 1 <= number <= len(self.model):
            raise UserError(f"{name} has {len(self.model)} members, and arguments.members is {number}")
        self.members = list(self.model.neural_networks)[:number]
        self.cutoff: float | None = float(self.model.aev_computer.Rcr)
        self.known = {z for z, k in enumerate(self.model.species_converter.conv_tensor[:-1].tolist()) if k >= 0}

    @staticmethod
    def weights(entry: Mapping[str, Any], checkpoint: Path | None) -> Path | None:
        """The folder of the networks in the wheel; the package is not imported."""
        return checkpoint or families.installed("torchani", "resources", f"{_name(entry)}_8x")

    def __call__(self, structure: Structure) -> Answer:
        return self.many([structure])[0]

    def many(self, structures: Sequence[Structure]) -> list[Answer]:
        """Answers for structures at once, padded to the largest. Raises ValueError for elements that it does not know,
        of which torchani says nothing.
        """
        families.all_known(structures, self.known)
        sizes = [len(s.numbers) for s in structures]
        rows = Padded.of(structures, empty=-1)
        coord = rows.spread(positions_of(structures, torch.float32)).requires_grad_()
        species, aev = self.model.aev_computer(self.model.species_converter((rows.numbers, coord)))
        shift = self.model.energy_shifter.sae(species)
        energies, forces, features = [], [], torch.zeros(())
        for member in self.members:
            atomic, hidden = _atomic(member, species, aev)
            energy = atomic.sum(dim=1)
            (gradient,) = torch.autograd.grad(energy.sum(), coord, retain_graph=True)
            energies.append((energy.detach().double() + shift) * units.EV)
            forces.append(-gradient.double() * units.EV)
            features = features + hidden / len(self.members)
        energy, force = torch.stack(energies), torch.stack(forces)
        return [Answer.of_members(energy[:, k], force[:, k, :n], features[k, :n]) for k, n in enumerate(sizes)]


def _name(entry):
    name = str(entry["arguments"].get("model", "ani-1x")).lower()
    if name not in MODELS:
        raise UserError(f"family torchani has no model {name!r}; give one of {', '.join(MODELS)} as arguments.model")
    return name


def _atomic(member, species, aev):
    """Energies of the atoms [B, n] in hartree and their last hidden layer [B, n, d], 0 for padding.

    member: the networks of the elements, in the order of the species.
    """
    energies, hidden = aev.new_zeros(species.shape), None
    for k, network in enumerate(member.values()):
        chosen = species == k
        if chosen.any():
            layer = network[:-1](aev[chosen])
            energies = energies.masked_scatter(chosen, network[-1](layer).flatten())
            hidden = aev.new_zeros((*species.shape, layer.shape[-1])) if hidden is None else hidden
            hidden[chosen] = layer.detach()
    return energies, hidden
