"""Structures that occur more than once, within a group or in several: the same up to rotation, translation, the order
of the atoms and rounding.

Two structures are the same if they have the same elements, charge and multiplicity and if their sorted distances agree
within TOLERANCE: those between atoms closer than REACH, by pair of elements, and, for molecules, those from the centre.
Geometries of FEW_ATOMS agree by chance, so that their energies have to agree as well, and where these are not known
positions that are rounded less. Mirror images are the same: no energy and no force tells them apart, and neither does
a model that is equivariant. Memory does not grow with the number of structures, and time per structure hardly; what is
needed of them is in a temporary file.
"""

import hashlib
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mlipshift.base.geometry import centred, edges, pairs

if TYPE_CHECKING:
    import pandas as pd

# Å, root mean square and largest; positions rounded to 0.001 Å change distances by 0.0004 and by 0.0017 at most
TOLERANCE = 8e-4, 2e-3
FEW_ATOMS, SAME_ENERGY = 4, 1e-5  # eV
REACH = 6.0  # Å
DESCRIPTORS, PLACED = 24, 8  # numbers that a structure is looked up by; those that give it a place in grids
NEAR = 3e-3  # Å, by which these numbers of two equal structures differ at most
PIECE = 1 << 14  # distances of a structure whose signs are in memory at a time
NEARER = 2e-4  # Å, instead of NEAR for few atoms without an energy
# each number is cut apart by one of so many shifted grids at most, as wide as that times what equal ones differ by:
# one is left that keeps two together
GRIDS = np.arange(PLACED + 1)[:, None]
CENTRAL = 1 << 14  # kind of a distance from the centre, beyond all pairs of elements
DUPLICATES = ["id", "group", "same_as", "same_as_group", "largest_difference_A", "energy_difference_eV"]
COUNTS = ["group", "also_in", "n_structures", "n_of"]


