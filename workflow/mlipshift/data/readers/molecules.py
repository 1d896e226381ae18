"""Which structures are the same molecule, where their file does not say it: isomers are different molecules.

SMILES decide where there are any, the bonds otherwise. What is bonded follows from distances in sums of covalent radii;
metals have no bonds here and a hydrogen atom has one, so that neither coordination nor a shared proton makes a molecule
of its own. Graphs are compared by colour refinement (Weisfeiler & Leman 1968) that starts from elements and topological
distances. A trajectory stays one molecule, whatever its bonds do on the way.
"""

import hashlib
from collections import Counter, OrderedDict
from collections.abc import Iterable

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols, covalent_radii
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components, shortest_path

from mlipshift.base.geometry import centred, pairs, rotation
from mlipshift.data.smiles import canonical

BONDED = 1.3  # sums of covalent radii; hot C-H bonds reach 1.2
NEAR = (
    1.4  # up to here a bond may be stretched; the diagonal of a ring of four is at 1.3, second neighbours else at 1.6
)
STEP = 0.5  # Å that no atom exceeds between frames of one trajectory; a tautomer's hydrogen does
NONMETALS = np.array([1, 2, *range(5, 11), *range(14, 19), *range(32, 37), *range(51, 55), 85, 86])
RING = 60  # atoms up to which topological distances are a part of the colour; refinement alone confuses ring systems
KEPT = 1024  # structures that are remembered to compare with, per run and per file


def formula(numbers: Iterable[int]) -> str:
    """Hill formula of atomic numbers, X for what is none."""
    return Atoms([z if 0 <= z < len(chemical_symbols) else 0 for z in map(int, numbers)]).get_chemical_formula()


class Molecules:
    """Names of the molecules of all files of a run: the formula, for isomers that come later formula-2, formula-3."""

    def __init__(self) -> None:
        self.named: dict[tuple[str, bytes], str] = {}  # of a formula and a graph
        self.smiles: dict[tuple[str, str], str] = {}  # of a formula and a canonical SMILES
        self.taken: set[str] = set()  # names that a SMILES has
        self.counts: Counter[str] = Counter()
        self.seen: _Recent = _Recent()  # (numbers, bonds) -> name
        self.forms: _Recent = _Recent()  # numbers -> [(name, bonds, near pairs)]

    def new(self, formula: str) -> str:
        """Name of a further molecule of that formula."""
        self.counts[formula] += 1
        return formula if self.counts[formula] == 1 else f"{formula}-{self.counts[formula]}"


class File:
    """The molecules of one file, whose structures come one after the other."""

    def __init__(self, molecules: Molecules):
        self.all, self.last = molecules, _Recent()  # numbers -> (name, positions)

    def name(self, numbers: np.ndarray, positions: np.ndarray, smiles: str = "", periodic: bool = False) -> str:
        """Name of the molecule of a structure.

        numbers [n]; positions [n, 3] Å; smiles: empty where there is none; periodic: a crystal is called by its
        formula alone.
        """
        plain = formula(numbers)
        whole = len(numbers) and np.shape(positions) == (len(numbers), 3) and np.isfinite(positions).all()
        if periodic or not whole or not ((numbers > 0) & (numbers < len(covalent_radii))).all():
            return plain
        text = canonical(smiles)
        if not text:
            return self._by_bonds(plain, numbers, positions)
        known = self.all.smiles
        if (plain, text) not in known:
            name = self._by_bonds(plain, numbers, positions)
            # stereoisomers have the same bonds
            known[plain, text] = self.all.new(plain) if name in self.all.taken else name
            self.all.taken.add(known[plain, text])
        return known[plain, text]

    def _by_bonds(self, plain, numbers, positions):
        atoms = np.asarray(numbers, dtype=np.int16).tobytes()
        before = self.last.get(atoms)
        bonds, near = _bonds(numbers, positions)
        if before is not None and _is_next(before[1], positions):
            name = before[0]
        else:
            name = self.all.seen.get((atoms, bonds.tobytes())) or self._other(plain, atoms, numbers, bonds, near)
        if self.all.seen.get((atoms, bonds.tobytes())) is None:
            self.all.seen.put((atoms, bonds.tobytes()), name)
        self.last.put(atoms, (name, np.array(positions, dtype=float)))
        return name

    def _other(self, plain, atoms, numbers, bonds, near):
        """Name of bonds that have not been seen of these atoms: of its graph, of what it is stretched from, or new."""
        graph = fingerprint(numbers, bonds)
        name = self.all.named.get((plain, graph))
        forms = self.all.forms.get(atoms) or []
        if name is None:
            name = next((known for known, *form in forms if _alike(len(numbers), form, (bonds, near))), None)
        if name is None:
            name = self.all.named[plain, graph] = self.all.new(plain)
        self.all.forms.put(atoms, [*forms[-7:], (name, bonds, near)])
        return name


