"""The networks behind one interface (backbones.base), by name; each is imported only when it is asked for."""

from importlib import import_module

from mlipshift.base.errors import UserError
from mlipshift.learn.backbones.base import HEADS

BACKBONES = ("painn", "gemnet", "mace")


def create(name, architecture, heads=HEADS):
    """Backbone `name` with random weights; architecture: {hyper-parameter: value}, defaults for the others.

    Raises UserError for an unknown name, and where the package that the backbone needs is not installed.
    """
    if name not in BACKBONES:
        raise UserError(f"backbone {name!r} is unknown; use one of {', '.join(BACKBONES)}")
    try:
        module = import_module(f"mlipshift.learn.backbones.{name}")
    except ModuleNotFoundError as error:
        raise UserError(
            f"the backbone {name} needs {error.name}, which is not in this environment; run make venv-{name}"
        ) from error
    return module.Potential(module.Architecture(**architecture), heads)
