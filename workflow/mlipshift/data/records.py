"""One structure as a reader yields it, its checks, and whether the units of a file are plausible.

Everything is in eV, Å, eV/Å here: the readers convert.
"""

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from ase.data import chemical_symbols

from mlipshift.base.errors import UserError
from mlipshift.base.geometry import centred, rotation, scaled_distances, symbol
from mlipshift.base.units import ENERGY, EV, FORCES, LENGTH

NOBLE = (2, 10, 18, 36, 54, 86)
TOLERANCE = 0.15  # relative, for naming the unit that an energy is in
MIN_PAIRS = 8  # pairs of geometries below which force units are not judged
MAX_STEP = 0.2  # Å, root mean square per coordinate; beyond it the trapezoidal rule says nothing, not even the sign
SAMPLE = 400  # structures of a file that its units are judged by


@dataclass(frozen=True)
class Record:
    """One structure of a file.

    id; where: file and place in it, for messages; molecule; numbers [n]; positions [n, 3] Å; cell [3, 3] Å;
    pbc [3]; charge, multiplicity: None where the file has none, values as they stand there otherwise; energy eV;
    forces [n, 3] eV/Å; both None where missing, as they stand in the file where they are no numbers.
    names: what the file calls energy and forces; found: the keys of the structure where data.keys says these names,
    for messages; smiles, subset: empty where the file has none; problem: why the reader cannot use the structure.
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
    problem: str = ""


def row_of(record, group):
    """Row for Frames.build of a record, whatever its elements, cell and spin.

    Raises ValueError with the reason when no method could use the structure.
    """
    numbers, positions = record.numbers, record.positions
    if record.problem:
        raise ValueError(record.problem)
    if misfit := _misfit(record):
        raise ValueError(misfit)
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


def label_of(record, needed):
    """(energy eV, forces [n, 3] eV/Å) of a record, None if it has no label and none is needed.

    Raises ValueError for half a label and for values that are no finite numbers.
    """
    values = (record.energy, record.forces)
    missing = [name for name, value in zip(record.names, values) if value is None]
    if missing:
        if len(missing) == 2 and not needed:
            return None
        keys = f" (data.keys); its keys are {', '.join(record.found)}" if record.found else ""
        raise ValueError(f"has no label {' and '.join(missing)}{keys}")
    energy, forces = scalar(record.energy), np.asarray(record.forces)
    if not np.isfinite(energy):
        raise ValueError(f"{record.names[0]} is {record.energy}, not a finite number")
    if forces.shape != record.positions.shape or not np.issubdtype(forces.dtype, np.number):
        raise ValueError(f"{record.names[1]} does not have three numbers per atom")
    if not np.isfinite(forces).all():
        raise ValueError(f"{record.names[1]} is not finite")
    return energy, forces


def check_units(path, records, units, configured):
    """Raise UserError naming the unit that a file seems to be in when it is not the declared one.

    records: the first ones of the file, periodic ones do not count. units: {"energy", "length", "forces"} that they
    were converted from; configured: whether section data.units says so, not the format. Lengths are judged by
    nearest neighbours, energies by the all-electron total energy -0.5 Z^2.4 hartree per atom, forces by the energy
    differences between geometries. Only a clear match with another unit is an error; energies of formation match
    none.
    """

    def mend(kind, unit):
        if configured:
            return f"set data.units.{kind} to {unit} or convert the file"
        return f"files of this format have {units[kind]}; convert the file"

    records = [r for r in records if not np.any(r.pbc) and not _misfit(r)]
    ratio = neighbour_ratio(records)
    if not 0.7 < ratio < 1.5:
        for unit, factor in LENGTH.items():
            if 0.8 < ratio * factor / LENGTH[units["length"]] < 1.4:
                raise UserError(
                    f"{path}: positions look like {unit}, not {units['length']} (nearest neighbours are at "
                    f"{ratio:.2g} times the sum of covalent radii); {mend('length', unit)}"
                )
    ratio = energy_ratio(records)
    if not abs(ratio - 1) < TOLERANCE:
        for unit, factor in ENERGY.items():
            if abs(ratio * factor / ENERGY[units["energy"]] - 1) < TOLERANCE:
                raise UserError(
                    f"{path}: energies look like {unit}, not {units['energy']} ({ratio:.3g} times the total "
                    f"energy of the atoms); {mend('energy', unit)}"
                )
    ratio = work_ratio(records)
    if not 0.3 < abs(ratio) < 3:
        for unit, factor in FORCES.items():
            if 0.5 < abs(ratio) * factor / FORCES[units["forces"]] < 2:
                raise UserError(
                    f"{path}: forces look like {unit}, not {units['forces']} (their work is {abs(ratio):.2g} "
                    f"times the energy drop between geometries); {mend('forces', unit)}"
                )
    elif ratio < -0.5:
        raise UserError(f"{path}: forces have the sign of the gradient; multiply them by -1")


def record_failure(record, error, settings, failures, stage):
    """Append a row to `failures`, or raise UserError where data.bad_structures is `refuse`."""
    if settings["bad_structures"] == "refuse":
        raise UserError(
            f"{record.where}, id {record.id}: {error}; mend or remove the frame, or set data.bad_structures to record"
        ) from error
    failures.append({"id": shown(record.id), "stage": stage, "reason": str(error)})


def shown(text):
    """A text, its strange characters escaped if it has any: tables and stores take no others."""
    return text if text.isprintable() else ascii(text)


def neighbour_ratio(records):
    """Median over atoms of the nearest-neighbour distance in sums of covalent radii.

    Atoms without a bond partner by nature (noble gases, single atoms) do not count; NaN if none is left.
    """
    ratios = [np.empty(0)]
    for record in records:
        scaled = scaled_distances(record.numbers, record.positions)
        bonding = ~np.isin(record.numbers, NOBLE)
        ratios.append(scaled.min(axis=1, initial=np.inf)[bonding])
    ratios = np.concatenate(ratios)
    ratios = ratios[np.isfinite(ratios)]
    return float(np.median(ratios)) if len(ratios) else np.nan


def energy_ratio(records):
    """Median over structures of the energy over its all-electron estimate; NaN without labels."""
    estimate = [-0.5 * EV * (np.asarray(r.numbers, dtype=float) ** 2.4).sum() for r in records]
    ratios = [scalar(r.energy) / e for r, e in zip(records, estimate) if e]
    ratios = np.array(ratios)[np.isfinite(ratios)]
    return float(np.median(ratios)) if len(ratios) else np.nan


def work_ratio(records):
    """Median ratio of the forces' work to the energy drop between consecutive geometries of a molecule.

    1 for forces that are minus the gradient of the energy, up to the error of the trapezoidal rule; geometries more
    than MAX_STEP apart do not count. NaN for fewer than MIN_PAIRS pairs, and where the middle half of them does not
    agree in the sign.
    """
    ratios = []
    for a, b in pairwise(records):
        if not (np.array_equal(a.numbers, b.numbers) and _labelled(a) and _labelled(b)):
            continue
        turn = rotation(a.positions, b.positions)
        step = centred(b.positions) @ turn - centred(a.positions)
        drop = scalar(a.energy) - scalar(b.energy)
        work = 0.5 * ((a.forces + b.forces @ turn) * step).sum()
        near = np.sqrt((step**2).mean()) < MAX_STEP
        if near and drop and np.isfinite([drop, work]).all():
            ratios.append(work / drop)
    if len(ratios) < MIN_PAIRS:
        return np.nan
    low, median, high = np.quantile(ratios, [0.25, 0.5, 0.75])
    return float(median) if low * high > 0 else np.nan


def scalar(value):
    """Float of a label, NaN where there is none or it is no number."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return np.nan


def _misfit(record):
    """Why a record is no structure at all, empty if it is one."""
    count, shape = len(record.numbers), np.shape(record.positions)
    if not count:
        return "has no atom"
    if shape != (count, 3):
        return f"has {count} atoms and positions of shape {shape}"
    outside = [int(z) for z in record.numbers if not 0 <= z < len(chemical_symbols)]
    return f"there is no element with Z = {outside[0]}" if outside else ""


def _labelled(record):
    """Whether a record has an energy and a force for every atom."""
    return record.energy is not None and np.shape(record.forces) == np.shape(record.positions)


def _whole(value, name):
    number = scalar(value)
    if not number.is_integer():
        raise ValueError(f"{name} is {value}, not a whole number")
    return int(number)
