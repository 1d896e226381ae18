"""Edges that come and go with the radius, of some structures, to be drawn."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from mlipshift.base import geometry
from mlipshift.base.frames import Frames
from mlipshift.catalogue.pairs import PAIR
from mlipshift.evaluate.pairs import pair

ATOM, BOND, CAME, WENT = "atom", "bond", "came", "went"
EDGES = ["network", "strategy", "envelope", "rule", "group", "id", "trained_A", "chosen_A", "change_meV_per_A", "edge"]
EDGES += PAIR
LARGEST = 40  # atoms; more cannot be told from each other in a small panel


def rows(choices: Iterable[Mapping[str, Any]], frames: Frames) -> list[dict]:
    """Rows of EDGES, of one structure for every network, rule and held-out group of the rows `choices`.

    choices: rewiring.RADII. The structure is that whose change of the error is the median of those that are refined in
    the group, no larger than LARGEST atoms and not periodic. An atom is a row of its own, with itself as the second.
    """
    table = pd.DataFrame(list(choices))
    if table.empty:
        return []
    periodic = set(frames.ids[frames.pbc.any(axis=1)])
    refined = (table.chosen_A != table.trained_A) & table.group.str.startswith("ood_") & (table.n_atoms <= LARGEST)
    table = table[refined & ~table.id.isin(periodic)]
    found = []
    for _, own in table.groupby(["network", "strategy", "envelope", "rule", "group"], sort=False):
        change = own.chosen_meV_per_A - own.trained_meV_per_A
        order = np.argsort(change.to_numpy(), kind="stable")
        row = own.iloc[order[len(order) // 2]]
        k = int(np.flatnonzero(frames.ids == row.id)[0])
        found += _edges(row, *frames[k][:2])
    return found


def _edges(row: pd.Series, numbers: np.ndarray, positions: np.ndarray) -> list[dict]:
    """Rows of one structure."""
    trained, chosen = (_pairs(positions, radius) for radius in (row.trained_A, row.chosen_A))
    kinds: dict[str, Sequence[tuple[int, int]]] = {
        ATOM: [(k, k) for k in range(len(numbers))],
        BOND: sorted(geometry.bonds(numbers, positions)),
        CAME: sorted(chosen - trained),
        WENT: sorted(trained - chosen),
    }
    about = {name: row[name] for name in EDGES[:8]} | {"change_meV_per_A": row.chosen_meV_per_A - row.trained_meV_per_A}
    return [about | {"edge": kind} | pair(numbers, positions, i, j) for kind, pairs in kinds.items() for i, j in pairs]


def _pairs(positions, radius):
    """Undirected pairs within a radius (Å)."""
    i, j = geometry.pairs(positions, radius)
    return {(int(a), int(b)) for a, b in zip(i, j) if a < b}
