"""What a labelling job keeps while it runs, for one that starts again after it was killed."""

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from mlipshift.base.files import replacing
from mlipshift.base.frames import Frames, Labels


class Checkpoints:
    """Labels of stripes of structures in a folder.

    settings: what labels depend on beside their structures, labels.fingerprint; level: name of the level they carry.
    """

    def __init__(self, folder: Path, settings: bytes, level: str) -> None:
        self.folder, self.settings, self.level = folder, settings, level

    def _key(self, frames):
        """Digest of everything that the labels of a stripe depend on."""
        digest = hashlib.sha256(self.settings)
        digest.update(json.dumps(frames.ids.tolist()).encode())
        for values in (frames.offsets, frames.numbers, frames.positions, frames.charge, frames.multiplicity):
            digest.update(values.tobytes())
        return digest.hexdigest()

    def load(self, k: int, frames: Frames) -> tuple[Labels, dict[str, str], float] | None:
        """Labels, {id: reason of a failure}, seconds of stripe k; None if not there, damaged or of something else."""
        try:
            with np.load(self.folder / f"{k}.npz") as kept:
                if str(kept["key"]) != self._key(frames):
                    return None
                labels = Labels(frames.ids, frames.offsets, kept["energy"], kept["forces"], kept["ok"], self.level)
                return labels, json.loads(str(kept["reasons"])), float(kept["seconds"])
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None

    def save(self, k: int, frames: Frames, labels: Labels, reasons: dict[str, str], seconds: float) -> None:
        """Keep stripe k; arguments as `load` gives them."""
        with replacing(self.folder / f"{k}.npz") as part, open(part, "wb") as handle:
            arrays: dict[str, Any] = {"energy": labels.energy, "forces": labels.forces, "ok": labels.ok}
            np.savez(handle, key=self._key(frames), reasons=json.dumps(reasons), seconds=seconds, **arrays)
