"""What every network of this project is: a shared representation with ordered levels, and named heads.

Input is a Batch of mlipshift.learn.batches, whose neighbour list may have any cutoff. Output of a head are
energies above the atomic baseline [S] (eV) and forces [R, n, 3] (eV/Å).

A backbone says how it represents a batch (`represent`), how a head reads that (`read`), and which of its parameters
belong to which stage (`stages`); everything else is here, once.

Weights may carry a leading replica axis (torch.func.functional_call with stacked parameters), so that many
structures are adapted at once, each with its own parameters; a backbone that cannot do so says `stacks = False` and
is adapted one unit after another.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mlipshift.base.errors import UserError
from mlipshift.catalogue.strategies import HEADS, LEVELS
from mlipshift.learn.batches import Batch
from mlipshift.learn.device import memory

MAX_ELEMENT = 94
FORCES = ("direct", "gradient")


class Dense(nn.Module):
    """x [R, ..., in] -> [R, ..., out]; weight [in, out] shared or [R, in, out] per replica."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        bias: bool = True,
        initialise: Callable[[Tensor], Tensor] = nn.init.xavier_uniform_,
    ):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(inputs, outputs))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        initialise(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        if self.weight.dim() == 2:
            x = x @ self.weight
            return x if self.bias is None else x + self.bias
        flat = x.flatten(1, -2)
        out = (
            torch.bmm(flat, self.weight) if self.bias is None else torch.baddbmm(self.bias[:, None], flat, self.weight)
        )
        return out.unflatten(1, x.shape[1:-1])


class Embedding(nn.Module):
    """Row number [R, n] -> features [R, n, F]; weight [rows, F] shared or [R, rows, F] per replica."""

    def __init__(self, weight: Tensor):
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, z: Tensor) -> Tensor:
        if self.weight.dim() == 2:
            return self.weight[z]
        replicas, rows = self.weight.shape[:2]
        index = z + rows * torch.arange(replicas, device=z.device)[:, None]
        return self.weight.flatten(0, 1).index_select(0, index.flatten()).unflatten(0, z.shape)


def gather(x: Tensor, neighbours: Tensor, shape: Sequence[int]) -> Tensor:
    """Atom features [R, n, ...] at the neighbours [R * n * K] of every atom: [R, n, K, ...], shape = (R, n, K)."""
    return x.flatten(0, 1).index_select(0, neighbours).unflatten(0, shape)


