"""What a long job has found so far, kept while it runs, in parts of as many structures as there are in a while."""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

import numpy as np

from mlipshift.base.checkpoints import Checkpoints
from mlipshift.base.frames import Frames
from mlipshift.base.timing import Stopwatch

KEPT_EVERY = 1.0, 0.02  # s, and as a share of the time so far: a kill costs no more than that and one block


class Kept(ABC):
    """rows {number of a structure: what was found}, those of an earlier job to begin with.

    seconds: spent on them, by whichever job, `measured` as base.timing says; resumed: rows of an earlier job. Derived
    classes say how rows become arrays, and rows again.
    """

    def __init__(self, frames: Frames, kept: Checkpoints) -> None:
        self.frames, self.kept = frames, kept
        self.rows: dict[int, Any] = {}
        self.seconds, self.part, self.waiting = 0.0, 0, list[int]()
        while (found := kept.load(self.part, frames)) is not None:
            arrays, notes = found
            numbers = arrays["numbers"]
            rows = self.from_arrays(arrays, notes, frames.sizes[numbers])
            self.rows |= dict(zip(numbers.tolist(), rows, strict=True))
            self.seconds += notes["seconds"]
            self.part += 1
        self.resumed = len(self.rows)
        self.start = self.last = time.perf_counter()
        self.watch = Stopwatch()
        self.measured = self.watch.measured

    @abstractmethod
    def to_arrays(self, rows: list[Any]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """(arrays by name, notes that JSON can hold) of rows, for `from_arrays`."""

    @abstractmethod
    def from_arrays(self, arrays: dict[str, np.ndarray], notes: dict[str, Any], sizes: np.ndarray) -> Iterable[Any]:
        """The rows that `to_arrays` made these of; sizes [rows]: atoms of their structures."""

    def add(self, *rows: tuple[int, Any]) -> None:
        """Take (number, row) of structures that belong together: all of them are kept, or none."""
        for k, row in rows:
            self.rows[k] = row
            self.waiting.append(k)
        now = time.perf_counter()
        if now - self.last > max(KEPT_EVERY[0], KEPT_EVERY[1] * (now - self.start)):
            self.flush()

    def flush(self) -> None:
        """Write what has been added."""
        seconds = self.watch.seconds
        if self.waiting:
            arrays, notes = self.to_arrays([self.rows[k] for k in self.waiting])
            arrays["numbers"] = np.array(self.waiting, dtype=np.int64)
            self.kept.save(self.part, self.frames, arrays, notes | {"seconds": seconds})
            self.part, self.waiting = self.part + 1, []
        self.seconds, self.measured = self.seconds + seconds, self.watch.measured
        self.last, self.watch = time.perf_counter(), Stopwatch()
