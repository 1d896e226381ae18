"""Imported datasets of this workflow: HDF5 with the attribute `format`; eV, eV/Å, Å."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mlipshift.base.frames import DATASET_FORMAT, Dataset
from mlipshift.data.readers.beginning import Beginning
from mlipshift.data.readers.common import Request, selected
from mlipshift.data.readers.units import ANGSTROM
from mlipshift.data.records import Record

UNITS = ANGSTROM


def recognises(beginning: Beginning) -> bool:
    """Whether it calls itself one."""
    return beginning.hdf5[0] == DATASET_FORMAT


def read(path: Path | str, request: Request) -> Iterator[Record]:
    """Yield the wanted structures of a file."""
    yield from selected(path, _structures(path), request.wanted)


def _structures(path):
    for block in Dataset.blocks(path):
        frames, labels = block.frames, block.labels
        for k in range(len(frames)):
            numbers, positions, charge, multiplicity = frames[k]
            yield Record(
                id=frames.ids[k],
                where=f"{path}, structure {frames.ids[k]}",
                molecule=frames.molecule[k],
                numbers=numbers,
                positions=positions,
                energy=labels.energy[k] if np.isfinite(labels.energy[k]) else None,
                forces=labels.forces_of(k) if labels.ok[k] else None,
                cell=frames.cell[k],
                pbc=frames.pbc[k],
                charge=charge,
                multiplicity=multiplicity,
                smiles=block.smiles[k],
                subset=block.subset[k],
            )
