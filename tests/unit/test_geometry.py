"""Neighbours and distances against all pairs of atoms: free, periodic, many atoms, and all on one spot."""

import tracemalloc

import numpy as np
import pytest
from ase.data import covalent_radii
from ase.geometry import complete_cell

from mlipshift.base import geometry
from mlipshift.data.curation import convert
from mlipshift.data.plausibility import neighbour_ratio
from mlipshift.data.records import Record
from mlipshift.prior.engines.morse import morse

RNG = np.random.default_rng(0)


def all_pairs(numbers, positions):
    """`nearest` from all distances."""
    distance = np.linalg.norm(positions[:, None] - positions, axis=-1)
    np.fill_diagonal(distance, np.inf)
    distance[~np.isfinite(distance)] = np.inf
    radii = covalent_radii[numbers]
    return distance.min(axis=1, initial=np.inf), (distance / (radii[:, None] + radii)).min(axis=1, initial=np.inf)


def clouds():
    """Structures of any size and scale: clumps, atoms far away, atoms on one spot, positions that are no numbers."""
    for k in range(120):
        n = k if k < 4 else int(RNG.integers(4, 200))
        positions = RNG.normal(size=(n, 3)) * 10 ** RNG.uniform(-2, 3)
        if n and k % 3 == 0:
            positions[: n // 2] = positions[0]
        if n and k % 4 == 0:
            positions[RNG.integers(n, size=n // 3)] *= 1000
        if n and k % 5 == 0:
            positions[RNG.integers(n)] = np.nan
        yield RNG.choice([1, 2, 6, 8, 55, 86], n), positions


def test_nearest_is_that_of_all_pairs_to_the_last_bit():
    sizes = []
    for numbers, positions in clouds():
        with np.errstate(invalid="ignore"):
            expected = all_pairs(numbers, positions)
        for found, distance in zip(geometry.nearest(numbers, positions), expected, strict=True):
            np.testing.assert_array_equal(found, distance)
        sizes.append(len(numbers))
    assert sizes[:3] == [0, 1, 2] and max(sizes) > 2 * geometry.DENSE_LIMIT


def verdict(numbers, positions, **keys):
    """Reason why curation refuses a structure, empty if it does not."""
    multiplicity = 1 + int(numbers.sum()) % 2
    record = Record("a", "here", "a", numbers, positions, multiplicity=multiplicity, **keys)
    try:
        convert(record, "train", False, crystals=True)
    except ValueError as error:
        return str(error)
    return ""


def test_overlaps_are_those_of_all_pairs():
    """Lattices of more atoms than are looked at pair by pair, some of which are moved onto each other."""
    seen = set()
    for _ in range(60):
        n = int(RNG.integers(65, 150))
        sites = 2.6 * np.stack(np.meshgrid(*[np.arange(6)] * 3), -1).reshape(-1, 3)
        positions, numbers = RNG.permutation(sites)[:n] + RNG.normal(scale=0.1, size=(n, 3)), RNG.choice([1, 6, 17], n)
        for _ in range(RNG.integers(0, 4)):
            i, j = RNG.choice(n, 2, replace=False)
            positions[i] = positions[j] + RNG.normal(scale=0.3, size=3)
        distance = np.linalg.norm(positions[:, None] - positions, axis=-1)
        np.fill_diagonal(distance, np.inf)
        radii = covalent_radii[numbers]
        close = np.argwhere((distance / (radii[:, None] + radii) < 0.4) | (distance < 0.3))
        found = verdict(numbers, positions)
        seen.add(found == "")
        assert found.startswith(f"atoms {close[0][0]} (" if len(close) else "") and bool(found) == bool(len(close))
        if len(close):
            assert f") and {close[0][1]} (" in found and f"{distance[tuple(close[0])]:.3f} Å" in found
    assert seen == {True, False}


@pytest.mark.parametrize("spot", ["apart", "one spot"])
@pytest.mark.parametrize("periodic", [False, True])
def test_ten_thousand_atoms_are_checked_without_a_matrix(spot, periodic):
    side = 22
    sites = 2.0 * np.stack(np.meshgrid(*[np.arange(side)] * 3), -1).reshape(-1, 3)
    positions, numbers = sites * (spot == "apart"), np.full(side**3, 6)
    cell = {"cell": 2.0 * side * np.eye(3), "pbc": np.ones(3, bool)} if periodic else {}
    tracemalloc.start()
    found = verdict(numbers, positions, **cell)
    if not periodic:
        record = Record("a", "here", "a", numbers, positions)
        assert neighbour_ratio([record]) == pytest.approx(1 / covalent_radii[6] if spot == "apart" else 0)
        if spot == "apart":
            morse(numbers, positions)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (found == "") == (spot == "apart") and peak < 100 * 2**20
    if found:
        assert found == "atoms 0 (C) and 1 (C) lie on top of each other, 0.000 Å apart"


def test_morse_bonds_beyond_their_reach_contribute_nothing():
    """Two copies of a cluster far apart have twice its energy, and each its forces."""
    numbers, positions = RNG.choice([1, 6, 8, 55], 70), RNG.uniform(0, 9, (70, 3))
    energy, forces = morse(numbers, positions)
    both = morse(np.tile(numbers, 2), np.concatenate([positions, positions + 99.0]))
    assert both[0] == pytest.approx(2 * energy)
    np.testing.assert_allclose(both[1], np.tile(forces, (2, 1)), atol=1e-9 * np.abs(forces).max())


def images(positions, cell, pbc, cutoff):
    """Set of (i, j, S) by looking at all images that a sphere around any atom can reach."""
    cell = complete_cell(cell)
    height = 1 / np.linalg.norm(np.linalg.inv(cell), axis=0)
    spread = np.ptp(positions @ np.linalg.inv(cell), axis=0)
    most = np.where(pbc, np.ceil(cutoff / height + spread), 0).astype(int)
    shifts = np.stack(np.meshgrid(*(np.arange(-m, m + 1) for m in most), indexing="ij"), -1).reshape(-1, 3)
    apart = positions[None, :, None] + (shifts @ cell)[None, None] - positions[:, None, None]
    i, j, s = np.nonzero(np.linalg.norm(apart, axis=-1) < cutoff)
    return {(a, b, *shifts[c].tolist()) for a, b, c in zip(i, j, s) if a != b or shifts[c].any()}


@pytest.mark.parametrize("kind", ["any", "tiny", "skewed", "slab", "wire", "left-handed"])
def test_edges_are_all_images_within_the_cutoff(kind):
    for _ in range(12):
        n, cell, pbc = int(RNG.integers(1, 5)), RNG.normal(size=(3, 3)) * 3, np.ones(3, bool)
        if kind == "tiny":
            cell = 0.8 * np.eye(3) + RNG.normal(scale=0.1, size=(3, 3))
        elif kind == "skewed":
            cell = np.array([[3.0, 0, 0], [0, 3.0, 0], [0, 0, 4.0]])
            cell[1:] += RNG.integers(-4, 5, (2, 1)) * cell[0]
        elif kind in ("slab", "wire"):
            pbc[2 if kind == "slab" else slice(1, 3)] = False
            cell[~pbc] *= RNG.integers(0, 2)
        elif kind == "left-handed" and np.linalg.det(cell) > 0:
            cell = cell[::-1]
        if np.abs(np.linalg.det(complete_cell(cell))) < (0.3 if kind == "tiny" else 8.0):
            continue
        positions, cutoff = RNG.normal(size=(n, 3)) * RNG.choice([1, 6]), RNG.uniform(0.5, 4.0)
        i, j, shift, distance = geometry.edges(positions, cell, pbc, cutoff)
        assert {*zip(i.tolist(), j.tolist(), *shift.T.tolist())} == images(positions, cell, pbc, cutoff)
        assert len(i) == len({*zip(i.tolist(), j.tolist(), *shift.T.tolist())}) and (np.diff(i) >= 0).all()
        vectors = positions[j] + shift @ complete_cell(cell) - positions[i]
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), distance, atol=1e-12)
