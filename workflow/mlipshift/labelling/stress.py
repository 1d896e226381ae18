"""Geometries of the stress set: where universal potentials are known to fail, at forces that still mean something.

Beside dynamics and normal modes of `sampling`: bonds pulled apart, molecules pressed together, hot conformers, and
structures taken over from the embedded benchmark.
"""

import itertools
import re
from collections.abc import Iterator
from typing import Any, cast

import numpy as np
from ase import Atoms
from ase.data import vdw_radii
from scipy.spatial.transform import Rotation

from mlipshift.base.errors import UserError
from mlipshift.base.geometry import bonds, centred, nearest
from mlipshift.labelling import sampling
from mlipshift.prior.engines import tblite

MAX_PRIOR_FORCE = 9.0  # eV/Å on an atom in GFN2-xTB; a label may reach 10
CLOSEST = 0.55  # in sums of covalent radii; curation refuses less than 0.4
NOISE = 0.03  # Å, on every coordinate of a stretched molecule
ATTEMPTS = 60  # per structure
APPROACH = 0.01  # Å, step in which molecules are brought together


def plan(text: str) -> list[tuple[str, int, int]]:
    """Protocol, its number (K or percent) and count of every item `md300:2`; benchmark ids are no items."""
    items = []
    for item in text.split():
        if "/" in item:
            continue
        match = re.fullmatch(r"(md|modes|conf|stretch|press)(\d+):(\d+)", item)
        if not match:
            raise UserError(f"{item!r} is no sampling plan; write md300:2, modes, conf, stretch or press")
        items.append((match[1], int(match[2]), int(match[3])))
    return items


def stretched(atoms: Atoms, bond: tuple[int, int], percent: int, rng: np.random.Generator) -> np.ndarray:
    """Positions [n, 3] (Å) with the `bond` at `percent` of its length, both sides rigid but for NOISE.

    Raises UserError if the bond is missing or in a ring.
    """
    pairs = bonds(atoms.numbers, atoms.positions) - {tuple(sorted(bond))}
    side, grown = {bond[1]}, True
    while grown:
        more = {k for pair in pairs if side & set(pair) for k in pair}
        grown = not more <= side
        side |= more
    if bond[0] in side or len(pairs) == len(bonds(atoms.numbers, atoms.positions)):
        raise UserError(f"{atoms.get_chemical_formula()}: atoms {bond[0]} and {bond[1]} share no bond that can be cut")
    positions = atoms.positions.copy()
    positions[sorted(side)] += (percent / 100 - 1) * (positions[bond[1]] - positions[bond[0]])
    return positions + rng.normal(scale=NOISE, size=positions.shape)


def pressed(parts: list[Atoms], percent: int, rng: np.random.Generator) -> np.ndarray:
    """Positions [n, 3] (Å) of two molecules in random orientation, brought together along a random direction.

    Their closest contact is `percent` of the sum of the van der Waals radii.
    """
    first, second = (Rotation.random(random_state=rng).apply(centred(p.positions)) for p in parts)
    radii = [vdw_radii[p.numbers] for p in parts]
    direction = rng.normal(size=3)
    direction /= np.linalg.norm(direction)
    apart = np.ptp(first, axis=0).max() + np.ptp(second, axis=0).max() + 6.0
    for distance in np.arange(apart, 0, -APPROACH):
        moved = second + distance * direction
        contacts = np.linalg.norm(first[:, None] - moved[None], axis=-1) / (radii[0][:, None] + radii[1])
        if contacts.min() <= percent / 100:
            break
    return np.concatenate([first, moved])


