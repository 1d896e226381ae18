"""Weights of a model from elsewhere while they are changed: put back bit by bit afterwards, saved by their names."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from mlipshift.base.errors import UserError
from mlipshift.base.files import replacing
from mlipshift.external.differentiable import Differentiable

Parameters = Sequence[torch.nn.Parameter]


@contextmanager
def restored(parameters: Parameters) -> Iterator[None]:
    """Behind the block these parameters are as they were."""
    kept = [p.detach().clone() for p in parameters]
    try:
        yield
    finally:
        with torch.no_grad():
            for p, before in zip(parameters, kept):
                p.copy_(before)


@contextmanager
def learning(parameters: Parameters) -> Iterator[None]:
    """Within the block gradients reach these parameters; behind it they are frozen, changed as they may be."""
    for p in parameters:
        p.requires_grad_(True)
    try:
        yield
    finally:
        for p in parameters:
            p.requires_grad_(False)
            p.grad = None


def adaptable(model: Differentiable) -> list[torch.nn.Parameter]:
    """Parameters of representation and readout."""
    return [*model.representation(), *model.readout()]


def save(model: Differentiable, path: Path) -> None:
    """Write representation and readout as {name: tensor}, which torch loads without running what a file says."""
    chosen = {id(p) for p in adaptable(model)}
    state = {n: p.detach().clone() for n, p in model.network.named_parameters() if id(p) in chosen}
    with replacing(path) as part:
        torch.save(state, part)


def load(model: Differentiable, path: Path) -> None:
    """Put the weights of a file by `save` into the model that they were changed from. Raises UserError for another."""
    state = torch.load(path, weights_only=True)
    known = dict(model.network.named_parameters())
    wrong = [name for name, values in state.items() if name not in known or known[name].shape != values.shape]
    if wrong:
        raise UserError(f"{path}: {wrong[0]} is no weight of this model; give those that were changed from it")
    with torch.no_grad():
        for name, values in state.items():
            known[name].copy_(values)
