"""Gradient descent of a published model on forces that somebody gives: all of its weights, or low-rank updates of them.

Low-rank updates (LoRA; Hu et al., ICLR 2022, arXiv 2106.09685): every weight matrix of a linear layer becomes
W + A B with A of r columns and B zero at the beginning. They are written into the weights before every step, and
gradients of the weights are carried over to A and B, so that nothing of the model has to be rewritten; this holds for
TorchScript as for e3nn, of whose weights those of the radial networks are matrices.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from mlipshift.base.errors import UserError, shortened
from mlipshift.base.log import progress
from mlipshift.external.batch import owners_of, per_structure, positions_of
from mlipshift.external.differentiable import Differentiable, energy_and_forces
from mlipshift.external.settings import CLIP
from mlipshift.external.structure import Structure
from mlipshift.external.weights import adaptable, learning

PART = 16  # structures at once where nothing is learnt


@dataclass(frozen=True)
class Goal:
    """Structures with forces [n, 3] eV/Å to learn, energies [S] eV, NaN where unknown, and the weight in the loss."""

    structures: Sequence[Structure]
    forces: Sequence[np.ndarray]
    energy: np.ndarray
    weight: float = 1.0

    def take(self, chosen: Sequence[int]) -> "Goal":
        """That of some structures, by their numbers."""
        return Goal(
            [self.structures[k] for k in chosen], [self.forces[k] for k in chosen], self.energy[chosen], self.weight
        )


@dataclass(frozen=True)
class Descent:
    """learning_rate of Adam; batch: structures of each goal in a step; energy_weight: of the error per atom in eV."""

    learning_rate: float
    batch: int = 8
    energy_weight: float = 0.0
    seed: int = 0


class Full:
    """All of the weights `changed` themselves, which are stepped as they are."""

    parameters: Sequence[torch.Tensor]

    def __init__(self, changed: Sequence[torch.nn.Parameter]) -> None:
        self.parameters = self.changed = changed

    def write(self) -> None:
        """Put what is stepped into the weights."""

    def gather(self) -> None:
        """Take its gradients from those of the weights."""


class LowRank(Full):
    """A [m, rank] and B [rank, n] of weight matrices [m, n], B zero at first; rank 0 changes nothing."""

    def __init__(self, matrices: Sequence[torch.nn.Parameter], rank: int, seed: int) -> None:
        super().__init__(matrices if rank else [])
        random = torch.Generator().manual_seed(seed)
        self.base = [p.detach().clone() for p in self.changed]
        self.left = [
            torch.randn(p.shape[0], rank, generator=random, dtype=p.dtype) / p.shape[0] ** 0.5 for p in self.changed
        ]
        self.right = [torch.zeros(rank, p.shape[1], dtype=p.dtype) for p in self.changed]
        self.parameters = [*self.left, *self.right]

    def write(self) -> None:
        """Set the weights to W + A B."""
        with torch.no_grad():
            for p, w, a, b in zip(self.changed, self.base, self.left, self.right):
                p.copy_(torch.addmm(w, a, b))

    def gather(self) -> None:
        """Gradients G Bᵀ of A and Aᵀ G of B, from those G of the weights."""
        for p, a, b in zip(self.changed, self.left, self.right):
            a.grad, b.grad = (None, None) if p.grad is None else (p.grad @ b.T, a.T @ p.grad)


def matrices(model: Differentiable) -> list[torch.nn.Parameter]:
    """Weight matrices of linear layers in floating point.

    Those of embeddings are none: a row that no structure asks for would be moved with the others.
    """
    name = lambda module: getattr(module, "original_name", type(module).__name__)
    looked_up = [p for m in model.network.modules() if name(m) == "Embedding" for p in m.parameters(recurse=False)]
    fits = lambda p: p.dim() == 2 and min(p.shape) > 1 and p.is_floating_point()
    return [p for p in adaptable(model) if fits(p) and not any(p is q for q in looked_up)]


def descend(
    model: Differentiable,
    update: Full,
    goals: Sequence[Goal],
    settings: Descent,
    steps: int,
    look: Callable[[int], Any] | None = None,
    every: int = 10,
) -> None:
    """Take steps on the sum of the goals' weighted losses; the weights of the model are left changed.

    look: called with the number of steps after 0, every `every` and the last step. The loss of a structure is the
    mean absolute error of its force components (eV/Å), and energy_weight times the one of its energy per atom. Raises
    UserError for a loss that is not finite.
    """
    parameters = [p for p in update.parameters if p.numel()]
    goals = [goal for goal in goals if goal.weight and goal.structures]
    streams = [_batches(len(g.structures), settings.batch, [settings.seed, k]) for k, g in enumerate(goals)]
    optimiser = torch.optim.Adam(parameters, lr=settings.learning_rate) if parameters and goals else None
    if look:
        look(0)
    for step in range(1, steps + 1):
        if optimiser is not None:
            with learning(update.changed):
                terms = [
                    g.weight * loss(model, g.take(next(s)), settings.energy_weight) for g, s in zip(goals, streams)
                ]
                total = torch.stack(terms).sum()
                if not torch.isfinite(total):
                    raise UserError(f"the loss is not finite after {step - 1} steps; give a smaller learning_rate")
                total.backward()
                update.gather()
                torch.nn.utils.clip_grad_norm_(parameters, CLIP)
                optimiser.step()
            optimiser.zero_grad()
            update.write()
        if look and (step % every == 0 or step == steps):
            look(step)


def _batches(count: int, size: int, seed: Sequence[int]) -> Iterator[list[int]]:
    """Numbers below `count`, `size` at a time, every one as often as the others."""
    random, waiting = np.random.default_rng(seed), list[int]()
    size = min(size, count)
    while True:
        if len(waiting) < size:
            waiting += random.permutation(count).tolist()
        yield waiting[:size]
        waiting = waiting[size:]


def loss(model: Differentiable, goal: Goal, energy_weight: float = 0.0) -> torch.Tensor:
    """Mean over structures of the mean absolute force error (eV/Å), and of the energy per atom; differentiable."""
    batch = model.prepare(goal.structures)
    energy, forces, _ = energy_and_forces(model, batch, positions_of(goal.structures, model.dtype), create=True)
    sizes, owner = owners_of(goal.structures)
    truth = torch.as_tensor(np.concatenate(goal.forces), dtype=model.dtype)
    error = (forces - truth).abs().mean(-1)
    total = (torch.zeros(len(sizes), dtype=model.dtype).index_add(0, owner, error) / sizes).mean()
    known = torch.as_tensor(np.isfinite(goal.energy))
    if energy_weight and known.any():
        off = (energy.double() - torch.as_tensor(np.nan_to_num(goal.energy))).abs() / sizes
        total = total + energy_weight * off[known].mean()
    return total


def force_errors(model: Differentiable, goal: Goal, batch: int = PART) -> np.ndarray:
    """Mean absolute error [S] of the force components of every structure, eV/Å."""
    found = said(model, goal.structures, batch)
    return np.array([np.abs(f - truth).mean() for (_, f), truth in zip(found, goal.forces)])


def said(model: Differentiable, structures: Sequence[Structure], batch: int = PART) -> list[tuple[float, np.ndarray]]:
    """(energy eV, forces [n, 3] eV/Å) of structures by the model as it is now."""
    out: list[tuple[float, np.ndarray]] = []
    for k in range(0, len(structures), batch):
        part = structures[k : k + batch]
        energy, forces, _ = energy_and_forces(model, model.prepare(part), positions_of(part, model.dtype))
        out += per_structure(energy, forces, part)
    return out


def replay(model: Differentiable, structures: Sequence[Structure], weight: float) -> Goal:
    """Structures with what the model says of them before it is changed, to be kept to."""
    answers = said(model, structures)
    return Goal(structures, [f for _, f in answers], np.array([e for e, _ in answers]), weight)


def in_parts(
    answer: Callable[[Sequence[Structure]], list[tuple[float, np.ndarray]]],
    structures: Mapping[int, Structure],
    name: str,
) -> tuple[dict[int, tuple[float, np.ndarray]], dict[int, str]]:
    """({number: (energy eV, forces [n, 3] eV/Å)}, {number: why there is none}) of structures by their number.

    A part that fails is asked one by one; name: in the line of progress.
    """
    out: dict[int, tuple[float, np.ndarray]] = {}
    reasons: dict[int, str] = {}
    order = sorted(structures, key=lambda k: (len(structures[k].numbers), k))
    parts = [order[k : k + PART] for k in range(0, len(order), PART)]
    for part in progress(parts, len(parts), name):
        try:
            out.update(zip(part, answer([structures[k] for k in part])))
        except (RuntimeError, ValueError, KeyError):
            for k in part:
                try:
                    out[k] = answer([structures[k]])[0]
                except (RuntimeError, ValueError, KeyError) as error:
                    reasons[k] = f"{type(error).__name__}: {shortened(error)}"
    for k in [k for k, (_, f) in out.items() if not np.isfinite(f).all()]:
        del out[k]
        reasons[k] = "forces are not finite"
    return out, reasons
