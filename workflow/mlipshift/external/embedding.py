"""What the representations of models say of structures, and its store."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from mlipshift.base.errors import UserError
from mlipshift.base.files import Sink, replacing
from mlipshift.base.frames import Frames

FORMAT = "mlipshift-embedding-2"


@dataclass(frozen=True)
class Embedding:
    """What a model says of S structures beside their forces: ids [S]; embedding [S, d], NaN where there is none.

    d is 0 for models without an embedding; spread [N] eV/Å of an ensemble at every atom, NaN without.
    """

    ids: np.ndarray
    embedding: np.ndarray
    spread: np.ndarray

    @classmethod
    def build(
        cls, frames: Frames, vectors: Sequence[np.ndarray | None], spreads: Sequence[np.ndarray | None] | None = None
    ) -> "Embedding":
        """Embedding of lists of [d] and of [n], or None, one per structure."""
        width = next((len(v) for v in vectors if v is not None), 0)
        rows = [np.full(width, np.nan) if v is None else v for v in vectors]
        spreads = [None] * len(frames) if spreads is None else spreads
        spread = [np.full(n, np.nan) if v is None else v for v, n in zip(spreads, frames.sizes)]
        vectors_of = np.array(rows, dtype=float).reshape(len(frames), width)
        return cls(frames.ids, vectors_of, np.concatenate([np.empty(0), *spread]))

    def save(self, path: Path | str) -> None:
        """Write to HDF5; equal embeddings give equal bytes."""
        with replacing(path) as part, Sink(part) as sink:
            with h5py.File(sink, "w") as handle:
                handle.attrs["format"] = FORMAT
                handle.create_dataset("ids", data=self.ids, dtype=h5py.string_dtype(), track_times=False)
                handle.create_dataset("embedding", data=self.embedding, track_times=False)
                handle.create_dataset("spread", data=self.spread, track_times=False)
            sink.check()

    @classmethod
    def load(cls, path: Path | str, frames: Frames | None = None) -> "Embedding":
        """Read; raises UserError for another kind of file, and with `frames` given unless ids agree one by one."""
        try:
            with h5py.File(path, "r") as handle:
                if handle.attrs.get("format") != FORMAT:
                    raise UserError(f"{path}: holds {handle.attrs.get('format')}, expected {FORMAT}")
                out = cls(handle["ids"].asstr()[:].astype(object), handle["embedding"][:], handle["spread"][:])
        except (OSError, KeyError) as error:
            raise UserError(f"{path}: not a readable HDF5 store ({error}); delete it and run again") from error
        if frames is not None and not np.array_equal(out.ids, frames.ids):
            raise UserError(f"{path}: embeddings are of other frames (ids differ); re-run the rule that made them")
        return out
