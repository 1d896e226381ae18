"""Rattled copies of structures, and which geometries of a molecule are adapted on and which predicted."""

import numpy as np

from mlipshift.base.frames import Frames

MARK = "~rattled"  # between the id of a structure and the number of its copy


def rattled(frames: Frames, copies: int, sigma: float, seed: int) -> Frames:
    """Frames, each structure followed by `copies` rattled ones.

    sigma: standard deviation of the Gaussian displacement per coordinate (Å); seed: with the number of a structure,
    that of its displacements.
    """
    rows = []
    for k in range(len(frames)):
        numbers, positions, charge, multiplicity = frames[k]
        rng = np.random.default_rng([seed, k])
        for copy in range(copies + 1):
            noise = sigma * rng.normal(size=positions.shape) if copy else 0.0
            rows.append(
                {
                    "id": frames.ids[k] + (f"{MARK}{copy}" if copy else ""),
                    "group": frames.group[k],
                    "molecule": frames.molecule[k],
                    "numbers": numbers,
                    "positions": positions + noise,
                    "charge": charge,
                    "multiplicity": multiplicity,
                }
            )
    return Frames.build(rows)


def source_of(name: str) -> tuple[str, int]:
    """(id of the structure that an id was made from, number of the copy, 0 for the structure itself)."""
    source, _, copy = str(name).partition(MARK)
    return source, int(copy or 0)


def places(frames: Frames) -> tuple[np.ndarray, np.ndarray]:
    """(place [S] of every structure among the geometries of its molecule within its group, their number [S])."""
    total: dict[tuple[str, str], int] = {}
    place = np.zeros(len(frames), dtype=int)
    keys = list(zip(frames.group, frames.molecule))
    for k, key in enumerate(keys):
        place[k] = total.get(key, 0)
        total[key] = place[k] + 1
    return place, np.array([total[key] for key in keys], dtype=int)


def pool(frames: Frames, largest: int) -> np.ndarray:
    """Numbers of the geometries that molecules may be adapted on: the first half of each, `largest` at most.

    The other geometries are predicted; they are the same ones however many of the pool are used.
    """
    place, total = places(frames)
    return np.flatnonzero(place < np.minimum(largest, total // 2))


def first(frames: Frames, geometries: int, copies: int) -> np.ndarray:
    """Numbers of the first `geometries` of every molecule in frames with rattled copies, and of `copies` of each.

    Molecules with fewer geometries have none: a curve over the number of geometries compares equal numbers.
    """
    names = [source_of(name) for name in frames.ids]
    plain = np.flatnonzero([copy == 0 for _, copy in names])
    place, total = places(frames.take(plain))
    chosen = {names[k][0] for k, p, t in zip(plain, place, total) if p < geometries <= t}
    return np.array([k for k, (source, copy) in enumerate(names) if source in chosen and copy <= copies], dtype=int)
