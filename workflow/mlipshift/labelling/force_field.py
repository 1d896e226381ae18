"""Molecules in the force fields of RDKit: MMFF94, or UFF for what that has no parameters of."""

from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from mlipshift.base.errors import UserError
from mlipshift.base.units import KCAL
from mlipshift.labelling.sampling import Molecule

if TYPE_CHECKING:
    from rdkit.Chem import Mol

STEPS = 2000  # of a relaxation


def field_of(mol: "Mol") -> Any:
    """Force field of RDKit for a molecule with one conformer, its parts included.

    Raises UserError for what neither force field knows.
    """
    from rdkit.Chem import rdForceFieldHelpers as helpers

    properties = helpers.MMFFGetMoleculeProperties(mol)
    if properties is not None:
        return helpers.MMFFGetMoleculeForceField(mol, properties, ignoreInterfragInteractions=False)
    if not helpers.UFFHasAllMoleculeParams(mol):
        raise UserError(f"neither MMFF94 nor UFF has parameters for {_name(mol)}; take it out of the table")
    return helpers.UFFGetMoleculeForceField(mol, ignoreInterfragInteractions=False)


def _name(mol):
    from rdkit.Chem import MolToSmiles, RemoveHs

    return MolToSmiles(RemoveHs(mol))


class ForceField(Calculator):
    """ASE calculator of a force field of RDKit: energy (eV), forces (eV/Å)."""

    implemented_properties = ["energy", "forces"]

    def __init__(self, field: Any) -> None:
        super().__init__()
        self.field = field

    def calculate(
        self, atoms: Atoms | None = None, properties: Any = ("energy",), system_changes: Any = all_changes
    ) -> None:
        """Energy and forces of the positions of `atoms`."""
        super().calculate(atoms, properties, system_changes)
        at = self.atoms.positions.ravel().tolist()
        self.results = {
            "energy": self.field.CalcEnergy(at) * KCAL,
            "forces": np.array(self.field.CalcGrad(at)).reshape(-1, 3) * -KCAL,
        }


def atoms_of(mol: "Mol") -> Atoms:
    """Atoms of the conformer of a molecule."""
    return Atoms([a.GetAtomicNum() for a in mol.GetAtoms()], mol.GetConformer().GetPositions())


def beside(first: "Mol", second: "Mol", positions: np.ndarray) -> "Mol":
    """Both molecules as one, the atoms of the first before those of the second; positions [n, 3] Å of them all."""
    from rdkit import Chem

    whole = Chem.CombineMols(first, second)
    Chem.SanitizeMol(whole)
    whole.GetConformer().SetPositions(np.ascontiguousarray(positions))
    return whole


def stretched_out(mol: "Mol") -> "Mol":
    """The molecule with all single bonds along its longest chain of heavy atoms in anti position, not relaxed."""
    from rdkit import Chem
    from rdkit.Chem.rdMolTransforms import SetDihedralDeg

    distance = Chem.GetDistanceMatrix(mol)
    heavy = [a.GetIdx() for a in mol.GetAtoms() if a.GetAtomicNum() > 1]
    ends = max(((i, j) for i in heavy for j in heavy if i < j), key=lambda pair: distance[pair])
    path = Chem.GetShortestPath(mol, *ends)
    for a, b, c, d in zip(path, path[1:], path[2:], path[3:]):
        bond = mol.GetBondBetweenAtoms(b, c)
        if bond.GetBondType() == Chem.BondType.SINGLE and not bond.IsInRing():
            SetDihedralDeg(mol.GetConformer(), a, b, c, d, 180.0)
    return mol


def relax(mol: "Mol") -> Molecule:
    """Minimum of the force field near a conformer, with its calculator; STEPS steps have to do for loose clusters."""
    field = field_of(mol)
    field.Initialize()
    field.Minimize(maxIts=STEPS)
    atoms = Molecule(atoms_of(mol))
    atoms.calc = ForceField(field)
    return atoms
