"""Any ASE calculator, named as `module:callable`. Charge and multiplicity stand in atoms.info; no embedding."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator

from mlipshift.base.errors import UserError
from mlipshift.external.structure import Structure


def atoms_of(structure: Structure, entry: Mapping[str, Any]) -> Atoms:
    """ASE Atoms of a Structure, in a box where the model needs one; charge, and spin as multiplicity, in info."""
    if entry["periodic"] == "needed":
        structure = structure.in_box(entry["box_padding_A"])
    return Atoms(
        structure.numbers,
        structure.positions,
        cell=structure.cell,
        pbc=structure.pbc,
        info={"charge": structure.charge, "spin": structure.multiplicity},
    )


class Calculated:
    """A model that is an ASE calculator, `self.calculator`."""

    def __init__(self, entry: Mapping[str, Any], calculator: Calculator, cutoff: float | None = None):
        """cutoff: that of the calculator in Å, the entry's if it cannot say."""
        self.entry, self.calculator, self.cutoff = entry, calculator, cutoff or entry["cutoff_A"]

    @staticmethod
    def weights(entry: Mapping[str, Any], checkpoint: Path | None) -> Path | None:
        """The checkpoint; a family whose package carries weights says where."""
        return checkpoint

    def __call__(self, structure: Structure) -> tuple[float, np.ndarray, np.ndarray | None]:
        atoms = atoms_of(structure, self.entry)
        atoms.calc = self.calculator
        forces = np.array(atoms.get_forces(), dtype=float)
        return float(atoms.get_potential_energy()), forces, self.embedding(atoms)

    def embedding(self, atoms: Atoms) -> np.ndarray | None:
        """Representation [d] of atoms that were just calculated, None if there is none."""
        return None


class Model(Calculated):
    """The calculator of an entry, made with its arguments; `{checkpoint}` in them is the path of the weights."""

    def __init__(self, entry: Mapping[str, Any], checkpoint: Path | None):
        module, name = entry["calculator"].split(":")
        make: Any = import_module(module)
        for part in name.split("."):
            if not hasattr(make, part):
                raise UserError(f"calculator {entry['calculator']}: {module} has no {part}; correct the entry")
            make = getattr(make, part)
        arguments = {
            k: v.replace("{checkpoint}", str(checkpoint)) if isinstance(v, str) else v
            for k, v in entry["arguments"].items()
        }
        super().__init__(entry, make(**arguments))
