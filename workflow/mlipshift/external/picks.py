"""Which structures of a file a job on a published model works on."""

from collections.abc import Collection

import numpy as np

from mlipshift.base.frames import Frames


def usable(frames: Frames, excluded: Collection[str]) -> np.ndarray:
    """Whether each of S structures is a molecule that the model can take; excluded: ids of those that it cannot."""
    return ~np.isin(frames.ids.astype(str), list(excluded)) & ~frames.pbc.any(axis=1)


def spread_over(molecules: np.ndarray, usable: np.ndarray, count: int, seed: int | None = None) -> np.ndarray:
    """At most `count` of the structures `usable`, one of every molecule before a second one of any; in their order.

    molecules [S]; usable: numbers; seed: of the order in which those of a molecule are taken, as they come if absent.
    """
    order = usable if seed is None else np.random.default_rng(seed).permutation(usable)
    seen: dict[str, int] = {}
    rank = np.empty(len(order), dtype=int)
    for place, k in enumerate(order):
        rank[place] = seen[molecules[k]] = seen.get(molecules[k], -1) + 1
    return np.sort(order[np.argsort(rank, kind="stable")][:count])
