"""QM7-X, Hoja et al. 2021 (doi 10.1038/s41597-021-00812-2): HDF5, a group per molecule, in it one per geometry.

eV, eV/Å, Å; PBE0+MBD. Neutral closed shells. A geometry is called Geom-mM-iI-cC-...: isomer I of composition M,
conformer C of it, optimised (opt) or displaced from there (d1, ...). The isomer is the molecule.
"""

from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from mlipshift.base.errors import UserError
from mlipshift.data.readers import hdf5
from mlipshift.data.readers.beginning import Beginning
from mlipshift.data.readers.common import Request, selected
from mlipshift.data.readers.units import ANGSTROM
from mlipshift.data.records import Record

UNITS = ANGSTROM
NAMES = ("ePBE0+MBD", "totFOR")


def recognises(beginning: Beginning) -> bool:
    """Whether the first geometry has atomic numbers and positions of that name."""
    return {"atNUM", "atXYZ"} <= beginning.hdf5[1]


def read(path: Path | str, request: Request) -> Iterator[Record]:
    """Yield the wanted geometries of a file."""
    yield from selected(path, _structures(path), request.wanted)


def _structures(path):
    with hdf5.opened(path) as handle:
        for name, group in hdf5.groups(handle):
            geometry = name.rpartition("/")[2]
            where = f"{path}, geometry {name}"
            if not isinstance(group, h5py.Group) or not {"atNUM", "atXYZ"} <= set(group):
                raise UserError(f"{where}: has no atNUM and atXYZ; fetch the file again")
            numbers = np.ravel(group["atNUM"][()]).astype(int)
            energy, forces = (group[key][()] if key in group else None for key in NAMES)
            yield Record(
                id=geometry,
                where=where,
                molecule=_molecule(geometry),
                numbers=numbers,
                positions=np.asarray(group["atXYZ"][()], dtype=float),
                energy=None if energy is None else float(np.ravel(energy)[0]),
                forces=None if forces is None else np.asarray(forces, dtype=float),
                charge=0,
                multiplicity=1,
                names=NAMES,
                found=tuple(sorted(group)),
            )


def _molecule(geometry):
    """Composition and isomer of a name Geom-m1-i2-c3-opt: m1-i2."""
    parts = geometry.removeprefix("Geom-").split("-")
    return "-".join(parts[:2]) if len(parts) > 2 else geometry