class _Recent(OrderedDict):
    """The KEPT entries that were used last."""

    def get(self, key, default=None):
        if key not in self:
            return default
        self.move_to_end(key)
        return self[key]

    def put(self, key, value):
        self[key] = value
        self.move_to_end(key)
        if len(self) > KEPT:
            self.popitem(last=False)


def fingerprint(numbers: np.ndarray, bonds: np.ndarray) -> bytes:
    """Hash of a molecular graph that does not depend on the order of its atoms; numbers [n], bonds [b, 2], i < j."""
    count = len(numbers)
    neighbours: list[list[int]] = [[] for _ in range(count)]
    for i, j in bonds.tolist():
        neighbours[i].append(j)
        neighbours[j].append(i)
    colours = [_hash([z]) for z in numbers.tolist()]
    if count <= RING:
        matrix = csr_matrix((np.ones(len(bonds)), bonds.T), shape=(count, count))
        distance = shortest_path(matrix, directed=False, unweighted=True)
        colours = [
            _hash([z, *sorted(zip(row, numbers.tolist()))]) for z, row in zip(numbers.tolist(), distance.tolist())
        ]
    classes = len(set(colours))
    while True:
        colours = [_hash([colours[i], *sorted(colours[j] for j in near)]) for i, near in enumerate(neighbours)]
        if len(set(colours)) == classes:
            return _hash(sorted(colours))
        classes = len(set(colours))


def _hash(items: Iterable) -> bytes:
    return hashlib.blake2b(repr(list(items)).encode(), digest_size=8).digest()


def _bonds(numbers, positions):
    """(bonds [b, 2], pairs that are near enough to be one [p, 2]), i < j."""
    radii = covalent_radii[numbers]
    light = np.isin(numbers, NONMETALS)
    i, j = pairs(np.asarray(positions, dtype=float), 2 * NEAR * radii.max())
    scaled = np.linalg.norm(positions[i] - positions[j], axis=1) / (radii[i] + radii[j])
    keep = (scaled < NEAR) & light[i] & light[j]
    i, j, scaled = i[keep], j[keep], scaled[keep]
    nearest = np.full(len(numbers), np.inf)
    np.minimum.at(nearest, i, scaled)
    bonded = (scaled < BONDED) & (i < j)
    for end in (i, j):
        bonded &= (numbers[end] != 1) | (scaled <= nearest[end])
    pair = np.stack([i, j], axis=1)
    return pair[bonded], pair[i < j]


def _is_next(before, positions):
    """Whether no atom is further than STEP from where it was, rotation aside."""
    move = centred(positions) - centred(before)
    if (move**2).sum(axis=1).max() < STEP**2:
        return True
    move = centred(positions) @ rotation(before, positions) - centred(before)
    return (move**2).sum(axis=1).max() < STEP**2


def _alike(count, first, second):
    """Whether two geometries of the same atoms differ by stretched bonds alone, or one of them has come apart."""
    (bonds, near), (others, near_others) = (
        tuple(set(map(tuple, part.tolist())) for part in form) for form in (first, second)
    )
    gone, come = bonds - near_others, others - near
    if not gone and not come:
        return True
    if gone and come:
        return False
    left = second[0] if gone else first[0]
    matrix = csr_matrix((np.ones(len(left)), left.T), shape=(count, count))
    part = connected_components(matrix, directed=False)[1]
    return all(part[i] != part[j] for i, j in gone | come)
