"""AIMNet2 (Anstine, Zubatyuk & Isayev, Chem. Sci. 2025, 16, 10228), weights in the wheel of Auto3D as TorchScript.

Arguments: `model`, aimnet2_wb97m_ens_f, an ensemble of four, or aimnet2_wb97m-d3_0, one of these alone; `members`, how
many of the ensemble are used, all if not given. It knows the charge and no spin. Auto3D itself is not imported, which
would ask for RDKit. Features: the vectors of the last pass, from which energies are read, mean over the members.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from mlipshift.base.errors import UserError
from mlipshift.external import families
from mlipshift.external.answer import Answer
from mlipshift.external.batch import Padded, positions_of
from mlipshift.external.structure import Structure

CUTOFF = 5.0  # Å, of the convolutions; electrostatics and dispersion are of all pairs
ENSEMBLE = "aimnet2_wb97m_ens_f"


class Model:
    """members: the networks, each a TorchScript module of coord [B, n, 3] (Å), numbers [B, n] and charge [B] in a
    dictionary, which comes back with energy [B] (eV, double precision) and aim [B, n, 256]; a 0 in numbers is no atom.
    """

    block = 256  # atoms

    def __init__(self, entry: Mapping[str, Any], checkpoint: Path | None):
        torch.set_num_threads(1)
        # kernels made for every new number of atoms cost more than they save
        torch.jit.set_fusion_strategy([])
        path = self.weights(entry, checkpoint)
        loaded = torch.jit.load(str(path), map_location="cpu").eval()
        ensemble = getattr(loaded, "models", None)
        self.ensemble = ensemble is not None
        members = [loaded] if ensemble is None else [member.module for member in ensemble.children()]
        number = entry["arguments"].get("members", len(members))
        if not 1 <= number <= len(members):
            raise UserError(f"{path}: has {len(members)} members, and arguments.members is {number}; correct the entry")
        self.members = [_prepared(member) for member in members[:number]]
        shifts = self.members[0].outputs.atomic_shift.shifts.weight
        # elements that were in training have an energy
        self.known = {z for z in range(len(shifts)) if float(shifts[z])}
        self.cutoff: float | None = CUTOFF

    @staticmethod
    def weights(entry: Mapping[str, Any], checkpoint: Path | None) -> Path | None:
        """The checkpoint, or the file in the wheel; nothing is imported."""
        name = entry["arguments"].get("model", ENSEMBLE)
        return checkpoint or families.installed("Auto3D", "models", f"{name}.jpt")

    def __call__(self, structure: Structure) -> Answer:
        return self.many([structure])[0]

    def many(self, structures: Sequence[Structure]) -> list[Answer]:
        """Answers for structures at once, padded to the largest; ValueError for elements that it has not learnt."""
        families.all_known(structures, self.known)
        sizes = [len(s.numbers) for s in structures]
        rows = Padded.of(structures, empty=0)
        coord = rows.spread(positions_of(structures, torch.float32))
        charge = torch.tensor([float(s.charge) for s in structures])
        energies, forces, features = [], [], torch.zeros(())
        for member in self.members:
            data = member({"coord": coord.clone().requires_grad_(), "numbers": rows.numbers, "charge": charge})
            forces.append(-torch.autograd.grad(data["energy"].sum(), data["coord"])[0].double())
            energies.append(data["energy"].detach())
            features = features + data["aim"].detach() / len(self.members)
        energy, force = torch.stack(energies), torch.stack(forces)
        each = zip(energy.T, (force[:, k, :n] for k, n in enumerate(sizes)), (f[:n] for f, n in zip(features, sizes)))
        if self.ensemble:
            return [Answer.of_members(*one) for one in each]
        return [Answer.of_atoms(e[0], f[0], a) for e, f, a in each]


def _prepared(member):
    """A member for predictions; energies of atoms in double precision: iodine's is rounded to half a meV in single."""
    member.eval()
    for parameter in member.parameters():
        parameter.requires_grad_(False)
    member.outputs.atomic_shift.double()
    return member
