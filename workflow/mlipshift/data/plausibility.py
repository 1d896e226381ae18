"""Whether the units of a file are plausible, judged by its first structures."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from mlipshift.base.errors import UserError
from mlipshift.base.geometry import centred, nearest, rotation
from mlipshift.base.units import ENERGY, EV, FORCES, LENGTH
from mlipshift.data.records import Record, isolated_atom, misfit, scalar

NOBLE = (2, 10, 18, 36, 54, 86)
TOLERANCE = 0.15  # relative, for naming the unit that an energy is in
MIN_PAIRS = 8  # pairs of geometries below which force units are not judged
MAX_STEP = 0.2  # Å, root mean square per coordinate; beyond it the trapezoidal rule says nothing, not even the sign
SAMPLE = 400  # structures of a file that its units are judged by
SAMPLE_ATOMS = 2**18  # atoms after which fewer of them will do, as they are in memory


def check_units(path: Path | str, records: Iterable[Record], units: dict[str, str], configured: bool) -> None:
    """Raise UserError naming the unit that a file seems to be in when it is not the declared one.

    records: the first ones of the file, periodic ones and isolated atoms do not count. units: {"energy", "length",
    "forces"} that they were converted from; configured: whether section data.units says so, not the format. Lengths
    are judged by nearest neighbours, energies by the all-electron total energy -0.5 Z^2.4 hartree per atom, forces by
    the energy differences between geometries. Only a clear match with another unit is an error; energies of formation
    match none.
    """

    def mend(kind, unit):
        if configured:
            return f"set data.units.{kind} to {unit} or convert the file"
        return f"files of this format have {units[kind]}; convert the file"

    records = [r for r in records if not np.any(r.pbc) and not misfit(r) and not isolated_atom(r)]
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


def neighbour_ratio(records: Iterable[Record]) -> float:
    """Median over atoms of the nearest-neighbour distance in sums of covalent radii.

    Atoms without a bond partner by nature (noble gases, single atoms) do not count; NaN if none is left.
    """
    ratios = [np.empty(0)]
    for record in records:
        _, scaled = nearest(record.numbers, record.positions)
        ratios.append(scaled[~np.isin(record.numbers, NOBLE)])
    ratios = np.concatenate(ratios)
    ratios = ratios[np.isfinite(ratios)]
    return float(np.median(ratios)) if len(ratios) else np.nan


def energy_ratio(records: Sequence[Record]) -> float:
    """Median over structures of the energy over its all-electron estimate; NaN without labels."""
    estimate = [-0.5 * EV * (np.asarray(r.numbers, dtype=float) ** 2.4).sum() for r in records]
    ratios = [scalar(r.energy) / e for r, e in zip(records, estimate) if e]
    ratios = np.array(ratios)[np.isfinite(ratios)]
    return float(np.median(ratios)) if len(ratios) else np.nan


def work_ratio(records: Iterable[Record]) -> float:
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


def _labelled(record):
    """Whether a record has an energy and, in numbers, a force for every atom."""
    forces = np.asarray(record.forces)
    return record.energy is not None and forces.shape == record.positions.shape and forces.dtype.kind in "fiu"
