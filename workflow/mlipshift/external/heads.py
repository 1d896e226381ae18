"""A prior head for a model from elsewhere: a small network on its features, as they are, that predicts the prior.

Kreiman & Krishnapriyan 2026, section 3.2, train a model with two heads, one for the reference and one for a cheap
prior. A published model has one. Here the second one is the first plus the difference between prior and model, learnt
on structures that need no reference label: E_head = E_model + Σ_i f(features_i). Where the features fail, both heads
err alike, which is what a residual correction and test-time training use.

The features are projected on their principal components once, and the derivatives of these with respect to positions
are kept, so that no step of the training passes through the model.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mlipshift.base.files import replacing
from mlipshift.base.frames import ELEMENTS
from mlipshift.base.log import log, progress
from mlipshift.external.batch import owners_of, positions_of
from mlipshift.external.differentiable import Differentiable, energy_and_forces
from mlipshift.external.structure import Structure

BATCH = 16  # structures in a step
RATE, DECAY = 5e-3, 1e-2  # of AdamW, one cycle
ROWS = 2048  # atoms in a pass that collects derivatives; bounds the memory
SMALLEST = 0.02  # of the largest standard deviation; components of less are not blown up to one


class PriorHead(torch.nn.Module):
    """Difference between prior and model, summed over atoms: features [N, d] -> [N] eV.

    mean [d], projection [d, c]: of the features to scaled principal components; shifts [119] eV: of the elements.
    """

    mean: torch.Tensor
    projection: torch.Tensor
    shifts: torch.Tensor

    def __init__(self, mean: torch.Tensor, projection: torch.Tensor, hidden: int):
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("projection", projection)
        self.register_buffer("shifts", torch.zeros(ELEMENTS, dtype=torch.float64))
        self.network = torch.nn.Sequential(
            torch.nn.Linear(projection.shape[1], hidden),
            torch.nn.SiLU(),
            torch.nn.Linear(hidden, hidden),
            torch.nn.SiLU(),
            torch.nn.Linear(hidden, 1),
        )

    def components(self, features: torch.Tensor) -> torch.Tensor:
        """Principal components [N, c] of features [N, d]."""
        return (features - self.mean) @ self.projection

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.network(self.components(features))[:, 0]

    def save(self, path: Path) -> None:
        """Write weights alone, which torch loads without running what a file says."""
        with replacing(path) as part:
            torch.save(self.state_dict(), part)

    @classmethod
    def load(cls, path: Path) -> "PriorHead":
        """That of a file by `save`."""
        state = torch.load(path, weights_only=True)
        head = cls(state["mean"], state["projection"], len(state["network.0.bias"]))
        head.load_state_dict(state)
        return head.requires_grad_(False)


@dataclass(frozen=True)
class Both:
    """What a model and its prior head say of structures: energies [S] eV and forces [N, 3] eV/Å of each."""

    energy: torch.Tensor
    forces: torch.Tensor
    head_energy: torch.Tensor
    head_forces: torch.Tensor


def both(
    model: Differentiable,
    head: PriorHead,
    structures: Sequence[Structure],
    positions: torch.Tensor | None = None,
    create: bool = False,
) -> Both:
    """Energies and forces of model and prior head; positions [N, 3] Å, those of the structures if absent.

    create: keep the graph of the forces, which adaptation differentiates again.
    """
    _, owner = owners_of(structures)
    numbers = torch.as_tensor(np.concatenate([s.numbers for s in structures]).astype(np.int64))
    x = positions_of(structures, model.dtype) if positions is None else positions
    x = x.detach().requires_grad_()
    energy, forces, features = energy_and_forces(model, model.prepare(structures), x, create)
    difference = head(features)
    (gradient,) = torch.autograd.grad(difference.sum(), x, create_graph=create)
    added = torch.zeros_like(energy, dtype=torch.float64)
    added = added.index_add(0, owner, difference.double() + head.shifts[numbers])
    return Both(energy, forces, energy.double() + added, forces - gradient)


@dataclass(frozen=True)
class Example:
    """A structure to learn from: components [n, c]; derivatives [n, c, 3 n] 1/Å; forces [n, 3] to add, eV/Å."""

    components: torch.Tensor
    derivatives: torch.Tensor
    forces: torch.Tensor

    def added(self, gradient: torch.Tensor) -> torch.Tensor:
        """Forces [n, 3] (eV/Å) that a gradient [n, c] with respect to the components makes."""
        return -torch.einsum("nc,nck->k", gradient, self.derivatives).reshape(-1, 3)


def examples(
    model: Differentiable, head: PriorHead, structures: Sequence[Structure], prior: Sequence[np.ndarray], name: str
) -> list[Example]:
    """Examples of structures with prior forces [n, 3] (eV/Å); name: of the model, in the line of progress."""
    rows = []
    for structure, forces in progress(zip(structures, prior), len(structures), f"{name}, derivatives of features"):
        components, derivatives, own = _derivatives(model, head, structure)
        rows.append(Example(components, derivatives, torch.as_tensor(forces - own, dtype=torch.float32)))
    return rows


def _derivatives(model, head, structure):
    """(components [n, c], their derivatives [n, c, 3 n], forces of the model [n, 3]) of a structure.

    A copy per coordinate, each of which asks for one column: the derivative of a vector-Jacobian product.
    """
    n, columns, first = len(structure.numbers), [], None
    step = max(1, ROWS // n)
    for start in range(0, 3 * n, step):
        chosen = torch.arange(start, min(start + step, 3 * n))
        copies = [structure] * len(chosen)
        x = positions_of(copies, model.dtype).requires_grad_()
        energy, features = model(model.prepare(copies), x)
        values = head.components(features)
        if first is None:
            (gradient,) = torch.autograd.grad(energy.sum(), x, retain_graph=True)
            first = values[:n].detach(), -gradient[:n].double().numpy()
        weights = torch.zeros_like(values, requires_grad=True)
        (product,) = torch.autograd.grad(values, x, weights, create_graph=True)
        picked = product.reshape(len(chosen), 3 * n)[torch.arange(len(chosen)), chosen]
        (column,) = torch.autograd.grad(picked.sum(), weights)
        columns.append(column.reshape(len(chosen), n, -1))
    return first[0].float(), torch.cat(columns).permute(1, 2, 0).float().contiguous(), first[1]


def start(model: Differentiable, structures: Sequence[Structure], settings: Mapping[str, Any]) -> PriorHead:
    """A head that has learnt nothing but the principal components of the features of structures.

    settings: components, hidden, seed.
    """
    rows = []
    for k in range(0, len(structures), BATCH):
        part = structures[k : k + BATCH]
        with torch.no_grad():
            rows.append(model(model.prepare(part), positions_of(part, model.dtype))[1].double())
    features = torch.cat(rows)
    mean = features.mean(0)
    values, vectors = torch.linalg.eigh(torch.cov(features.T))
    count = min(settings["components"], len(values))
    deviation = values[-count:].clamp(min=0).sqrt()
    scale = deviation.clamp(min=SMALLEST * float(deviation.max()))
    torch.manual_seed(settings["seed"])
    return PriorHead(mean.to(model.dtype), (vectors[:, -count:] / scale).to(model.dtype), settings["hidden"])


def train(head: PriorHead, rows: Sequence[Example], held: Sequence[Example], settings: Mapping[str, Any]) -> float:
    """Train a head in place; mean absolute residual of the forces of held-out examples, eV/Å (NaN if there are none).

    settings: epochs, seed.
    """
    random = np.random.default_rng(settings["seed"])
    network, parameters = head.network.float(), [*head.network.parameters()]
    steps = max(1, len(rows) // BATCH)
    optimiser = torch.optim.AdamW(parameters, lr=RATE, weight_decay=DECAY)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=settings["epochs"] * steps)

    def residuals(part, create):
        values = torch.cat([row.components for row in part]).requires_grad_()
        (gradient,) = torch.autograd.grad(network(values).sum(), values, create_graph=create)
        split = torch.split(gradient, [len(row.components) for row in part])
        return [(row.added(g) - row.forces).abs().mean() for row, g in zip(part, split)]

    for epoch in progress(range(settings["epochs"]), settings["epochs"], "training of the prior head"):
        order, total = random.permutation(len(rows)), 0.0
        for part in np.array_split(order, steps):
            loss = torch.stack(residuals([rows[k] for k in part], True)).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            rate.step()
            total += float(loss.detach())
        log.info("epoch %d: residual %.1f meV/Å", epoch + 1, 1000 * total / steps)
    return float(torch.stack(residuals(held, False)).mean()) if held else float("nan")


def set_shifts(model: Differentiable, head: PriorHead, structures: Sequence[Structure], prior: np.ndarray) -> None:
    """Set the shifts of the elements so that the head's energies are those of the prior [S] (eV) in the least squares.

    Elements of other structures have none, and their energies are not to be compared with those of the prior.
    """
    head.shifts.zero_()
    said = [
        both(model, head, structures[k : k + BATCH]).head_energy.detach().numpy()
        for k in range(0, len(structures), BATCH)
    ]
    head.shifts.copy_(torch.as_tensor(element_shifts(structures, prior - np.concatenate(said))))


def element_shifts(structures: Sequence[Structure], energies: np.ndarray) -> np.ndarray:
    """Energies [119] eV of the elements whose sums are nearest to `energies` [S], NaN unknown; the shortest such."""
    known = np.isfinite(energies)
    if not known.any():
        return np.zeros(ELEMENTS)
    counts = np.array([np.bincount(s.numbers, minlength=ELEMENTS) for s in structures], dtype=float)
    return np.linalg.lstsq(counts[known], energies[known], rcond=None)[0]
