"""ANI-1x, Smith et al. 2020 (doi 10.1038/s41597-020-0473-z): HDF5, a group per formula, neutral singlets.

Hartree, Hartree/Å, Å. Rows without ωB97X/6-31G(d) energy or forces are NaN there; they are counted and left out.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mlipshift.base.log import log
from mlipshift.base.units import EV, FORCES
from mlipshift.data.readers import hdf5
from mlipshift.data.readers.beginning import Beginning
from mlipshift.data.readers.common import ROWS, Request
from mlipshift.data.records import Record

UNITS = {"energy": "Hartree", "length": "Angstrom", "forces": "Hartree/Angstrom"}
NAMES = ("coordinates", "wb97x_dz.energy", "wb97x_dz.forces")


def recognises(beginning: Beginning) -> bool:
    """Whether the first group has coordinates."""
    return NAMES[0] in beginning.hdf5[1]


def read(path: Path | str, request: Request) -> Iterator[Record]:
    """Yield the wanted structures of a file that have a label; the others are not built."""
    skipped = request.skipped
    before = skipped["no label"]
    with hdf5.opened(path) as handle:
        for name, group in hdf5.groups(handle):
            numbers, count, arrays = hdf5.arrays_of(path, group, NAMES, UNITS)
            if any(a is None for a in arrays):
                skipped["no label"] += count
                continue
            for start in range(0, count, ROWS):
                rows = [a[start : start + ROWS].astype(float) for a in arrays if a is not None]
                energies = rows[1].reshape(-1)
                labelled = np.isfinite(energies) & np.isfinite(rows[2]).all(axis=(1, 2))
                skipped["no label"] += int((~labelled).sum())
                for k in np.flatnonzero(labelled):
                    here = f"{name}/{start + k}"
                    if not request.wanted(here):
                        continue
                    yield Record(
                        id=here,
                        where=f"{path}, formula {name}, structure {start + k}",
                        molecule=name,
                        numbers=numbers,
                        positions=rows[0][k],
                        energy=energies[k] * EV,
                        forces=rows[2][k] * FORCES["Hartree/Angstrom"],
                        charge=0,
                        multiplicity=1,
                        names=NAMES[1:],
                    )
    if skipped["no label"] > before:
        log.info("%s: %d structures have no %s label", path, skipped["no label"] - before, NAMES[1].split(".")[0])
