"""Steps of small networks on a GPU, recorded once and replayed.

The hundreds of kernels of a step take a GPU microseconds each, and the processor longer to ask for them one by one; a
recording asks for all of them at once (CUDA graphs). Elsewhere a step is called as it is. Off, since no GPU was at hand
to compare it on; `tests/physics/second_device.py KIND cuda recorded` does, and `benchmarks/bench_devices.py` times it.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mlipshift.learn.batches import Batch

ENABLED = False
CAPTURABLE = "This instance was constructed with capturable=True"  # how torch's warning of an eager step begins


def records(device: torch.device, possible: bool = True) -> bool:
    """Whether steps on a device are recorded that can be."""
    return ENABLED and possible and device.type == "cuda"


class Recorded:
    """A function without arguments whose tensors keep their places and shapes from call to call.

    Where steps are recorded the first call is eager, the second is recorded, and every call from then on replays it:
    results lie where they lay before. The function must not read a tensor of the GPU there, and make no shape depend on
    one. device: of its tensors; possible: whether the function can be recorded at all.
    """

    def __init__(self, function: Callable[[], Any], device: torch.device, possible: bool = True):
        self.function, self.possible = function, records(device, possible)
        self.graph: torch.cuda.CUDAGraph | None = None
        self.result: Any = None
        self.stream = torch.cuda.Stream(device) if self.possible else None
        self.warm = False

    def __call__(self) -> Any:
        if not self.possible:
            return self.function()
        if self.graph is None and not self.warm:
            return self._eager()
        if self.graph is None:
            self._record()
        assert self.graph is not None
        self.graph.replay()
        return self.result

    def _eager(self):
        # on the stream of the recording: what libraries set up at their first call belongs to a stream
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=CAPTURABLE)
            result = self.function()
        torch.cuda.current_stream().wait_stream(self.stream)
        self.warm = True
        return result

    def _record(self):
        graph = torch.cuda.CUDAGraph()
        torch.cuda.synchronize()
        # not torch.cuda.graph, which empties the cache of the allocator at each recording
        with torch.cuda.stream(self.stream):
            graph.capture_begin()
            try:
                self.result = self.function()
            finally:
                graph.capture_end()
        self.graph = graph


def recording() -> bool:
    """Whether a GPU records what is called now, and no tensor can be read."""
    return ENABLED and torch.cuda.is_current_stream_capturing()


@dataclass
class Slots:
    """Places for batches of one shape, with their forces [1, n, 3] and energies [S]; `fill` puts another one there."""

    batch: Batch
    forces: Tensor
    energy: Tensor

    @classmethod
    def of(cls, batch: Batch, forces: Tensor, energy: Tensor, device: torch.device) -> "Slots":
        """On a device, with what they hold first."""
        there: dict[str, Any] = {f.name: getattr(batch, f.name) for f in fields(Batch)}
        there = {name: None if value is None else value.to(device) for name, value in there.items()}
        return cls(Batch(**there), forces.to(device), energy.to(device))

    def fill(self, batch: Batch, forces: Tensor, energy: Tensor) -> None:
        for f in fields(Batch):
            place, value = getattr(self.batch, f.name), getattr(batch, f.name)
            if place is not None:
                place.copy_(value)
        self.forces.copy_(forces)
        self.energy.copy_(energy)

    def fresh(self) -> Batch:
        """The batch in its places, which has derived nothing from what was there before."""
        return Batch(**{f.name: getattr(self.batch, f.name) for f in fields(Batch)})


def room(sizes: np.ndarray, count: int) -> int:
    """Atoms of the `count` largest of structures of `sizes` atoms, which no batch of as many can exceed."""
    return int(np.sort(sizes)[-count:].sum())
