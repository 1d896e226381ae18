"""What a computation costs, whatever else the machine does meanwhile, and the file that states it."""

import json
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from mlipshift.base.files import replacing

CPU, GPU = "CPU time", "wall time, GPU"


@dataclass(frozen=True)
class Timing:
    """seconds of `structures` structures, or of as many adaptations, measured as CPU or GPU says."""

    seconds: float
    structures: int
    measured: str = CPU

    @property
    def each(self) -> float:
        """Seconds per structure, 0 if there was none."""
        return self.seconds / max(1, self.structures)

    @classmethod
    def total(cls, parts: Sequence["Timing"]) -> "Timing":
        """The sum of timings, such as those of all seeds or shards; it is one of a GPU if any is."""
        measured = GPU if any(p.measured == GPU for p in parts) else CPU
        return cls(sum(p.seconds for p in parts), sum(p.structures for p in parts), measured)

    def write(self, path: Path) -> None:
        """Write it as JSON."""
        with replacing(path) as part:
            part.write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> "Timing":
        """That of a file by `write`."""
        return cls(**json.loads(path.read_text()))


class Stopwatch:
    """Seconds since it was made: CPU time of this process, of its threads and of children that it has waited for.

    With one thread that is the time on a core of its own; wall time would count the other programs of a busy machine.
    Where torch computes on a GPU the CPU only waits, and wall time is what counts.
    """

    def __init__(self) -> None:
        self._cpu, self._wall = _cpu_seconds(), time.perf_counter()

    @property
    def measured(self) -> str:
        """CPU or GPU."""
        torch = sys.modules.get("torch")
        return GPU if torch is not None and torch.cuda.is_initialized() else CPU

    @property
    def seconds(self) -> float:
        """Seconds so far."""
        return time.perf_counter() - self._wall if self.measured == GPU else _cpu_seconds() - self._cpu

    def timing(self, structures: int) -> Timing:
        """That of so many structures, so far."""
        return Timing(self.seconds, structures, self.measured)


def _cpu_seconds() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime
