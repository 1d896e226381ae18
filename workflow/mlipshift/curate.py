"""The border of the pipeline: structure files in, checked frames and labels in eV, Å, eV/Å out."""

import hashlib
import io
import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import ase
import numpy as np
from ase.data import chemical_symbols, covalent_radii
from ase.io import read

from mlipshift.cli import log
from mlipshift.errors import UserError
from mlipshift.frames import Frames, Labels
from mlipshift.priors import MAX_ELEMENT, MIN_DISTANCE, check_spin
from mlipshift.units import ENERGY, EV, FORCES, LENGTH

MIN_SCALED_DISTANCE = 0.4  # in sums of covalent radii; the shortest bonds of hot molecules are at 0.7
NOBLE = (2, 10, 18, 36, 54, 86)
TOLERANCE = 0.15  # relative, for naming the unit that an energy is in
MIN_PAIRS = 8  # pairs of geometries below which force units are not judged


@dataclass(frozen=True)
class Record:
    """One frame as it stands in a file, in the file's units; where: file, number and line for messages."""

    id: str
    group: str
    where: str
    atoms: ase.Atoms
    energy: float | None
    forces: np.ndarray | None


def verify_checksums(files, sums):
    """Compare every file with its line in `sums` (format of sha256sum, paths relative to its folder).

    Raises UserError for an unreadable line, a file that is not listed, and a difference.
    """
    sums = Path(sums)
    if not sums.is_file():
        raise UserError(
            f"{sums}: no such file; put it there, or set data.checksums to null to skip the check"
        )
    listed = {}
    for number, line in enumerate(sums.read_text().splitlines(), 1):
        if not line.strip():
            continue
        match = re.fullmatch(r"([0-9a-fA-F]{64}) [ *](.+)", line)
        if not match:
            raise UserError(f"{sums}, line {number}: not a line of sha256sum; write it anew with sha256sum")
        listed[(sums.parent / match[2]).resolve()] = match[1].lower()
    for path in map(Path, files):
        again = f"(cd {sums.parent} && sha256sum *.extxyz > {sums.name})"
        if path.resolve() not in listed:
            raise UserError(f"{path}: not listed in {sums}; add it, {again}, or set data.checksums to null")
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        expected = listed[path.resolve()]
        if found != expected:
            raise UserError(
                f"{path}: sha256 is {found}, {sums} expects {expected}; fetch the file again, or accept "
                f"the change: {again}"
            )


def read_file(path, group, keys):
    """Records of one extxyz file.

    keys: {"energy", "forces"}. Raises UserError with file, frame and line for a missing, empty, damaged or
    truncated file.
    """
    try:
        lines = Path(path).read_text().splitlines()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; correct data.files.{group} or put the file there") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: not a text file; data.files takes extended XYZ") from None
    records, at = [], 0
    while at < len(lines) and any(line.strip() for line in lines[at:]):
        where = f"{path}, frame {len(records)} (line {at + 1})"
        if not re.fullmatch(r"\s*\d+\s*", lines[at]):
            raise UserError(f"{where}: expected the number of atoms, found {lines[at][:40]!r}; mend the file")
        count = int(lines[at])
        found = len(lines) - at - 2
        if found < count:
            raise UserError(f"{where}: the file ends after {max(found, 0)} of {count} atoms; fetch it again")
        records.append(
            _record("\n".join(lines[at : at + 2 + count]) + "\n", path, group, where, len(records), keys)
        )
        at += 2 + count
    if not records:
        raise UserError(
            f"{path}: no structure in it; put extended-XYZ frames there or leave it out of data.files.{group}"
        )
    return records


def _record(text, path, group, where, index, keys):
    try:
        atoms = read(io.StringIO(text), format="extxyz")
    except Exception as error:  # ASE raises many kinds for a damaged frame
        raise UserError(f"{where}: damaged, {error}; fetch the file again or mend the frame") from error
    # ASE moves labels with its own names ("energy", "forces") into a calculator
    results = atoms.calc.results if atoms.calc else {}
    energy = atoms.info.get(keys["energy"], results.get(keys["energy"]))
    forces = atoms.arrays.get(keys["forces"], results.get(keys["forces"]))
    name = str(atoms.info.get("id", f"{group}/{Path(path).stem}/{index:05d}"))
    return Record(name, group, where, atoms, energy, forces)


