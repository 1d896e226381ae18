"""Models on disk and what scripts ask of them; the networks themselves are in mlipshift.learn.backbones."""

import json
from dataclasses import asdict
from pathlib import Path

import torch
from torch.func import functional_call

from mlipshift.base.errors import UserError, shortened
from mlipshift.base.files import Sink, replacing
from mlipshift.learn.backbones import create
from mlipshift.learn.backbones.base import HEADS, LEVELS, MAX_ELEMENT
from mlipshift.learn.backbones.painn import Architecture, Potential

__all__ = [
    "HEADS",
    "LEVELS",
    "MAX_ELEMENT",
    "Architecture",
    "Potential",
    "build",
    "call",
    "load",
    "representation",
    "save",
]

FORMAT = "mlipshift-model-1"
DEFAULT = "painn"  # also the network of cards that name none


def build(architecture):
    """Backbone with random weights; architecture: {"backbone": name, hyper-parameter: value}."""
    own = dict(architecture)
    return create(own.pop("backbone", DEFAULT), own)


def representation(model, level="max"):
    """Names of the parameters of the shared representation up to a level; see Backbone.representation."""
    return model.representation(level)


def call(model, parameters, batch, heads):
    """Model output with some parameters replaced, shared or stacked over replicas.

    A backbone that does not stack takes stacks of one replica.
    """
    if not model.stacks:
        own = dict(model.named_parameters())
        parameters = {name: p[0] if p.dim() > own[name].dim() else p for name, p in parameters.items()}
    return functional_call(model, parameters, (batch,), {"heads": heads})


def save(model, path, card):
    """Write weights.pt and model.json (architecture, training card) into the directory `path`."""
    path = Path(path)
    with replacing(path / "weights.pt") as part, Sink(part) as sink:
        torch.save({name: value.cpu() for name, value in model.state_dict().items()}, sink)
        sink.check()
    counts = model.counts()
    body = {
        "format": FORMAT,
        "backbone": model.name,
        "architecture": asdict(model.architecture),
        "heads": list(model.names),
        "units": {"energy": "eV", "length": "Å", "forces": "eV/Å"},
        "forces": model.architecture.forces,
        "parameters": counts.pop("all"),
        "parameters_of": counts,
        **card,
    }
    (path / "model.json").write_text(json.dumps(body, indent=1, sort_keys=True) + "\n")


def load(path, device="cpu"):
    """(model, card) of a directory written by `save`, on a device. Raises UserError if it is not one.

    Weights are tensors and nothing else: torch refuses to unpickle any other object.
    """
    path = Path(path)
    try:
        card = json.loads((path / "model.json").read_text())
        if card["format"] != FORMAT:
            raise UserError(f"{path}: holds {card['format']}, expected {FORMAT}")
        model = create(card.get("backbone", DEFAULT), card["architecture"], card["heads"])
        model.load_state_dict(torch.load(path / "weights.pt", map_location="cpu", weights_only=True))
        if not all(p.isfinite().all() for p in model.parameters()):
            raise UserError(f"{path}: weights are not finite; train it again")
    except UserError:
        raise
    except Exception as error:  # a damaged archive raises many kinds
        raise UserError(f"{path}: not a model of this project ({shortened(error)}); train it again") from error
    return model.to(device).eval(), card
