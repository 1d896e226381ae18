"""What a SMILES says of a molecule: its charge, its parts and their charges, its canonical form."""

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rdkit.Chem import Mol


def mol_of(smiles: str) -> "Mol | None":
    """RDKit molecule with all its hydrogens as written, unsanitised if RDKit doubts its valences; None if it fails."""
    from rdkit import Chem, RDLogger

    RDLogger.DisableLog("rdApp.*")  # type: ignore[attr-defined]  # what cannot be read is told by the caller
    parameters = Chem.SmilesParserParams()
    parameters.removeHs = False  # type: ignore[assignment]  # a property without a type in the stubs of RDKit
    mol = Chem.MolFromSmiles(smiles, parameters)
    if mol is None:
        parameters.sanitize = False
        mol = Chem.MolFromSmiles(smiles, parameters)
    return mol


@lru_cache(maxsize=8)
def charge_of(smiles: str) -> int:
    """Sum of the formal charges of a SMILES. Raises ValueError if RDKit cannot read it."""
    mol = mol_of(smiles)
    if mol is None or not smiles:
        raise ValueError(f"its SMILES cannot be read ({smiles[:60]!r})")
    return sum(atom.GetFormalCharge() for atom in mol.GetAtoms())


@lru_cache(maxsize=8)
def canonical(smiles: str) -> str:
    """Canonical isomeric SMILES without atom maps; empty if there is none or RDKit cannot read it."""
    from rdkit import Chem

    mol = mol_of(smiles) if smiles else None
    if mol is None:
        return ""
    for atom in mol.GetAtoms():
        atom.SetAtomMapNum(0)
    plain = Chem.MolToSmiles(mol)
    # read again: without the maps, hydrogens become implicit and some stereo marks meaningless
    again = Chem.MolFromSmiles(plain)
    return plain if again is None else Chem.MolToSmiles(again)


@lru_cache(maxsize=8)
def charges_of_parts(smiles: str) -> tuple[int, ...]:
    """Net formal charge of every part of a SMILES, that is of what dots separate; empty if it cannot be read."""
    from rdkit import Chem

    mol = mol_of(smiles) if smiles else None
    if mol is None:
        return ()
    charge = [atom.GetFormalCharge() for atom in mol.GetAtoms()]
    return tuple(sum(charge[i] for i in part) for part in Chem.GetMolFrags(mol))