class _Sampler:
    """Streams of candidate positions of one row of the molecule table, by protocol."""

    def __init__(self, row: dict[str, str], cage: Atoms | None, root: int):
        self.smiles, self.root = row["smiles"], root
        self.charge, self.multiplicity = int(row["charge"]), int(row["multiplicity"])
        self.bond = cast(tuple[int, int], tuple(int(k) for k in row["bond"].split("-"))) if row["bond"] else None
        parts = [cage] if cage else [sampling.embed(s, root) for s in self.smiles.split(".")]
        self.parts = [sampling.relax(part, self.charge, self.multiplicity) for part in parts]
        self.start = self._with_calculator(sum(self.parts[1:], self.parts[0].copy()))
        self.reference = set()
        offset = 0
        for part in self.parts:
            self.reference |= {(i + offset, j + offset) for i, j in bonds(part.numbers, part.positions)}
            offset += len(part)
        self.modes: tuple[np.ndarray, np.ndarray] | None = None

    def _with_calculator(self, atoms: Atoms) -> sampling.Molecule:
        molecule = sampling.Molecule(atoms)
        molecule.calc = tblite.ase_calculator("GFN2-xTB", self.charge, self.multiplicity)
        return molecule

    def stream(self, protocol: str, value: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
        if protocol == "md":
            return sampling.dynamics(self.start, value, rng)
        if protocol == "modes":
            self.modes = self.modes or sampling.normal_modes(self.start)
            energies, modes = self.modes
            return (sampling.displace(self.start, energies, modes, value, rng) for _ in itertools.count())
        if protocol == "conf":
            return self._conformers(value, rng)
        if protocol == "stretch":
            assert self.bond is not None
            bond = self.bond
            return (stretched(self.start, bond, value, rng) for _ in itertools.count())
        return (pressed(self.parts, value, rng) for _ in itertools.count())

    def _conformers(self, temperature: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
        while True:
            conformer = sampling.embed(self.smiles, int(rng.integers(2**31)))
            conformer = sampling.relax(conformer, self.charge, self.multiplicity)
            yield next(sampling.dynamics(self._with_calculator(conformer), temperature, rng))

    def fits(self, positions: np.ndarray) -> bool:
        """Whether the bonds are as meant, no atoms too close, and the forces of GFN2-xTB within the limit."""
        twin = self.start.copy()
        twin.positions = positions
        pulled = {tuple(sorted(self.bond))} if self.bond else set()
        if bonds(twin.numbers, twin.positions) - pulled != self.reference - pulled:
            return False
        if nearest(twin.numbers, positions)[1].min() < CLOSEST:
            return False
        twin.calc = self.start.calc
        try:
            forces = twin.get_forces()
        except Exception:  # tblite raises its own errors and ASE's when the charges do not converge
            return False
        return bool(np.linalg.norm(forces, axis=1).max() < MAX_PRIOR_FORCE)


def sample(row: dict[str, str], cages: dict[str, Atoms], benchmark: dict[str, Atoms], seed: int) -> list[Atoms]:
    """Structures of one row of the molecule table: those of the benchmark first, then those of its plan.

    row: name, smiles (empty: the start is the one of `cages` with this name), charge, multiplicity, group, role, bond
    ("0-1" where the plan stretches one) and plan (`md300:2`, ..., ids of `benchmark`); where there is a seed_name,
    random numbers are made from it instead of the name. Positions are rounded to 1e-8 Å.
    Raises UserError when a plan cannot be followed.
    """
    key = f"{row['group']}/{row['name']}"
    common: dict[str, Any] = {"group": row["group"], "molecule": row["name"], "role": row["role"]}
    common |= {"charge": int(row["charge"]), "multiplicity": int(row["multiplicity"])}
    frames = []

    def add(name: str, numbers: np.ndarray, positions: np.ndarray, protocol: str) -> None:
        atoms = Atoms(numbers, np.round(positions, 8))
        atoms.info = {"id": name, **common, "protocol": protocol}
        frames.append(atoms)

    for name in (item for item in row["plan"].split() if "/" in item):
        if name not in benchmark:
            raise UserError(f"{key}: {name} is no structure of the embedded benchmark")
        add(name, benchmark[name].numbers, benchmark[name].positions, benchmark[name].info["protocol"])
    items = plan(row["plan"])
    if not items:
        return frames
    root = sampling.molecule_seed(f"{row['group']}/{row.get('seed_name') or row['name']}", seed)
    sampler = _Sampler(row, None if row["smiles"] else cages[row["name"]], root)
    number = itertools.count()
    for k, (protocol, value, count) in enumerate(items):
        stream = sampler.stream(protocol, value, np.random.default_rng([root, k]))
        accepted = filter(sampler.fits, itertools.islice(stream, ATTEMPTS * count))
        found = list(itertools.islice(accepted, count))
        if len(found) < count:
            raise UserError(f"{key}: {protocol}{value} gives no acceptable structure in {ATTEMPTS * count} attempts")
        for positions in found:
            add(f"{key}/{next(number):02d}", sampler.start.numbers, centred(positions), f"{protocol}{value}")
    return frames