def check_units(path, records, units):
    """Raise UserError naming the unit that a file seems to be in when it is not the declared one.

    Lengths are judged by nearest neighbours, energies by the all-electron total energy -0.5 Z^2.4 hartree per
    atom, forces by the energy differences between geometries. Only a clear match with another unit is
    an error; energies of formation match none.
    """
    ratio = neighbour_ratio(records) * LENGTH[units["length"]]
    if not 0.7 < ratio < 1.5:
        for unit, factor in LENGTH.items():
            if 0.8 < ratio * factor / LENGTH[units["length"]] < 1.4:
                raise UserError(
                    f"{path}: positions look like {unit}, not {units['length']} (nearest neighbours are at "
                    f"{ratio:.2g} times the sum of covalent radii); set data.units.length to {unit} or "
                    "convert the file"
                )
    ratio = energy_ratio(records) * ENERGY[units["energy"]]
    if not abs(ratio - 1) < TOLERANCE:
        for unit, factor in ENERGY.items():
            if abs(ratio * factor / ENERGY[units["energy"]] - 1) < TOLERANCE:
                raise UserError(
                    f"{path}: energies look like {unit}, not {units['energy']} ({ratio:.3g} times the total "
                    f"energy of the atoms); set data.units.energy to {unit} or convert the file"
                )
    ratio = work_ratio(records) * FORCES[units["forces"]] * LENGTH[units["length"]] / ENERGY[units["energy"]]
    if not 0.3 < abs(ratio) < 3:
        for unit, factor in FORCES.items():
            if 0.5 < abs(ratio) * factor / FORCES[units["forces"]] < 2:
                raise UserError(
                    f"{path}: forces look like {unit}, not {units['forces']} (their work is {abs(ratio):.2g} "
                    f"times the energy drop between geometries); set data.units.forces to {unit} or convert "
                    "the file"
                )
    elif ratio < -0.5:
        raise UserError(f"{path}: forces have the sign of the gradient; multiply them by -1")


def neighbour_ratio(records):
    """Median over atoms of the nearest-neighbour distance in sums of covalent radii, in the file's unit.

    Atoms without a bond partner by nature (noble gases, single atoms) do not count; NaN if none is left.
    """
    ratios = []
    for record in records:
        scaled = scaled_distances(record.atoms.numbers, record.atoms.positions)
        bonding = ~np.isin(record.atoms.numbers, NOBLE)
        ratios.append(scaled.min(axis=1, initial=np.inf)[bonding])
    ratios = np.concatenate(ratios)
    ratios = ratios[np.isfinite(ratios)]
    return float(np.median(ratios)) if len(ratios) else np.nan


def energy_ratio(records):
    """Median over frames of energy (file's unit) over all-electron estimate (eV); NaN without labels."""
    estimate = [-0.5 * EV * (r.atoms.numbers.astype(float) ** 2.4).sum() for r in records]
    ratios = [_scalar(r.energy) / e for r, e in zip(records, estimate) if e]
    ratios = np.array(ratios)[np.isfinite(ratios)]
    return float(np.median(ratios)) if len(ratios) else np.nan


def work_ratio(records):
    """Median ratio of the forces' work to the energy drop between consecutive geometries of a molecule.

    In the file's units; 1 for forces that are minus the gradient of the energy, whatever the noise of the
    trapezoidal rule over large steps. NaN for fewer than MIN_PAIRS pairs.
    """
    ratios = []
    for a, b in pairwise(records):
        if not (np.array_equal(a.atoms.numbers, b.atoms.numbers) and labelled(a) and labelled(b)):
            continue
        turn = rotation(a.atoms.positions, b.atoms.positions)
        step = centred(b.atoms.positions) @ turn - centred(a.atoms.positions)
        drop = _scalar(a.energy) - _scalar(b.energy)
        work = 0.5 * ((a.forces + b.forces @ turn) * step).sum()
        if drop and np.isfinite([drop, work]).all():
            ratios.append(work / drop)
    return float(np.median(ratios)) if len(ratios) >= MIN_PAIRS else np.nan


def centred(positions):
    """Positions [n, 3] about their mean."""
    return positions - positions.mean(axis=0)


def rotation(first, second):
    """Rotation [3, 3] that, from the right, brings `second` [n, 3] closest to `first` (Kabsch 1976)."""
    if not np.isfinite([first, second]).all():
        return np.eye(3)
    u, _, v = np.linalg.svd(centred(second).T @ centred(first))
    return u @ np.diag([1, 1, np.sign(np.linalg.det(u @ v))]) @ v


def labelled(record):
    """Whether a record has an energy and a force for every atom."""
    return (
        record.energy is not None
        and record.forces is not None
        and record.forces.shape == record.atoms.positions.shape
    )


def scaled_distances(numbers, positions):
    """Distances [n, n] in sums of covalent radii, infinite on the diagonal and where not finite."""
    distance = np.linalg.norm(positions[:, None] - positions[None], axis=-1)
    scaled = distance / (covalent_radii[numbers][:, None] + covalent_radii[numbers])
    scaled[np.diag_indices(len(numbers))] = np.inf
    return np.where(np.isfinite(scaled), scaled, np.inf)


