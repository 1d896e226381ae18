"""Models of every origin behind one call.

A family is a module here with a class Model, see Family, and its name in catalogue.components.FAMILIES. What is an ASE
calculator derives from ase.Calculated.

Each runs in an environment of its own, so nothing is imported here; `load` does.
"""

import hashlib
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from ase.data import chemical_symbols

from mlipshift.base.errors import UserError, shortened
from mlipshift.base.text import listed
from mlipshift.external.answer import Answer
from mlipshift.external.structure import Structure


class Family(Protocol):
    """A loaded model; entry: keys registry.OPERATIVE of a registry entry.

    cutoff: radius of its neighbour list in Å, None if unknown. A family may have a method `many`, structures ->
    Answers in their order, the same as of each alone but for rounding, and `block`, the atoms that it takes at once
    (prediction.BLOCK if it does not say). It may have a method `set_radius`, after which its neighbour list ends at a
    radius in Å and its envelope where it did, as published radius refinement does by setting r_max; `cutoff` stays.
    """

    cutoff: float | None

    def __init__(self, entry: Mapping[str, Any], checkpoint: Path | None): ...

    @staticmethod
    def weights(entry: Mapping[str, Any], checkpoint: Path | None) -> Path | None:
        """File or folder that the weights are read from, None if unknown."""

    def __call__(self, structure: Structure) -> Answer:
        """Answer of the model; raises whatever it likes, which is the reason why there is none."""


def digest(path: Path) -> str:
    """SHA-256 of a file; of a folder, that of the lines that `sha256sum` prints of its files, by name."""
    if path.is_dir():
        files = sorted(str(p.relative_to(path)) for p in path.rglob("*") if p.is_file() and p.suffix != ".pyc")
        lines = [f"{digest(path / name)}  {name}\n" for name in files]
        return hashlib.sha256("".join(lines).encode()).hexdigest()
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def installed(package: str, *names: str) -> Path:
    """Path of a file or folder of an installed package, which is not imported; ImportError if it is not there."""
    spec = find_spec(package)
    folders = list(spec.submodule_search_locations or []) if spec else []
    for path in (Path(folder, *names) for folder in folders):
        if path.exists():
            return path
    missing = "/".join(names) if folders else ""
    raise ImportError(f"the package {package} has no {missing}" if missing else f"No module named '{package}'")


def verify(entry: Mapping[str, Any], checkpoint: Path | None) -> type[Family]:
    """Class of the family of a registry entry whose weights have the entry's sha256. Raises UserError if not."""
    family = import_module(f"mlipshift.external.families.{entry['family']}").Model
    weights = family.weights(entry, checkpoint)
    if entry["sha256"] and weights:
        found = digest(weights)
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


def all_known(structures: Sequence[Structure], known: set[int]) -> None:
    """Raises ValueError if any of the structures has an element that a model has not learnt and would not refuse.

    known: atomic numbers.
    """
    unknown = {int(z) for s in structures for z in s.numbers} - known
    if unknown:
        raise ValueError(f"it has not learnt {listed([chemical_symbols[z] for z in sorted(unknown)])}")
