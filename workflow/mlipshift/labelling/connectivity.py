"""Structures whose radius graphs differ: chains, cages, macrocycles, dissociating dimers, clusters and ordinary ones.

Conformers of RDKit, relaxed with MMFF94 (UFF where that lacks parameters), are displaced along the normal modes of that
force field as heat would, so that thousands of structures take minutes. No tight binding is involved: that is what
labels them.
"""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from ase import Atoms
from scipy.spatial.transform import Rotation

from mlipshift.base.errors import UserError
from mlipshift.base.geometry import bonds, centred, nearest
from mlipshift.labelling import force_field, sampling, stress

TEMPERATURES = 300.0, 900.0  # K, of the displacements, evenly distributed
PER_START = 2  # geometries of one conformer or arrangement
CLOSEST = 0.6  # in sums of covalent radii
ATTEMPTS = 30  # per geometry
CONTACT = 105  # % of the van der Waals radii at which molecules are put beside each other before they relax
COILS = 4  # conformers of a chain of which the most compact one is taken
GAPS = 3.0, 9.0  # Å, shortest distance of two molecules along the path of their dissociation
SPREAD = 1.15, 1.8  # by which the distances of molecules in an expanded cluster are multiplied

# groups of training molecules whose geometries are scaled as a whole, bonds and all
SCALED = {"ood_shrunken": 0.95, "ood_swollen": 1.06}
OF_TRAINING = ("id_test", *SCALED)
# how a molecule of the table is made; parts of a SMILES are put into contact, on a path apart, or into a cluster
FORMS = ("molecule", "chain", "contact", "apart", "cluster")


def groups_of(row: Mapping[str, str]) -> tuple[str, ...]:
    """Groups that have structures of a row of the molecule table: its own, and those made of training molecules."""
    return ("train", *OF_TRAINING) if row["group"] == "train" else (row["group"],)


def shares(rows: list[dict[str, str]], counts: Mapping[str, int]) -> list[dict[str, int]]:
    """{group: number of structures} of every row of the molecule table, as even as whole numbers allow.

    counts: {group: number of structures}. Raises UserError if a group has no row, or a row a group that is none.
    """
    members: dict[str, list[int]] = {group: [] for group in counts}
    for k, row in enumerate(rows):
        for group in groups_of(row):
            if group not in members:
                raise UserError(f"{row['name']}: no group of this benchmark is called {group!r}; correct the table")
            members[group].append(k)
    found: list[dict[str, int]] = [{} for _ in rows]
    for group, count in counts.items():
        if not members[group]:
            raise UserError(f"{group}: the table has no molecule of this group")
        for place, k in enumerate(members[group]):
            # those with one more lie all over the table, which is in an order
            found[k][group] = (place + 1) * count // len(members[group]) - place * count // len(members[group])
    return found


def _assembled(parts, rng):
    """Molecules put beside each other one by one, in random orientation, and relaxed together."""
    whole = parts[0]
    for part in parts[1:]:
        atoms = [force_field.atoms_of(whole), force_field.atoms_of(part)]
        whole = force_field.beside(whole, part, stress.pressed(atoms, CONTACT, rng))
    return force_field.relax(whole)


def _radius(atoms):
    """Root mean square distance (Å) from the centre."""
    return float(np.sqrt((centred(atoms.positions) ** 2).sum(1).mean()))


def _chain(smiles, number, root):
    """A chain, stretched out and coiled in turn."""
    if number % 2:
        seeds = range(root + number * COILS, root + (number + 1) * COILS)
        return min((force_field.relax(sampling.conformer(smiles, seed)) for seed in seeds), key=_radius)
    return force_field.relax(force_field.stretched_out(sampling.conformer(smiles, root + number)))


def _starts(row: Mapping[str, str], root: int, rng: np.random.Generator) -> Iterator[Atoms]:
    """Yield relaxed structures of a molecule, each with the calculator of its force field."""
    parts = row["smiles"].split(".")
    for number in itertools.count():
        if row["form"] == "chain":
            yield _chain(row["smiles"], number, root)
        elif row["form"] == "molecule":
            yield force_field.relax(sampling.conformer(row["smiles"], root + number))
        elif row["form"] in ("contact", "apart", "cluster"):
            # the molecules of a dimer that dissociates keep their arrangement along the path
            number = 0 if row["form"] == "apart" else number
            seeds = itertools.count(root + number * len(parts))
            yield _assembled([sampling.conformer(s, seed) for s, seed in zip(parts, seeds)], rng)
        else:
            raise UserError(f"{row['name']}: form {row['form']!r} is unknown; use {', '.join(FORMS)}")