def _scalar(value):
    """Float of a label, NaN where there is none or it is no number."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return np.nan


def convert(record, units, keys, needs_labels):
    """(row for Frames.build, (energy eV, forces [n, 3] eV/Å) or None) of a record.

    Raises ValueError with the reason when the structure cannot be used. A structure without labels is an
    error only where they are needed; half a label always is.
    """
    atoms = record.atoms
    numbers, positions = atoms.numbers, atoms.positions * LENGTH[units["length"]]
    if not len(numbers):
        raise ValueError("has no atom")
    if not np.isfinite(positions).all():
        bad = int(np.flatnonzero(~np.isfinite(positions).all(axis=1))[0])
        raise ValueError(f"position of atom {bad} ({chemical_symbols[numbers[bad]]}) is not finite")
    outside = [z for z in numbers if not 1 <= z <= MAX_ELEMENT]
    if outside:
        raise ValueError(
            f"element {chemical_symbols[outside[0]]} (Z = {outside[0]}) is outside GFN-xTB, which covers "
            f"Z = 1 to {MAX_ELEMENT}"
        )
    if atoms.pbc.any():
        raise ValueError('is periodic, but only isolated molecules are supported (pbc="F F F")')
    _check_overlap(numbers, positions)
    charge = _whole(atoms.info.get("charge", 0), "charge")
    electrons = int(numbers.sum()) - charge
    multiplicity = _whole(atoms.info.get("multiplicity", 1 + electrons % 2), "multiplicity")
    check_spin(numbers, charge, multiplicity)
    row = {
        "id": record.id,
        "group": record.group,
        "molecule": atoms.info.get("molecule", atoms.get_chemical_formula()),
        "numbers": numbers,
        "positions": positions,
        "charge": charge,
        "multiplicity": multiplicity,
    }
    return row, _label(record, units, keys, needs_labels)


def _check_overlap(numbers, positions):
    scaled = scaled_distances(numbers, positions)
    distance = scaled * (covalent_radii[numbers][:, None] + covalent_radii[numbers])
    close = np.argwhere((scaled < MIN_SCALED_DISTANCE) | (distance < MIN_DISTANCE))
    if len(close):
        i, j = close[0]
        pair = f"{i} ({chemical_symbols[numbers[i]]}) and {j} ({chemical_symbols[numbers[j]]})"
        raise ValueError(f"atoms {pair} lie on top of each other, {distance[i, j]:.3f} Å apart")


def _label(record, units, keys, needed):
    missing = [
        key
        for key, value in ((keys["energy"], record.energy), (keys["forces"], record.forces))
        if value is None
    ]
    if missing:
        if len(missing) == 2 and not needed:
            return None
        found = sorted(
            {
                *record.atoms.info,
                *record.atoms.arrays,
                *(record.atoms.calc.results if record.atoms.calc else {}),
            }
        )
        raise ValueError(f"has no label {' and '.join(missing)} (data.keys); its keys are {', '.join(found)}")
    energy = _scalar(record.energy) * ENERGY[units["energy"]]
    forces = np.asarray(record.forces)
    if not np.isfinite(energy):
        raise ValueError(f"{keys['energy']} is {record.energy}, not a finite number")
    if forces.shape != record.atoms.positions.shape or not np.issubdtype(forces.dtype, np.number):
        raise ValueError(f"{keys['forces']} does not have three numbers per atom")
    if not np.isfinite(forces).all():
        raise ValueError(f"{keys['forces']} is not finite")
    return energy, forces * FORCES[units["forces"]]


def _whole(value, name):
    number = _scalar(value)
    if not number.is_integer():
        raise ValueError(f"{name} is {value}, not a whole number")
    return int(number)


def curate(settings):
    """All groups of the configuration section `data`.

    Returns ((Frames, Labels) of group "train", (Frames, Labels) of all other groups in order, failure rows).
    A test structure without a label has ok = False. Raises UserError for what the user must mend.
    """
    files = [path for group in settings["files"].values() for path in group]
    for path in files:
        if not Path(path).is_file():
            group = next(g for g, paths in settings["files"].items() if path in paths)
            raise UserError(f"{path}: no such file; correct data.files.{group} or put the file there")
    if settings["checksums"]:
        verify_checksums(files, settings["checksums"])
    rows, labels, failures, seen = {True: [], False: []}, {True: [], False: []}, [], {}
    for group, paths in settings["files"].items():
        records = []
        for path in paths:
            part = read_file(path, group, settings["keys"])
            check_units(path, part, settings["units"])
            records += part
        training = group == "train"
        before = len(rows[training])
        for record in records[: settings["max_structures_per_group"]]:
            if record.id in seen:
                raise UserError(
                    f"{record.where}: id {record.id!r} was already used in {seen[record.id]}; give unique ids"
                )
            seen[record.id] = record.where
            try:
                row, label = convert(record, settings["units"], settings["keys"], training)
            except ValueError as error:
                if settings["bad_structures"] == "refuse":
                    raise UserError(
                        f"{record.where}, id {record.id}: {error}; mend or remove the frame, or set "
                        "data.bad_structures to record"
                    ) from error
                failures.append({"id": record.id, "stage": "curate", "reason": str(error)})
                continue
            rows[training].append(row)
            labels[training].append(label)
        log.info("%s: %d structures", group, len(rows[training]) - before)
    if not rows[True]:
        raise UserError("data.files.train: no usable structure; the failure table has the reasons")
    stores = []
    for training in (True, False):
        frames = Frames.build(rows[training])
        stores.append((frames, Labels.build(frames, labels[training], "reference")))
    return *stores, failures
