"""What the representations of models say of structures, and its store."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from mlipshift.base.errors import UserError
from mlipshift.base.files import Sink, replacing
from mlipshift.base.frames import Frames
from mlipshift.external.answer import Answer

FORMAT = "mlipshift-embedding-1"
OF_ATOMS = ("spread", "features")  # which a file need not have


@dataclass(frozen=True)
class Embedding:
    """What a model's own representation says of S structures: ids [S]; embedding [S, d], NaN where there is none.

    d is 0 for models without an embedding. Of their A atoms, one structure behind the other: spread [A], the
    disagreement of an ensemble in eV/Å, and features [A, d'] in single precision; NaN where a structure has none, None
    where all have none or they are not kept.
    """

    ids: np.ndarray
    embedding: np.ndarray
    spread: np.ndarray | None = None
    features: np.ndarray | None = None

    @classmethod
    def build(cls, frames: Frames, answers: Sequence[Answer | None]) -> "Embedding":
        """Embedding of what a model has answered, one Answer or None per structure."""
        found = [Answer(np.nan, np.empty((0, 3))) if answer is None else answer for answer in answers]
        vectors = _filled(
            [None if a.embedding is None else a.embedding[None] for a in found], np.ones(len(frames), int)
        )
        spread, features = (_filled([getattr(a, name) for a in found], frames.sizes) for name in OF_ATOMS)
        if features is not None:
            features = features.astype(np.float32)
        return cls(frames.ids, np.empty((len(frames), 0)) if vectors is None else vectors, spread, features)

    def save(self, path: Path | str) -> None:
        """Write to HDF5; equal embeddings give equal bytes."""
        with replacing(path) as part, Sink(part) as sink:
            with h5py.File(sink, "w") as handle:
                handle.attrs["format"] = FORMAT
                handle.create_dataset("ids", data=self.ids, dtype=h5py.string_dtype(), track_times=False)
                for name in ("embedding", *OF_ATOMS):
                    if getattr(self, name) is not None:
                        handle.create_dataset(name, data=getattr(self, name), track_times=False)
            sink.check()

    @classmethod
    def load(cls, path: Path | str, frames: Frames | None = None) -> "Embedding":
        """Read; raises UserError for another kind of file, and with `frames` given unless ids agree one by one."""
        try:
            with h5py.File(path, "r") as handle:
                if handle.attrs.get("format") != FORMAT:
                    raise UserError(f"{path}: holds {handle.attrs.get('format')}, expected {FORMAT}")
                of_atoms = {name: handle[name][:] for name in OF_ATOMS if name in handle}
                out = cls(handle["ids"].asstr()[:].astype(object), handle["embedding"][:], **of_atoms)
        except (OSError, KeyError) as error:
            raise UserError(f"{path}: not a readable HDF5 store ({error}); delete it and run again") from error
        if frames is not None and not np.array_equal(out.ids, frames.ids):
            raise UserError(f"{path}: embeddings are of other frames (ids differ); re-run the rule that made them")
        return out


def _filled(parts, sizes):
    """Arrays with as many rows as `sizes` says, one behind the other, NaN for None; None if there is no other."""
    some = next((part for part in parts if part is not None), None)
    if some is None:
        return None
    return np.concatenate([np.full((n, *some.shape[1:]), np.nan) if p is None else p for p, n in zip(parts, sizes)])