class Backbone(nn.Module):
    """Base class; `shift` [heads, elements] eV are atomic reference energies, fitted and not trained.

    A batch that needs more memory than there is ends in a UserError before it takes the machine with it.

    architecture: dataclass of hyper-parameters with at least `cutoff` (Å) and `forces`, one of FORCES. Direct forces
    have no net force, since their mean over each structure is removed; forces that are a gradient have none by
    themselves. Raises UserError for forces that the backbone does not have.
    """

    name: str | None = None
    forces: tuple[str, ...] = FORCES
    stacks = True
    # whether its steps can be recorded on a GPU: no tensor is read, no shape depends on one (learn.recorded)
    recordable = True
    elements = MAX_ELEMENT
    # bytes that a prediction and a gradient step need for every neighbour of every atom, measured at the default size
    slot_bytes = 2000, 7500
    shift: Tensor
    heads: nn.ModuleDict

    def __init__(self, architecture: Any, heads: Collection[str] = HEADS):
        super().__init__()
        if architecture.forces not in self.forces:
            raise UserError(
                f"the backbone {self.name} has no {architecture.forces} forces; use {' or '.join(self.forces)}"
            )
        self.architecture = architecture
        self.names = tuple(heads)
        self.register_buffer("shift", torch.zeros(len(heads), MAX_ELEMENT + 1, dtype=torch.float64))

    @property
    def dtype(self) -> torch.dtype:
        return next(self.parameters()).dtype

    @property
    def device(self) -> torch.device:
        return self.shift.device

    def represent(self, batch: Batch, vectors: Tensor) -> Any:
        """The shared representation, in any form that `read` takes; vectors [R, n, K, 3] Å to the neighbours."""
        raise NotImplementedError

    def read(self, head: str, state: Any) -> tuple[Tensor, Tensor | float | None]:
        """(energy per atom [R, n] eV, forces [R, n, 3] eV/Å, no tensor where they are a gradient) of one head."""
        raise NotImplementedError

    def scalars(self, state: Any) -> Tensor:
        """Invariant features of every atom [R, n, F] in the shared representation."""
        raise NotImplementedError

    def stages(self) -> list[tuple[str, ...]]:
        """Prefixes of parameter names per stage in the order of the network, the first with the embedding."""
        raise NotImplementedError

    def calibrate(self, batch: Batch, heads: Sequence[str] | None = None) -> None:
        """Set what is fitted to training structures rather than trained; most backbones have nothing of the kind."""

    def features(self, batch: Batch) -> Tensor:
        """Invariant features of every atom [R, n, F] of a Batch."""
        with torch.no_grad():
            self._check_memory(batch)
            return self.scalars(self.represent(batch, batch.vectors))

    def forward(self, batch: Batch, heads: Sequence[str] | None = None) -> dict[str, tuple[Tensor, Tensor]]:
        """{head: (energy [S] eV, forces [R, n, 3] eV/Å)}, all heads unless named; padded atoms have zero force."""
        self._check_memory(batch)
        heads = self.names if heads is None else heads
        real = (batch.structure < len(batch.sizes)).to(batch.vectors.dtype)
        if self.architecture.forces == "gradient":
            return self._conservative(batch, heads, real)
        state = self.represent(batch, batch.vectors)
        structure = batch.structure.flatten()
        out = {}
        for name in heads:
            energy, forces = self.read(name, state)
            assert isinstance(forces, Tensor)  # direct ones
            forces = forces * real[..., None]
            net = forces.new_zeros(len(batch.sizes) + 1, 3).index_add(0, structure, forces.flatten(0, 1))
            mean = net[:-1] / batch.sizes[:, None]
            mean = torch.cat([mean, mean.new_zeros(1, 3)]).index_select(0, structure)
            forces = forces - mean.unflatten(0, batch.structure.shape)
            out[name] = (_total(energy, batch, real), forces)
        return out

    def check_elements(self, numbers: np.ndarray) -> None:
        """Raise UserError for atomic numbers that the network has no weights for."""
        largest = int(np.max(numbers, initial=0))
        if largest > self.elements:
            raise UserError(f"element {largest} is beyond the {self.elements} of {self.name}; leave its structures out")

    def _check_memory(self, batch):
        derives = torch.is_grad_enabled() or self.architecture.forces == "gradient"
        each, there = self.slot_bytes[derives], memory(self.device)
        if each * batch.edges.numel() > there:
            replicas, n, width = batch.edges.shape
            raise UserError(
                f"{replicas * n} atoms at once, with up to {width} neighbours each, are more than the "
                f"{there // (each * width)} that {there / 2**30:.1f} GiB of memory hold for the backbone {self.name}; "
                "take large structures out of data.files, or lower the batch of the step that fails"
            )

    def _conservative(self, batch, heads, real):
        """Forces as minus the gradient of the energy; differentiable where autograd is on."""
        training = torch.is_grad_enabled()
        out = {}
        with torch.enable_grad():
            # padded edges get a length: the norm of a zero vector has no derivative
            vectors = torch.where(batch.edges[..., None] > 0, batch.vectors, torch.ones_like(batch.vectors))
            vectors = vectors.detach().requires_grad_()
            state = self.represent(batch, vectors)
            for k, name in enumerate(heads):
                energy = _total(self.read(name, state)[0], batch, real)
                (slope,) = torch.autograd.grad(
                    energy.sum(), vectors, create_graph=training, retain_graph=training or k + 1 < len(heads)
                )
                slope = slope * batch.edges[..., None]
                # a vector points from its atom to a neighbour, and both ends move it
                far = torch.zeros_like(slope[:, :, 0]).flatten(0, 1)
                far = far.index_add(0, batch.neighbours, slope.flatten(0, 2)).unflatten(0, batch.z.shape)
                forces = slope.sum(2) - far
                out[name] = (energy, forces) if training else (energy.detach(), forces.detach())
        return out

    def baseline(self, head: str, numbers: np.ndarray, counts: Sequence[int] | np.ndarray) -> np.ndarray:
        """Sum of atomic reference energies [S] (eV) of structures: numbers [N] split by counts [S]."""
        per_atom = self.shift[self.names.index(head)].cpu()[torch.as_tensor(numbers, dtype=torch.long)]
        owner = torch.repeat_interleave(torch.arange(len(counts)), torch.as_tensor(counts))
        return torch.zeros(len(counts), dtype=torch.float64).index_add(0, owner, per_atom).numpy()

    def representation(self, level: str = "max") -> list[str]:
        """Names of the parameters of the shared representation up to a level.

        min: embedding and first block; med: embedding and the first half of the blocks, rounded up;
        max: everything but the heads. Raises UserError for another level.
        """
        if level not in LEVELS:
            raise UserError(f"level {level!r} is unknown; use one of {', '.join(LEVELS)}")
        shared = [name for name, _ in self.named_parameters() if not name.startswith("heads.")]
        if level == "max":
            return shared
        stages = self.stages()
        chosen = stages[: 1 if level == "min" else (len(stages) + 1) // 2]
        return [name for name in shared if name.startswith(tuple(p for prefixes in chosen for p in prefixes))]

    def counts(self) -> dict[str, int]:
        """Numbers of parameters: of all, of one head, and of the representation at every level."""
        size = {name: p.numel() for name, p in self.named_parameters()}
        head = sum(n for name, n in size.items() if name.startswith(f"heads.{self.names[0]}."))
        return {
            "all": sum(size.values()),
            "head": head,
            **{level: sum(size[name] for name in self.representation(level)) for level in LEVELS},
        }


def _total(energy, batch, real):
    """Energies of structures [S] from energies of atoms [R, n]."""
    total = energy.new_zeros(len(batch.sizes) + 1)
    return total.index_add(0, batch.structure.flatten(), (energy * real).flatten())[:-1]


def envelope_of(batch: Batch, r: Tensor, trained: float, p: int) -> Tensor:
    """Polynomial envelope (Gasteiger et al., arXiv 2003.03123, eq. 8) of distances r [R, n, K, 1], 0 for padded edges.

    Smooth up to the second derivative at the trained cutoff, or at batch.envelope where the batch has one.
    """
    x = (r / (trained if batch.envelope is None else batch.envelope)).clamp_max(1.0)
    a, b, c = (p + 1) * (p + 2) // 2, p * (p + 2), p * (p + 1) // 2
    return (1 - a * x**p + b * x ** (p + 1) - c * x ** (p + 2)) * batch.edges[..., None]
