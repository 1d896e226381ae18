"""What a long job keeps while it runs, for one that starts again after it was killed."""

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from mlipshift.base.files import replacing
from mlipshift.base.frames import Frames


class Checkpoints:
    """Parts of a job's results in a folder; each knows what it was made from, and is not taken for anything else.

    settings: digest of what the results depend on beside their structures.
    """

    def __init__(self, folder: Path, settings: bytes) -> None:
        self.folder, self.settings = folder, settings

    def _key(self, frames):
        """Digest of everything that the results of `frames` depend on."""
        digest = hashlib.sha256(self.settings)
        digest.update(json.dumps(frames.ids.tolist()).encode())
        geometry = (frames.offsets, frames.numbers, frames.positions, frames.cell, frames.pbc)
        for values in (*geometry, frames.charge, frames.multiplicity):
            digest.update(values.tobytes())
        return digest.hexdigest()

    def load(self, k: int, frames: Frames) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
        """Arrays and notes of part k of `frames`, as saved; None if not there, damaged or of something else."""
        try:
            with np.load(self.folder / f"{k}.npz") as kept:
                if str(kept["key"]) != self._key(frames):
                    return None
                arrays = {name: kept[name] for name in kept.files if name not in ("key", "notes")}
                return arrays, json.loads(str(kept["notes"]))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None

    def save(self, k: int, frames: Frames, arrays: dict[str, np.ndarray], notes: dict[str, Any]) -> None:
        """Keep part k of what is made from `frames`: arrays by name, and what JSON can hold."""
        with replacing(self.folder / f"{k}.npz") as part, open(part, "wb") as handle:
            columns: dict[str, Any] = dict(arrays)
            np.savez(handle, key=self._key(frames), notes=json.dumps(notes), **columns)