def _fragments(pairs, atoms):
    """Number [n] of the molecule that every atom belongs to; pairs: bonds (i < j)."""
    owner = np.arange(atoms)
    for i, j in sorted(pairs):
        owner[owner == owner[j]] = owner[i]
    return np.unique(owner, return_inverse=True)[1]


def apart(positions: np.ndarray, owner: np.ndarray, gap: float) -> np.ndarray:
    """Positions [n, 3] (Å) of two molecules, moved along the line of their centres until `gap` (Å) lies between them.

    owner [n]: 0 and 1. The gap is the shortest distance of their atoms.
    """
    first, second = positions[owner == 0], positions[owner == 1]
    line = second.mean(0) - first.mean(0)
    line /= np.linalg.norm(line)
    across = second[:, None] - first[None]
    along = across @ line
    # every pair reaches the gap at a shift of its own, if it does; the largest of them keeps all pairs outside
    room = gap**2 - (across**2).sum(-1) + along**2
    shift = np.where(room > 0, np.sqrt(np.maximum(room, 0)) - along, -np.inf).max()
    moved = positions.copy()
    moved[owner == 1] += shift * line
    return moved


def expanded(positions: np.ndarray, owner: np.ndarray, factor: float) -> np.ndarray:
    """Positions [n, 3] (Å) of a cluster, the centres of its molecules (owner [n]) `factor` times as far apart."""
    moved, centre = positions.copy(), positions.mean(0)
    for k in np.unique(owner):
        moved[owner == k] += (factor - 1) * (positions[owner == k].mean(0) - centre)
    return moved


def _placed(row, positions, owner, number, count, rng):
    """(positions, protocol) of geometry `number` of `count` as the form of the row has it."""
    if row["form"] == "apart":
        gap = np.linspace(*GAPS, count)[number] if count > 1 else rng.uniform(*GAPS)
        return apart(positions, owner, gap), f"gap{gap:.1f}"
    if row["form"] == "cluster" and number % 2:
        factor = rng.uniform(*SPREAD)
        return expanded(positions, owner, factor), f"spread{factor:.2f}"
    return positions, {"cluster": "compact"}.get(row["form"], row["form"])


def _displaced(start, modes, rng):
    """Positions at a random temperature, and that (K), with the bonds of the start and no clash; None if none is."""
    reference = bonds(start.numbers, start.positions)
    for _ in range(ATTEMPTS):
        temperature = rng.uniform(*TEMPERATURES)
        positions = sampling.displace(start, *modes, temperature, rng)
        fits = nearest(start.numbers, positions)[1].min() >= CLOSEST
        if fits and bonds(start.numbers, positions) == reference:
            return positions, temperature
    return None


def structures(row: Mapping[str, str], group: str, count: int, seed: int) -> list[dict[str, Any]]:
    """`count` structures of a molecule for a group, as rows of Frames.build; their ids end with how they were made.

    row: name, form and smiles of the molecule table, the parts of which are separated by dots. What comes first stays
    the same where the count grows, but for the gaps of a dimer, which are spread evenly.
    Raises UserError when a molecule cannot be built or keeps breaking.
    """
    root = sampling.molecule_seed(f"{group}/{row['name']}", seed)
    rng = np.random.default_rng(root)
    starts, failed = _starts(row, root, rng), 0
    found: list[dict[str, Any]] = []
    common = {"group": group, "molecule": row["name"], "charge": 0, "multiplicity": 1}
    while len(found) < count:
        start = next(starts)
        modes = sampling.normal_modes(start)
        owner = _fragments(bonds(start.numbers, start.positions), len(start))
        for _ in range(min(PER_START, count - len(found))):
            name, number = f"{group}/{row['name']}", len(found)
            displaced = _displaced(start, modes, rng)
            if displaced is None:
                failed += 1
                continue
            positions, protocol = _placed(row, displaced[0], owner, number, count, rng)
            positions = Rotation.random(random_state=rng).apply(centred(positions)) * SCALED.get(group, 1.0)
            if nearest(start.numbers, positions)[1].min() < CLOSEST:
                failed += 1
                continue
            name += f"/{number:03d}/{protocol}_{displaced[1]:.0f}K"
            found.append({"id": name, "numbers": start.numbers, "positions": np.round(positions, 8), **common})
        if failed > ATTEMPTS + count:
            raise UserError(f"{row['name']}: no acceptable structure after {failed} attempts; take it out of the table")
    return found


def sample(row: Mapping[str, str], counts: Mapping[str, int], seed: int) -> list[dict[str, Any]]:
    """Structures of one row of the molecule table for all groups that have some; counts: of `shares`."""
    return [s for group, count in counts.items() for s in structures(row, group, count, seed)]
