"""Predictions of a method, in the order of the frames that they are of."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mlipshift.base import store
from mlipshift.base.errors import UserError
from mlipshift.base.frames import Frames

FORMAT = "mlipshift-predictions-1"


@dataclass(frozen=True)
class Predictions:
    """Predictions of one method for S structures in the order of their frames, at T recorded steps.

    ids [S]; offsets [S + 1]; steps [T] (0 alone without adaptation); energy [T, S] eV;
    forces [T, N, 3] eV/Å; loss [T, S] prior loss in eV/Å, NaN if none; cutoff [S] Å;
    ok [S]: False where the method could not be applied and the value is missing (NaN).
    """

    ids: np.ndarray
    offsets: np.ndarray
    steps: np.ndarray
    energy: np.ndarray
    forces: np.ndarray
    loss: np.ndarray
    cutoff: np.ndarray
    ok: np.ndarray
    method: str = ""
    seed: int = -1

    _ARRAYS = ("ids", "offsets", "steps", "energy", "forces", "loss", "cutoff", "ok")

    @classmethod
    def build(
        cls,
        frames: Frames,
        rows: Sequence[tuple | None],
        steps: Sequence[int] | np.ndarray,
        cutoff: float | Sequence[float] | np.ndarray,
        method: str,
        seed: int,
        loss: np.ndarray | None = None,
    ) -> "Predictions":
        """Predictions of `frames` from rows: per structure (energy [T] eV, forces [T, n, 3] eV/Å), None where missing.

        steps [T]; cutoff Å, one or [S]; loss [T, S] eV/Å.
        """
        times = len(steps)
        energy = np.full((times, len(frames)), np.nan)
        forces = np.full((times, len(frames.numbers), 3), np.nan)
        for k, row in enumerate(rows):
            if row is not None:
                energy[:, k] = row[0]
                forces[:, frames.offsets[k] : frames.offsets[k + 1]] = row[1]
        return cls(
            ids=frames.ids,
            offsets=frames.offsets,
            steps=np.asarray(steps, dtype=np.int64),
            energy=energy,
            forces=forces,
            loss=np.full((times, len(frames)), np.nan) if loss is None else loss,
            cutoff=np.broadcast_to(np.asarray(cutoff, dtype=float), (len(frames),)).copy(),
            ok=np.array([row is not None for row in rows]),
            method=method,
            seed=seed,
        )

    def save(self, path: Path | str) -> None:
        """Write to HDF5; equal predictions give equal bytes."""
        with store.created(path, FORMAT, method=self.method, seed=self.seed) as (handle, _):
            for name in self._ARRAYS:
                store.put(handle, name, getattr(self, name))

    @classmethod
    def load(cls, path: Path | str, frames: Frames | None = None) -> "Predictions":
        """Read predictions; with `frames` given, raises UserError unless ids agree one by one."""
        with store.opened(path, FORMAT) as handle:
            out = cls(
                **{n: store.get(handle, n) for n in cls._ARRAYS},
                method=str(handle.attrs["method"]),
                seed=int(handle.attrs["seed"]),
            )
        if frames is not None and not np.array_equal(out.ids, frames.ids):
            raise UserError(f"{path}: predictions are of other frames (ids differ); re-run the rule that made them")
        return out
