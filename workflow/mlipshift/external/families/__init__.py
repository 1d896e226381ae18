"""Models of every origin behind one call.

A family is a module here with a class Model, see Family, and its name in catalogue.components.FAMILIES. What is an ASE
calculator derives from ase.Calculated.

Each runs in an environment of its own, so nothing is imported here; `load` does.
"""

import hashlib
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mlipshift.base.errors import UserError, shortened
from mlipshift.external.structure import Structure


class Family(Protocol):
    """A loaded model; entry: keys registry.OPERATIVE of a registry entry.

    cutoff: radius of its neighbour list in Å, None if unknown.
    """

    cutoff: float | None

    def __init__(self, entry: Mapping[str, Any], checkpoint: Path | None): ...

    @staticmethod
    def weights(entry: Mapping[str, Any], checkpoint: Path | None) -> Path | None:
        """File that the weights are read from, None if unknown."""

    def __call__(self, structure: Structure) -> tuple[float, np.ndarray, np.ndarray | None]:
        """(energy eV, forces [n, 3] eV/Å, embedding [d] or None)."""


def verify(entry: Mapping[str, Any], checkpoint: Path | None) -> type[Family]:
    """Class of the family of a registry entry whose weights have the entry's sha256. Raises UserError if not."""
    family = import_module(f"mlipshift.external.families.{entry['family']}").Model
    weights = family.weights(entry, checkpoint)
    if entry["sha256"] and weights:
        with open(weights, "rb") as handle:
            found = hashlib.file_digest(handle, "sha256").hexdigest()
        if found != entry["sha256"]:
            raise UserError(
                f"{weights}: sha256 is {found}, the registry expects {entry['sha256']}; fetch the file again, or "
                "correct the entry"
            )
    return family


def load(entry: Mapping[str, Any], checkpoint: Path | None = None) -> Family:
    """Model of a registry entry, its weights compared with the entry's sha256 first. Raises UserError."""
    try:
        return verify(entry, checkpoint)(entry, checkpoint)
    except ImportError as error:
        raise UserError(
            f"family {entry['family']}: {shortened(error)} in {sys.prefix}; install the environment of the model (make "
            "models), or name the one that has it (models.NAME.environment)"
        ) from error
