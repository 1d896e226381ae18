"""One structure as a reader yields it, in eV, Å, eV/Å, and what it must be to become a row of a frame store."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ase.data import chemical_symbols

from mlipshift.base.errors import UserError
from mlipshift.base.geometry import symbol


@dataclass(frozen=True)
class Record:
    """One structure of a file.

    id; where: file and place in it, for messages; molecule; numbers [n]; positions [n, 3] Å; cell [3, 3] Å;
    pbc [3]; charge, multiplicity: None where the file has none, values as they stand there otherwise; energy eV;
    forces [n, 3] eV/Å; both None where missing, as they stand in the file where they are no numbers.
    names: what the file calls energy and forces; found: the keys of the structure where data.keys says these names,
    for messages; smiles, subset, config_type: empty where the file has none; problem: why the reader cannot use the
    structure.
    """

    id: str
    where: str
    molecule: str
    numbers: np.ndarray
    positions: np.ndarray
    energy: object = None
    forces: object = None
    cell: np.ndarray = field(default_factory=lambda: np.zeros((3, 3)))
    pbc: np.ndarray = field(default_factory=lambda: np.zeros(3, dtype=bool))
    charge: object = None
    multiplicity: object = None
    names: tuple = ("energy", "forces")
    found: tuple = ()
    smiles: str = ""
    subset: str = ""
    config_type: str = ""
    problem: str = ""


def row_of(record: Record, group: str) -> dict:
    """Row for Frames.build of a record, whatever its elements, cell and spin.

    Raises ValueError with the reason when no method could use the structure.
    """
    numbers, positions = record.numbers, record.positions
    if record.problem:
        raise ValueError(record.problem)
    if reason := misfit(record):
        raise ValueError(reason)
    if not np.isfinite(positions).all():
        bad = int(np.flatnonzero(~np.isfinite(positions).all(axis=1))[0])
        raise ValueError(f"position of atom {bad} ({symbol(numbers[bad])}) is not finite")
    texts = {"id": record.id, "molecule": record.molecule, "SMILES": record.smiles, "subset": record.subset}
    for name, text in texts.items():
        if not text.isprintable():
            raise ValueError(f"its {name} has a control character, {ascii(text[:60])}")
    if not np.isfinite(record.cell).all():
        raise ValueError("its cell is not finite")
    charge = _whole(0 if record.charge is None else record.charge, "charge")
    parity = 1 + (int(np.sum(numbers, dtype=int)) - charge) % 2
    multiplicity = _whole(parity if record.multiplicity is None else record.multiplicity, "multiplicity")
    return {
        "id": record.id,
        "group": group,
        "molecule": record.molecule,
        "numbers": numbers,
        "positions": positions,
        "charge": charge,
        "multiplicity": multiplicity,
        "cell": record.cell,
        "pbc": record.pbc,
    }


def isolated_atom(record: Record) -> bool:
    """Whether a record is one that gives the energy of a free atom, as training files of MACE hold them.

    It says so (config_type), or has an energy and no forces.
    """
    if len(record.numbers) != 1 or np.any(record.pbc):
        return False
    named = record.config_type.lower().translate({ord(c): None for c in " _-"}) == "isolatedatom"
    return named or (record.energy is not None and record.forces is None)


def label_of(record: Record, needed: bool) -> tuple[float, np.ndarray] | None:
    """(energy eV, forces [n, 3] eV/Å) of a record, None if it has no label and none is needed.

    Either of the two suffices; the other is NaN then. Raises ValueError for values that are no finite numbers.
    """
    if record.energy is None and record.forces is None:
        if not needed:
            return None
        raise ValueError(f"has no label {' and '.join(record.names)}{in_the_file(record)}")
    energy, forces = scalar(record.energy), np.asarray(record.forces)
    if record.energy is not None and not np.isfinite(energy):
        raise ValueError(f"{record.names[0]} is {record.energy}, not a finite number")
    if record.forces is None:
        return energy, np.full(record.positions.shape, np.nan)
    if forces.shape != record.positions.shape or not np.issubdtype(forces.dtype, np.number):
        raise ValueError(f"{record.names[1]} does not have three numbers per atom")
    if not np.isfinite(forces).all():
        raise ValueError(f"{record.names[1]} is not finite")
    return energy, forces


def in_the_file(record: Record) -> str:
    """What the file has instead of a label, for messages."""
    return f" (data.keys); its keys are {', '.join(record.found)}" if record.found else ""


def record_failure(
    record: Record, error: ValueError, settings: dict, failures: list[dict], stage: str, group: str = ""
) -> None:
    """Append a row of FAILURES to `failures`, or raise UserError where data.bad_structures is `refuse`.

    error: what is wrong with the structure; settings: section `data` of the configuration.
    """
    if settings["bad_structures"] == "refuse":
        raise UserError(
            f"{record.where}, id {record.id}: {error}; mend or remove the frame, or set data.bad_structures to record"
        ) from error
    failures.append({"id": shown(record.id), "group": group, "stage": stage, "reason": str(error)})


def shown(text: str) -> str:
    """A text, its strange characters escaped if it has any: tables and stores take no others."""
    return text if text.isprintable() else ascii(text)


def scalar(value: Any) -> float:
    """Float of a label, NaN where there is none or it is no number."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return np.nan


def misfit(record: Record) -> str:
    """Why a record is no structure at all, empty if it is one."""
    count, shape = len(record.numbers), np.shape(record.positions)
    if not count:
        return "has no atom"
    if shape != (count, 3):
        return f"has {count} atoms and positions of shape {shape}"
    outside = [int(z) for z in record.numbers if not 0 <= z < len(chemical_symbols)]
    return f"there is no element with Z = {outside[0]}" if outside else ""


def _whole(value, name):
    number = scalar(value)
    if not number.is_integer():
        raise ValueError(f"{name} is {value}, not a whole number")
    return int(number)
