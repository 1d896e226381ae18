"""What is asked of a network, whichever backbone it is: to be built, called with other parameters, and to predict."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch.func import functional_call

from mlipshift.base.errors import UserError
from mlipshift.learn import batches
from mlipshift.learn.backbones import create
from mlipshift.learn.backbones.base import Backbone
from mlipshift.shift import graphs

DEFAULT = "painn"  # also the network of cards that name none
ENVELOPES = ("trained", "rescaled")


def build(architecture: Mapping[str, Any]) -> Backbone:
    """Backbone with random weights; architecture: {"backbone": name, hyper-parameter: value}.

    Raises UserError as backbones.create.
    """
    own = dict(architecture)
    return create(own.pop("backbone", DEFAULT), own)


def call(
    network: Backbone, parameters: dict[str, torch.Tensor], batch: batches.Batch, heads: Sequence[str]
) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Output of a network (see Backbone.forward) with parameters replaced, shared or stacked over replicas.

    A backbone that does not stack takes stacks of one replica.
    """
    if not network.stacks:
        own = dict(network.named_parameters())
        parameters = {name: p[0] if p.dim() > own[name].dim() else p for name, p in parameters.items()}
    return functional_call(network, parameters, (batch,), {"heads": heads})


def predict(
    network: Backbone,
    structures: Sequence[tuple[np.ndarray, np.ndarray]],
    cutoffs: Sequence[float] | None = None,
    envelope: str = "trained",
    head: str = "reference",
    batch: int = 64,
) -> list[tuple[float, np.ndarray]]:
    """(energy eV above the atomic baseline, forces [n, 3] eV/Å) of structures (numbers [n], positions [n, 3] Å).

    cutoffs: that of the neighbour list of every structure (Å), the network's own if absent. envelope: the radius at
    which the network's envelope reaches zero stays the trained one (as published), or is rescaled to the cutoff of
    the structure. batch: structures at once, fewer large ones. Raises UserError for an unknown envelope.
    """
    if envelope not in ENVELOPES:
        raise UserError(f"envelope {envelope!r} is unknown; use one of {', '.join(ENVELOPES)}")
    cutoffs = [network.architecture.cutoff] * len(structures) if cutoffs is None else cutoffs
    out = []
    for part in batches.portions([len(numbers) for numbers, _ in structures], batch, network.device):
        both = zip(structures[part], cutoffs[part])
        rows = [graphs.build(*s, c, c if envelope == "rescaled" else None) for s, c in both]
        with torch.no_grad():
            energy, forces = network(batches.collate([rows], network.dtype, network.device), (head,))[head]
        split = np.split(forces[0].double().cpu().numpy(), np.cumsum([len(g.numbers) for g in rows])[:-1])
        out += list(zip(energy.double().cpu().tolist(), split))
    return out
