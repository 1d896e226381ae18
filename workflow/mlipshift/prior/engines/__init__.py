"""Engines of the prior, one file each. A new one is a module like the others and a line of catalogue.components.PRIORS.

A module has PACKAGE, what it is called where its labels differ from those of the first module that has the method, and
engine(method, accuracy), of a method of FITTED also with the folder of its models. What it imports is light: its
library only when an engine is made.
"""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np

from mlipshift.base.errors import UserError
from mlipshift.catalogue.components import FITTED, LIBRARIES, PRIORS, engine_of

METHODS = tuple(PRIORS)
ENGINES = tuple(LIBRARIES)

# (numbers [n], positions [n, 3] Å, charge, multiplicity) -> energy (eV), forces [n, 3] (eV/Å)
Singlepoint = Callable[[np.ndarray, np.ndarray, int, int], tuple[float, np.ndarray]]


def module_of(method: str, library: str = "tblite") -> ModuleType:
    """Module that has a method: that of `library` where there is a choice. Raises UserError if none has it."""
    if method not in PRIORS:
        raise UserError(f"prior method {method!r} is unknown; use one of {', '.join(METHODS)}")
    return import_module(f"{__name__}.{engine_of(method, library)}")


def engine(
    method: str, library: str = "tblite", accuracy: float = 1.0, fitted: Path | str | None = None
) -> Singlepoint:
    """Function of a structure that gives its energy and forces; it raises what its library raises.

    library, accuracy: of the methods of TIGHT_BINDING; accuracy is the convergence threshold, the smaller, the tighter.
    fitted: folder of the models of a method of FITTED.
    Raises UserError if the method is unknown or its library missing.
    """
    module = module_of(method, library)
    return module.engine(method, accuracy, fitted) if method in FITTED else module.engine(method, accuracy)


def level(method: str, library: str = "tblite") -> str:
    """Name of the level that labels carry. Raises UserError if the method is unknown."""
    module = module_of(method, library)
    return f"prior:{method}" + ("" if module is module_of(method, "") else f" ({module.PACKAGE})")
