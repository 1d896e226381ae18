"""Bonds that are compressed and stretched: structures, and the faults of an energy along them.

In the spirit of MLIP Arena (arXiv 2509.20630) and of bond-deformation scans (arXiv 2602.04861): a model that is no
smooth, single well along a bond, or whose forces are not its slope there, is not expected to hold in dynamics.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase.data import chemical_symbols

from mlipshift.simulate import grids, smoothness
from mlipshift.simulate.minima import Minimum

BONDS = "bonds"  # group of the frames
NEAR = 0.15  # of the length of a bond, from a minimum of the prior to that of a model
Bond = tuple[int, int]


def steps_between(bonds: Collection[Bond], atoms: int) -> np.ndarray:
    """Number of bonds [n, n] from atom to atom, infinite between parts of a molecule."""
    found = np.full((atoms, atoms), np.inf)
    np.fill_diagonal(found, 0.0)
    for i, j in bonds:
        found[i, j] = found[j, i] = 1.0
    for k in range(atoms):
        found = np.minimum(found, found[:, k, None] + found[None, k])
    return found


def sides(bond: Bond, steps: np.ndarray) -> np.ndarray:
    """Share [n] of a change of the bond's length by which every atom moves along it, from the first to the second atom.

    -1/2 for atoms nearer to the first one by number of bonds `steps` [n, n], 1/2 for those nearer to the second, and 0
    between: two rigid halves, also of a ring, of which a second bond is stretched as well then.
    """
    first, second = steps[bond[0]], steps[bond[1]]
    return np.where(first < second, -0.5, np.where(second < first, 0.5, 0.0))


def kinds(numbers: np.ndarray, bonds: Collection[Bond]) -> list[int]:
    """Class [n] of every atom, the same for atoms that the graph of bonds does not tell apart (colour refinement)."""
    near: list[list[int]] = [[] for _ in numbers]
    for i, j in bonds:
        near[i].append(j)
        near[j].append(i)
    colours = [int(z) for z in numbers]
    while True:
        seen = [(colours[k], tuple(sorted(colours[m] for m in near[k]))) for k in range(len(numbers))]
        order = {value: k for k, value in enumerate(sorted(set(seen)))}
        if len(order) == len(set(colours)):
            return [order[value] for value in seen]
        colours = [order[value] for value in seen]


def distinct(numbers: np.ndarray, bonds: Collection[Bond]) -> list[Bond]:
    """One bond, the first, of those between the same two classes of atoms."""
    kind = kinds(numbers, bonds)
    first: dict[tuple[int, ...], Bond] = {}
    for bond in sorted(bonds):
        first.setdefault(tuple(sorted(kind[k] for k in bond)), bond)
    return list(first.values())


def name_of(bond: Bond, numbers: np.ndarray) -> str:
    """Such as C1-H9, atoms numbered from 1."""
    return "-".join(f"{chemical_symbols[numbers[k]]}{k + 1}" for k in bond)


def chains(minimum: Minimum, bonds: Collection[Bond], ratios: Sequence[float]) -> Iterator[dict[str, Any]]:
    """Rows of Frames.build: every distinct bond at `ratios` of its length, ids MOLECULE/BOND/NUMBER."""
    steps = steps_between(bonds, len(minimum.numbers))
    for bond in distinct(minimum.numbers, bonds):
        along = minimum.positions[bond[1]] - minimum.positions[bond[0]]
        name = name_of(bond, minimum.numbers)
        share = sides(bond, steps)[:, None] * along
        for k, ratio in enumerate(ratios):
            yield grids.row(minimum, BONDS, f"{minimum.name}/{name}/{k:03d}", (ratio - 1) * share)


@dataclass(frozen=True)
class Limits:
    """What counts as a fault: jump eV; depth of a minimum eV; mismatch of the force along the chain, eV/Å and, as much
    again, `share` of the largest force of either kind at this point.
    """

    jump_eV: float
    depth_eV: float
    mismatch_eV_per_A: float
    share: float


def barrier(energy: np.ndarray, places: Sequence[int], wells: Sequence[int], near: int) -> float:
    """How far one has to climb (eV) from the bond to the next false minimum; NaN without one, 0 without a bond.

    energy [P] eV; places: points of its minima; wells, near: as in `faults`. The bond is the minimum that is next to
    the first of the wells.
    """
    false = [place for place in places if all(abs(place - well) > near for well in wells)]
    bond = min(set(places) - set(false), key=lambda place: abs(place - wells[0]), default=None)
    if bond is None:
        return 0.0
    walls = [np.nanmax(energy[min(bond, place) : max(bond, place) + 1]) for place in false]
    return float(min(walls) - energy[bond]) if walls else float("nan")


def faults(
    energy: np.ndarray, force: np.ndarray, step: float, limits: Limits, wells: Sequence[int], near: int
) -> dict[str, float | int | bool]:
    """Faults of an energy [P] (eV) with the forces along a chain [P] (eV/Å), whose points are `step` (Å) of it apart.

    wells: points of the minima that are none of the faults, those of the prior; near: points from one of them within
    which a minimum is taken for it. False minima are those elsewhere, and those that are one too many. `sound` without
    any fault; a point without an energy is one. Forces are not compared where the energy jumps.
    """
    leaps = smoothness.jumps(energy)
    found = smoothness.discontinuities(leaps, limits.jump_eV)
    gaps = smoothness.mismatch(energy, force, step)
    slope = np.maximum(np.abs(force[1:-1]), np.abs(energy[2:] - energy[:-2]) / (2 * step))
    broken = np.abs(np.nan_to_num(leaps)) > limits.jump_eV
    beside = broken[:-1] | broken[1:]
    wrong = (np.abs(gaps) > limits.mismatch_eV_per_A + limits.share * slope) & ~beside
    missing = int((~np.isfinite(energy)).sum())
    places = smoothness.minima(energy, limits.depth_eV)
    elsewhere = sum(all(abs(place - well) > near for well in wells) for place in places)
    false = max(elsewhere, len(places) - len(wells))
    return {
        "jumps": len(found),
        "largest_jump_eV": smoothness.largest(found, [leaps]),
        "false_minima": false,
        "barrier_eV": barrier(energy, places, wells, near) if places else float("nan"),
        "wrong_forces": int(wrong.sum()),
        "force_mismatch_eV_per_A": float(np.sqrt(np.nanmean(gaps**2))) if np.isfinite(gaps).any() else float("nan"),
        "missing": missing,
        "sound": not (broken.any() or false or wrong.any() or missing),
    }
