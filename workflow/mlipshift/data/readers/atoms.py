"""What ASE has read, as a record: shared by the formats that go through ASE."""

from pathlib import Path

import numpy as np
from ase import Atoms

from mlipshift.base.units import ENERGY, FORCES, LENGTH
from mlipshift.data.readers.common import converted
from mlipshift.data.records import Record


def record_of(
    atoms: Atoms,
    path: Path | str,
    name: str,
    where: str,
    index: int,
    keys: dict[str, str],
    units: dict[str, str],
) -> Record:
    """The record of Atoms.

    name, index: of the id of a structure that has none of its own; where: as in Record; keys: names of the labels
    {"energy", "forces"}; units: {"energy", "length", "forces"} of the file.
    """
    # ASE moves labels with its own names ("energy", "forces") into a calculator
    results = atoms.calc.results if atoms.calc else {}
    stem = Path(Path(path).name.removesuffix(".xz").removesuffix(".gz")).stem
    return Record(
        id=str(atoms.info.get("id", f"{name}/{stem}/{index:05d}")),
        where=where,
        molecule=str(atoms.info.get("molecule", atoms.get_chemical_formula())),
        numbers=atoms.numbers,
        positions=atoms.positions * LENGTH[units["length"]],
        energy=converted(atoms.info.get(keys["energy"], results.get(keys["energy"])), ENERGY[units["energy"]]),
        forces=converted(atoms.arrays.get(keys["forces"], results.get(keys["forces"])), FORCES[units["forces"]]),
        cell=np.array(atoms.cell) * LENGTH[units["length"]] if atoms.pbc.any() else np.zeros((3, 3)),
        pbc=atoms.pbc,
        charge=atoms.info.get("charge"),
        multiplicity=atoms.info.get("multiplicity"),
        names=(keys["energy"], keys["forces"]),
        found=tuple(sorted({*atoms.info, *atoms.arrays, *results})),
        smiles=str(atoms.info.get("smiles", "")),
        config_type=str(atoms.info.get("config_type", "")),
    )