def distances(
    numbers: np.ndarray, positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(kinds [D], distances [D] Å) sorted by kind, a pair of elements or an element and the centre, and distance.

    numbers [n]; positions [n, 3] Å; cell [3, 3] Å; pbc [3]. Of periodic structures those below REACH alone.
    """
    z = np.asarray(numbers, dtype=np.int64)
    if np.any(pbc):
        i, j, _, length = edges(positions, cell, pbc, REACH)
        extra = np.empty(0, dtype=np.int64), np.empty(0)
    else:
        i, j = pairs(positions, REACH)
        i, j = i[i < j], j[i < j]
        length = np.linalg.norm(positions[i] - positions[j], axis=1)
        extra = CENTRAL + z, np.linalg.norm(centred(positions), axis=1)
    kinds = np.concatenate([128 * np.minimum(z[i], z[j]) + np.maximum(z[i], z[j]), extra[0]])
    length = np.concatenate([length, extra[1]])
    order = np.lexsort((length, kinds))
    return kinds[order], length[order]


def descriptors(kinds: np.ndarray, length: np.ndarray) -> np.ndarray:
    """Numbers [DESCRIPTORS] (Å) of sorted distances, which rounding of the positions changes by less than NEAR.

    Sums of a function of the distance that vanishes at REACH, the sign of each given by its kind and its rank within,
    over the root of their number: errors of rounding add up to the same whatever that is. Sums that know no rank would
    feel, near a symmetric geometry, nothing but its symmetric distortions.
    """
    near = kinds < CENTRAL
    kinds, length = kinds[near], length[near]
    if not len(kinds):
        return np.zeros(DESCRIPTORS)
    rank = np.arange(len(kinds)) - np.searchsorted(kinds, kinds)
    smooth, phase, total = (1 - length / REACH) ** 2, 1 + 0.37 * kinds + 1.7 * rank, np.zeros(DESCRIPTORS)
    for start in range(0, len(phase), PIECE):
        piece = slice(start, start + PIECE)
        sign = np.sign(np.cos(np.arange(1, DESCRIPTORS + 1)[:, None] * phase[piece]))
        total += sign @ smooth[piece]
    return total * (REACH / 2) / np.sqrt(smooth.sum())


def difference(first: tuple[np.ndarray, np.ndarray], second: tuple[np.ndarray, np.ndarray]) -> tuple[float, float]:
    """(root mean square, largest) difference (Å) of the sorted distances of two structures.

    Infinite where they are of other kinds. What lies on the far side of REACH in one of them alone does not count.
    """
    found = [np.zeros(1)]
    for kind in np.union1d(first[0], second[0]):
        a, b = (length[kinds == kind] for kinds, length in (first, second))
        shared = min(len(a), len(b))
        beyond = np.concatenate([a[shared:], b[shared:]])
        if len(beyond) and (kind >= CENTRAL or beyond.min() < REACH - TOLERANCE[1]):
            return np.inf, np.inf
        found.append(np.abs(a[:shared] - b[:shared]))
    joined = np.concatenate(found)
    return float(np.sqrt((joined**2).sum() / max(len(joined) - 1, 1))), float(joined.max())


class Duplicates:
    """Finds, among the structures that are added one by one, those that were there before; iterates over their rows."""

    def __init__(self) -> None:
        # an empty name is a private database on disk that SQLite deletes itself
        self.table = sqlite3.connect("", isolation_level=None)
        self.table.execute("PRAGMA journal_mode = OFF")
        self.table.execute("CREATE TABLE first (number INTEGER PRIMARY KEY, id, grp, energy, numbers, structure)")
        self.table.execute(
            "CREATE TABLE cells (cell INTEGER, number INTEGER, PRIMARY KEY (cell, number)) WITHOUT ROWID"
        )
        self.table.execute("CREATE TABLE members (number INTEGER, grp, id, apart, energy, UNIQUE (number, grp, id))")
        # one transaction, which never ends: nothing is to be kept
        self.table.execute("BEGIN")
        self.size = 0

    def __len__(self):
        return self.size

    def __iter__(self):
        """Rows of DUPLICATES, in the order in which they were found; they are on disk."""
        query = (
            "SELECT m.id, m.grp, f.id, f.grp, m.apart, m.energy FROM members m JOIN first f ON m.number = f.number"
            " WHERE m.apart IS NOT NULL ORDER BY m.rowid"
        )
        return (dict(zip(DUPLICATES, found)) for found in self.table.execute(query))

    def add(self, row: dict[str, Any], energy: float = np.nan) -> bool:
        """Whether an equal structure was added before; the row then says of which it is a copy.

        row: as for Frames.build; energy: eV, NaN where not known.
        """
        new = _Structure.of(row, energy)
        for number, name, group, known, stored in self._candidates(new):
            apart = difference(new.distances, distances(*new.alike(stored)))
            other = None if known is None or np.isnan(energy) else float(energy) - known
            if (np.array(apart) <= TOLERANCE).all() and not (new.few and abs(other or 0) > SAME_ENERGY):
                members = [(number, group, name, None, None), (number, row["group"], row["id"], apart[1], other)]
                self.table.executemany("INSERT OR IGNORE INTO members VALUES (?, ?, ?, ?, ?)", members)
                self.size += 1
                return True
        values = (row["id"], row["group"], new.energy, new.numbers_of.tobytes(), new.packed)
        query = "INSERT INTO first (id, grp, energy, numbers, structure) VALUES (?, ?, ?, ?, ?)"
        number = self.table.execute(query, values).lastrowid
        self.table.executemany("INSERT OR IGNORE INTO cells VALUES (?, ?)", [(place, number) for place in new.places])
        return False

    def _candidates(self, new):
        """(number, id, group, energy, structure) of those that were added before and may be the same."""
        marks = ", ".join("?" * len(new.places))
        query = f"SELECT number, numbers FROM first WHERE number IN (SELECT number FROM cells WHERE cell IN ({marks}))"
        near = self.table.execute(f"{query} ORDER BY number", new.places).fetchall()
        if near:
            stored = np.frombuffer(b"".join(values for _, values in near)).reshape(len(near), -1)
            for k in np.flatnonzero(np.abs(stored - new.numbers_of).max(axis=1) <= new.near):
                query = "SELECT number, id, grp, energy, structure FROM first WHERE number = ?"
                yield self.table.execute(query, (near[k][0],)).fetchone()

    def counts(self, sizes: dict[str, int]) -> list[dict]:
        """Rows of COUNTS: how many structures of a group are in another one too, or repeat others of their own.

        sizes: {group: structures}, in the order in which groups are named; of a pair the later one is counted.
        """
        query = (
            "SELECT a.grp, b.grp, count(DISTINCT a.id) FROM members a JOIN members b"
            " ON a.number = b.number AND a.id != b.id GROUP BY a.grp, b.grp"
        )
        found = {(a, b): number for a, b, number in self.table.execute(query)}
        inside = "SELECT grp, count(*) - count(DISTINCT number) FROM members GROUP BY grp"
        found |= {(group, group): number for group, number in self.table.execute(inside) if number}
        order = list(sizes)
        return [
            dict(zip(COUNTS, (group, other, found[group, other], sizes[group])))
            for group in order
            for other in order[: order.index(group) + 1]
            if (group, other) in found
        ]


def lines_of(counts: list[dict]) -> list[str]:
    """What the user is told of the rows of Duplicates.counts."""
    return [
        f"{row['n_structures']} of {row['n_of']} structures of {row['group']}"
        + (" repeat others of the group" if row["group"] == row["also_in"] else f" are also in {row['also_in']}")
        + " (same elements and positions)"
        for row in counts
    ]


@dataclass(frozen=True)
class _Structure:
    """What is needed of a structure to find it again.

    places: numbers that at least one is shared of by an equal one; near: by how much their numbers_of may differ.
    """

    few: bool
    energy: float | None
    distances: tuple[np.ndarray, np.ndarray]
    numbers_of: np.ndarray
    near: float
    places: list[int]
    packed: bytes

    @classmethod
    def of(cls, row, energy):
        numbers = np.asarray(row["numbers"], dtype=np.uint8)
        positions = np.asarray(row["positions"], dtype=float)
        cell = np.asarray(row.get("cell", np.zeros((3, 3))), dtype=float)
        pbc = np.asarray(row.get("pbc", np.zeros(3)), dtype=float)
        found = distances(numbers, positions, cell, pbc)
        few, known = len(numbers) <= FEW_ATOMS, bool(np.isfinite(energy))
        numbers_of = descriptors(*found)
        near = NEARER if few and not known else NEAR
        what = b"%d %d %d " % (row["charge"], row["multiplicity"], few and known) + np.sort(numbers).tobytes()
        # geometries of few atoms are too close to each other for more than a few thousand of them
        value, width = (np.array([energy]), SAME_ENERGY) if few and known else (numbers_of[:PLACED], near)
        grids = GRIDS[: len(value) + 1]
        cells = np.floor((value + grids * width) / (len(grids) * width)).astype(np.int64)
        places = [_hashed(b"%d " % k + pbc.tobytes() + what + cells[k].tobytes()) for k in range(len(grids))]
        packed = numbers.tobytes() + np.concatenate([cell.ravel(), pbc, positions.ravel()]).tobytes()
        return cls(few, float(energy) if known else None, found, numbers_of, near, places, packed)

    def alike(self, packed):
        """Arguments of `distances` of another structure with as many atoms, from its `packed`."""
        count = (len(self.packed) - 12 * 8) // (1 + 3 * 8)
        values = np.frombuffer(packed, dtype=float, offset=count)
        numbers = np.frombuffer(packed, dtype=np.uint8, count=count)
        return numbers, values[12:].reshape(-1, 3), values[:9].reshape(3, 3), values[9:12]


def _hashed(text):
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big", signed=True)


def same_as_any(table: "pd.DataFrame", ids: set[str]) -> set[str]:
    """Ids outside `ids` of structures that are the same as one of `ids`; table: DataFrame of the columns DUPLICATES."""
    pairs = [(str(row["id"]), str(row["same_as"])) for row in table.to_dict("records")]
    shared = {first for name, first in pairs if {name, first} & ids}
    return {name for pair in pairs if pair[1] in shared for name in pair} - ids
