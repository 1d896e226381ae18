"""Models as functions of positions that torch differentiates: their energies, and their representation of every atom.

A module here is named as its family and has a class Model, see Differentiable. Nothing is imported before it is asked
for, as each runs in an environment of its own.
"""

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import torch

from mlipshift.base.errors import UserError, shortened
from mlipshift.catalogue.components import DIFFERENTIABLE
from mlipshift.external import families
from mlipshift.external.structure import Structure


class Differentiable(Protocol):
    """dtype: of its parameters; network: the module whose parameters may be adapted."""

    dtype: torch.dtype
    network: torch.nn.Module

    def __init__(self, entry: Mapping[str, Any], checkpoint: Path | None): ...

    def prepare(self, structures: Sequence[Structure]) -> Any:
        """What does not depend on positions, and the graph, of several structures; made anew when atoms move."""

    def __call__(self, batch: Any, positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(energies [S] eV, features [N, d]) of a batch at positions [N, 3] Å, differentiable twice."""

    def representation(self) -> list[torch.nn.Parameter]:
        """Parameters that test-time training changes: those that both heads share."""

    def readout(self) -> list[torch.nn.Parameter]:
        """Parameters that training on labels changes beside the representation."""


def load(entry: Mapping[str, Any], checkpoint: Path | None = None) -> Differentiable:
    """Differentiable model of a registry entry. Raises UserError for a family that has none, or no environment."""
    if entry["family"] not in DIFFERENTIABLE:
        raise UserError(
            f"family {entry['family']}: no head can learn on its features here, only on those of "
            f"{', '.join(DIFFERENTIABLE)}; the committee and the mixture with the prior need none"
        )
    families.verify(entry, checkpoint)
    try:
        return import_module(f"mlipshift.external.differentiable.{entry['family']}").Model(entry, checkpoint)
    except ImportError as error:
        raise UserError(
            f"family {entry['family']}: {shortened(error)}; install the environment of the model"
        ) from error


def energy_and_forces(
    model: Differentiable, batch: Any, positions: torch.Tensor, create: bool = False
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(energies [S] eV, forces [N, 3] eV/Å, features [N, d]) of a batch; positions [N, 3] Å.

    create: keep the graph of the forces, which are differentiated again.
    """
    if not positions.requires_grad:
        positions = positions.detach().requires_grad_()
    energy, features = model(batch, positions)
    (gradient,) = torch.autograd.grad(energy.sum(), positions, create_graph=create, retain_graph=True)
    return energy, -gradient, features
