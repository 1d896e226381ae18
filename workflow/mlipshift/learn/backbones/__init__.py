"""The networks behind one interface (backbones.base), by name; each is imported only when it is asked for.

A backbone is a module of this folder with a data class Architecture and a subclass of Backbone, and one line of
catalogue.components.BACKBONES.
"""

from collections.abc import Collection, Mapping
from importlib import import_module
from typing import Any

from mlipshift.base.errors import UserError
from mlipshift.catalogue.components import BACKBONES
from mlipshift.catalogue.strategies import HEADS
from mlipshift.learn.backbones.base import Backbone


def create(name: str, architecture: Mapping[str, Any], heads: Collection[str] = HEADS) -> Backbone:
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
    return getattr(module, BACKBONES[name])(module.Architecture(**architecture), heads)
