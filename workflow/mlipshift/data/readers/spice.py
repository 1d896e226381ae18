"""SPICE 1.1.4 and 2.0.1, Eastman et al. 2023 (doi 10.1038/s41597-022-01882-6): HDF5, a group per molecule.

Hartree, Bohr; its files give a gradient, so the force is minus it. The charge is that of the SMILES.
"""

from collections.abc import Iterator
from pathlib import Path

from mlipshift.base.units import BOHR, EV, FORCES
from mlipshift.data.readers import hdf5
from mlipshift.data.readers.beginning import Beginning
from mlipshift.data.readers.common import ROWS, Request
from mlipshift.data.records import Record
from mlipshift.data.smiles import charge_of

UNITS = {"energy": "Hartree", "length": "Bohr", "forces": "Hartree/Bohr"}
NAMES = ("conformations", "dft_total_energy", "dft_total_gradient")


def recognises(beginning: Beginning) -> bool:
    """Whether the first molecule has conformations."""
    return NAMES[0] in beginning.hdf5[1]


def molecules(path: Path | str) -> Iterator[tuple[str, str]]:
    """Yield (name, SMILES) of every molecule of a file, without its structures and labels."""
    with hdf5.opened(path) as handle:
        for name, group in hdf5.groups(handle):
            yield name, hdf5.text(group, "smiles")


def read(path: Path | str, request: Request) -> Iterator[Record]:
    """Yield the wanted conformations of a file; the others are not built."""
    with hdf5.opened(path) as handle:
        for name, group in hdf5.groups(handle):
            numbers, count, arrays = hdf5.arrays_of(path, group, NAMES, UNITS)
            smiles, subset, problem, charge = hdf5.text(group, "smiles"), hdf5.text(group, "subset"), "", None
            try:
                charge = charge_of(smiles)
            except ValueError as error:
                problem = str(error)
            for start in range(0, count, ROWS):
                rows = [None if a is None else a[start : start + ROWS].astype(float) for a in arrays]
                assert rows[0] is not None  # arrays_of refuses a molecule without positions
                for k in range(len(rows[0])):
                    here = f"{name}/{start + k}"
                    if not request.wanted(here):
                        continue
                    yield Record(
                        id=here,
                        where=f"{path}, molecule {name}, conformation {start + k}",
                        molecule=name,
                        numbers=numbers,
                        positions=rows[0][k] * BOHR,
                        energy=None if rows[1] is None else float(rows[1][k].item()) * EV,
                        forces=None if rows[2] is None else -rows[2][k] * FORCES["Hartree/Bohr"],
                        charge=charge,
                        names=NAMES[1:],
                        smiles=smiles,
                        subset=subset,
                        problem=problem,
                    )
