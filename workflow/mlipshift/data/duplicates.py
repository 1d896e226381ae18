"""Structures that occur more than once, within a group or in several: the same up to rotation, translation, the order
of the atoms and rounding.

Two structures are the same if they have the same elements, charge and multiplicity and if their sorted distances agree
within TOLERANCE: those between atoms closer than REACH, by pair of elements, and, for molecules, those from the centre.
Geometries of two or three atoms agree by chance, so that their energies, where known, have to agree as well. Mirror
images are the same: no energy and no force tells them apart, and neither does a model that is equivariant. Time per
structure and memory do not grow with the number of structures; what is needed of them is in a temporary file.
"""

import hashlib
import sqlite3
from typing import Any

import numpy as np

from mlipshift.base.geometry import centred, edges, pairs

# Å, root mean square and largest; positions rounded to 0.001 Å change distances by 0.0004 and by 0.0017 at most
TOLERANCE = 8e-4, 2e-3
FEW_ATOMS, SAME_ENERGY = 3, 1e-5  # eV
REACH = 6.0  # Å
DESCRIPTORS, PLACED = 24, 8  # numbers that a structure is looked up by; those that give it a place in grids
NEAR = 3e-3  # Å, by which these numbers of two equal structures differ at most
# each number is cut apart by one of so many shifted grids of this width at most: one is left that keeps two together
GRIDS = PLACED + 1
WIDTH = GRIDS * NEAR
PIECE = 1 << 14  # distances of a structure whose signs are in memory at a time
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
    starts = np.flatnonzero(np.diff(kinds, prepend=-1))
    rank = np.arange(len(kinds)) - np.repeat(starts, np.diff(starts, append=len(kinds)))
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
    """Finds, among the structures that are added one by one, those that were there before."""

    def __init__(self) -> None:
        # an empty name is a private database on disk that SQLite deletes itself
        self.table = sqlite3.connect("", isolation_level=None)
        self.table.execute("PRAGMA journal_mode = OFF")
        self.table.execute("CREATE TABLE first (number INTEGER PRIMARY KEY, id, grp, energy, numbers, structure)")
        self.table.execute(
            "CREATE TABLE cells (cell INTEGER, number INTEGER, PRIMARY KEY (cell, number)) WITHOUT ROWID"
        )
        self.table.execute(
            "CREATE TABLE members (number INTEGER, grp, id, PRIMARY KEY (number, grp, id)) WITHOUT ROWID"
        )

    def add(self, row: dict[str, Any], energy: float = np.nan) -> dict | None:
        """Row of DUPLICATES if an equal structure was added before, the first of which it names.

        row: as for Frames.build; energy: eV, NaN where not known.
        """
        numbers = np.asarray(row["numbers"], dtype=np.uint8)
        positions = np.asarray(row["positions"], dtype=float)
        cell, pbc = np.asarray(row.get("cell", np.zeros((3, 3))), dtype=float), np.asarray(row.get("pbc", np.zeros(3)))
        found = distances(numbers, positions, cell, pbc)
        numbers_of = descriptors(*found)
        elements = np.sort(numbers).tobytes()
        what = hashlib.blake2b(elements + f" {row['charge']} {row['multiplicity']} {pbc.astype(int)}".encode()).digest()
        places = [_cell(what, numbers_of, grid) for grid in range(GRIDS)]
        for number, name, group, known, stored in self._candidates(places, numbers_of):
            apart = difference(found, distances(*_unpacked(stored, numbers)))
            other = np.nan if known is None else energy - known
            if (np.array(apart) <= TOLERANCE).all() and not (len(numbers) <= FEW_ATOMS and abs(other) > SAME_ENERGY):
                members = [(number, group, name), (number, row["group"], row["id"])]
                self.table.executemany("INSERT OR IGNORE INTO members VALUES (?, ?, ?)", members)
                return dict(zip(DUPLICATES, (row["id"], row["group"], name, group, apart[1], other)))
        energy = None if np.isnan(energy) else float(energy)
        packed = numbers.tobytes() + np.concatenate([cell.ravel(), pbc.astype(float), positions.ravel()]).tobytes()
        values = (row["id"], row["group"], energy, numbers_of.tobytes(), packed)
        cursor = self.table.execute(
            "INSERT INTO first (id, grp, energy, numbers, structure) VALUES (?, ?, ?, ?, ?)", values
        )
        self.table.executemany("INSERT OR IGNORE INTO cells VALUES (?, ?)", [(p, cursor.lastrowid) for p in places])
        return None

    def _candidates(self, places, numbers_of):
        """(number, id, group, energy, structure) of those that were added before and may be the same."""
        marks = ", ".join("?" * len(places))
        query = f"SELECT number, numbers FROM first WHERE number IN (SELECT number FROM cells WHERE cell IN ({marks}))"
        near = self.table.execute(f"{query} ORDER BY number", places).fetchall()
        if near:
            stored = np.frombuffer(b"".join(values for _, values in near)).reshape(len(near), -1)
            for k in np.flatnonzero(np.abs(stored - numbers_of).max(axis=1) <= NEAR):
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


def _cell(what, numbers_of, grid):
    """Number of the cell of a grid that a structure lies in."""
    place = np.floor((numbers_of[:PLACED] + grid * NEAR) / WIDTH).astype(np.int64)
    digest = hashlib.blake2b(what + place.tobytes() + bytes([grid]), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def _unpacked(stored, numbers):
    """Arguments of `distances` of what a table holds of a structure with as many atoms as `numbers`."""
    values = np.frombuffer(stored, dtype=float, offset=len(numbers))
    return (
        np.frombuffer(stored, dtype=np.uint8, count=len(numbers)),
        values[12:].reshape(-1, 3),
        values[:9].reshape(3, 3),
        values[9:12],
    )
