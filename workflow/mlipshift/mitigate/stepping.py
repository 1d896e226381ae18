"""How parameters that are stacked over units are stepped, every unit by itself."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mlipshift.catalogue.adaptation import Settings
from mlipshift.learn.recorded import recording, records

CLIP = 10.0  # gradient norm per unit, as in the released code


def optimiser_of(parameters: Sequence[Tensor], settings: Settings, on: torch.device) -> torch.optim.Optimizer:
    """torch's fused kernel on stacked parameters [R, ...]; element by element, so replicas stay apart."""
    common: dict[str, Any] = {"lr": settings.learning_rate, "weight_decay": settings.weight_decay, "fused": True}
    if settings.optimiser == "sgd":
        return torch.optim.SGD(parameters, momentum=settings.momentum, **common)
    return torch.optim.Adam(parameters, capturable=records(on), **common)


def clip(parameters: Sequence[Tensor]) -> None:
    """Scale the gradients of every replica to a norm of at most CLIP."""
    # an energy readout has no gradient where only forces are fitted
    gradients = [p.grad for p in parameters if p.grad is not None]
    norm = torch.stack([torch.linalg.vector_norm(g.flatten(1), dim=1) for g in gradients]).norm(dim=0)
    # nothing is asked of a GPU that records
    if recording() or bool((norm > CLIP).any()):
        scale = (CLIP / norm).clamp_max(1.0)
        for g in gradients:
            g.mul_(scale.view(-1, *[1] * (g.dim() - 1)))
