"""Reference labels made before, which are taken over where level and geometry are the same."""

import json
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import read

from mlipshift.base.errors import UserError

SAME_GEOMETRY = 1e-6  # Å


def labelled(folder: Path | None, settings: dict) -> dict[str, Atoms]:
    """Labelled frames by id of a benchmark made before; raises UserError if its level of theory is another one."""
    if folder is None:
        return {}
    level = json.loads((folder / "level.json").read_text())
    if level != settings:
        raise UserError(
            f"{folder}/level.json: labels of {level}, but labelling.level is {settings}; set labelling.known to null"
        )
    return {a.info["id"]: a for path in sorted(folder.glob("*.extxyz")) for a in read(path, index=":")}


def find(known: dict[str, Atoms], atoms: Atoms) -> tuple[float, np.ndarray] | None:
    """(energy, forces) of the same geometry among labelled frames, or None."""
    other = known.get(atoms.info["id"])
    if other is None or len(other) != len(atoms) or (other.numbers != atoms.numbers).any():
        return None
    if np.abs(other.positions - atoms.positions).max() > SAME_GEOMETRY:
        return None
    return other.info["REF_energy"], other.arrays["REF_forces"]
