"""Adapted predictions that are kept while a job runs, in parts of as many as there are in a little while."""

import time

import numpy as np

from mlipshift.base.checkpoints import Checkpoints
from mlipshift.base.frames import Frames
from mlipshift.base.timing import Stopwatch
from mlipshift.external.prediction import KEPT_EVERY

Row = tuple[np.ndarray, np.ndarray, np.ndarray, str]


class Kept:
    """rows {number: (energy [T] eV, forces [T, n, 3] eV/Å, loss [T] eV/Å, reason)}, of an earlier job to begin with.

    seconds: spent on them, by whichever job, `measured` as base.timing says; resumed: rows of an earlier job.
    """

    def __init__(self, frames: Frames, kept: Checkpoints) -> None:
        self.frames, self.kept = frames, kept
        self.rows: dict[int, Row] = {}
        self.seconds, self.part, self.waiting = 0.0, 0, list[int]()
        while (found := kept.load(self.part, frames)) is not None:
            self._take(*found)
            self.part += 1
        self.resumed = len(self.rows)
        self.start = self.last = time.perf_counter()
        self.watch = Stopwatch()
        self.measured = self.watch.measured

    def add(self, k: int, energy: np.ndarray, forces: np.ndarray, loss: np.ndarray, reason: str) -> None:
        """Take the row of structure k."""
        self.rows[k] = energy, forces, loss, reason
        self.waiting.append(k)
        now = time.perf_counter()
        if now - self.last > max(KEPT_EVERY[0], KEPT_EVERY[1] * (now - self.start)):
            self.flush()

    def flush(self) -> None:
        """Write what has been added."""
        seconds = self.watch.seconds
        if self.waiting:
            rows = [self.rows[k] for k in self.waiting]
            arrays = {
                "numbers": np.array(self.waiting, dtype=np.int64),
                "energy": np.stack([energy for energy, *_ in rows]),
                "forces": np.concatenate([forces for _, forces, *_ in rows], axis=1),
                "loss": np.stack([loss for _, _, loss, _ in rows]),
            }
            notes = {"seconds": seconds, "reasons": [reason for *_, reason in rows]}
            self.kept.save(self.part, self.frames, arrays, notes)
            self.part, self.waiting = self.part + 1, []
        self.seconds, self.measured = self.seconds + seconds, self.watch.measured
        self.last, self.watch = time.perf_counter(), Stopwatch()

    def _take(self, arrays, notes):
        ends = np.cumsum(self.frames.sizes[arrays["numbers"]])[:-1]
        forces = np.split(arrays["forces"], ends, axis=1)
        for k, *row in zip(arrays["numbers"].tolist(), arrays["energy"], forces, arrays["loss"], notes["reasons"]):
            self.rows[k] = tuple(row)
        self.seconds += notes["seconds"]
