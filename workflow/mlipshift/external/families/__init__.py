"""Models of every origin behind one call.

A family is a module here with a class Model:

    Model(entry, checkpoint)    entry: keys registry.OPERATIVE of a registry entry; checkpoint: Path or None
    Model.weights(...)          static, of the same arguments: file that the weights are read from, None if unknown
    Model.cutoff                radius of its neighbour list in Å, None if unknown
    model(structure)            (energy eV, forces [n, 3] eV/Å, embedding [d] or None)

Each runs in an environment of its own, so nothing is imported here; `load` does.
"""

import hashlib
from dataclasses import dataclass
from importlib import import_module

import h5py
import numpy as np
from ase.geometry import complete_cell

from mlipshift.base.errors import UserError, shortened
from mlipshift.base.files import Sink, replacing

EMBEDDING_FORMAT = "mlipshift-embedding-1"


@dataclass(frozen=True)
class Structure:
    """numbers [n]; positions [n, 3] Å; charge e; multiplicity; cell [3, 3] Å, zero for a molecule; pbc [3]."""

    numbers: np.ndarray
    positions: np.ndarray
    charge: int
    multiplicity: int
    cell: np.ndarray
    pbc: np.ndarray

    @classmethod
    def of(cls, frames, k):
        """Structure k of Frames, a molecule centred at the origin.

        rMD17 has benzene 200 Å away from it, where cell lists of molecules become huge and single precision coarse.
        """
        numbers, positions, charge, multiplicity = frames[k]
        if not frames.pbc[k].any():
            positions = positions - positions.mean(axis=0)
        return cls(numbers, positions, charge, multiplicity, frames.cell[k], frames.pbc[k])

    def in_box(self, padding):
        """A molecule in a box, a slab between vacuum, `padding` Å away from the next image; a crystal as it is.

        What the cell has along directions that are not periodic does not count.
        """
        if self.pbc.all():
            return self
        cell = complete_cell(np.where(self.pbc[:, None], self.cell, 0.0))
        # the directions added are perpendicular to all others, and of unit length
        along = self.positions @ np.linalg.inv(cell)
        low, high = along.min(axis=0), along.max(axis=0)
        stretch = np.where(self.pbc, 1.0, high - low + padding)
        moved = self.positions + np.where(self.pbc, 0.0, padding / 2 - low) @ cell
        return Structure(self.numbers, moved, self.charge, self.multiplicity, cell * stretch[:, None], np.ones(3, bool))


def load(entry, checkpoint=None):
    """Model of a registry entry, its weights compared with the entry's sha256 first. Raises UserError."""
    try:
        family = import_module(f"mlipshift.external.families.{entry['family']}").Model
        weights = family.weights(entry, checkpoint)
        if entry["sha256"] and weights:
            with open(weights, "rb") as handle:
                found = hashlib.file_digest(handle, "sha256").hexdigest()
            if found != entry["sha256"]:
                raise UserError(
                    f"{weights}: sha256 is {found}, the registry expects {entry['sha256']}; fetch the file again, or "
                    "correct the entry"
                )
        return family(entry, checkpoint)
    except ImportError as error:
        raise UserError(
            f"family {entry['family']}: {shortened(error)}; install the environment of the model (make models)"
        ) from error


@dataclass(frozen=True)
class Embedding:
    """What a model's own representation says of S structures: ids [S]; embedding [S, d], NaN where there is none.

    d is 0 for models without an embedding.
    """

    ids: np.ndarray
    embedding: np.ndarray

    @classmethod
    def build(cls, frames, vectors):
        """Embedding of a list of [d] or None, one per structure."""
        width = next((len(v) for v in vectors if v is not None), 0)
        rows = [np.full(width, np.nan) if v is None else v for v in vectors]
        return cls(frames.ids, np.array(rows, dtype=float).reshape(len(frames), width))

    def save(self, path):
        """Write to HDF5; equal embeddings give equal bytes."""
        with replacing(path) as part, Sink(part) as sink:
            with h5py.File(sink, "w") as handle:
                handle.attrs["format"] = EMBEDDING_FORMAT
                handle.create_dataset("ids", data=self.ids, dtype=h5py.string_dtype(), track_times=False)
                handle.create_dataset("embedding", data=self.embedding, track_times=False)
            sink.check()

    @classmethod
    def load(cls, path, frames=None):
        """Read; raises UserError for another kind of file, and with `frames` given unless ids agree one by one."""
        try:
            with h5py.File(path, "r") as handle:
                if handle.attrs.get("format") != EMBEDDING_FORMAT:
                    raise UserError(f"{path}: holds {handle.attrs.get('format')}, expected {EMBEDDING_FORMAT}")
                out = cls(handle["ids"].asstr()[:].astype(object), handle["embedding"][:])
        except (OSError, KeyError) as error:
            raise UserError(f"{path}: not a readable HDF5 store ({error}); delete it and run again") from error
        if frames is not None and not np.array_equal(out.ids, frames.ids):
            raise UserError(f"{path}: embeddings are of other frames (ids differ); re-run the rule that made them")
        return out
