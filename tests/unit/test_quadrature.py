"""Spectra of large graphs from sparse matrices, against those of the whole matrix."""

import numpy as np
import pytest
from ase.build import bulk, molecule
from scipy.spatial.transform import Rotation

from mlipshift.base.geometry import pairs
from mlipshift.shift import periodic, quadrature, spectra
from mlipshift.shift.laplacians import spectrum_of

LARGE = quadrature.LARGEST_DENSE


def box(name, side, spacing, seed=0):
    """Positions of side³ molecules in random orientation on a grid."""
    rng = np.random.default_rng(seed)
    one = molecule(name).positions
    one = one - one.mean(axis=0)
    sites = spacing * np.stack(np.meshgrid(*[np.arange(side)] * 3), -1).reshape(-1, 3)
    return np.concatenate([Rotation.random(random_state=rng).apply(one) + site for site in sites])


def chain(atoms):
    steps = np.random.default_rng(0).normal(size=(atoms, 3))
    return (1.5 * steps / np.linalg.norm(steps, axis=1)[:, None]).cumsum(axis=0)


def gas(atoms, edge):
    return np.random.default_rng(1).uniform(0, edge, (atoms, 3))


def exact(positions, cutoff, cap=None):
    i, j = pairs(positions, cutoff)
    if cap:
        kept = quadrature.heard(i, j, np.linalg.norm(positions[i] - positions[j], axis=1), cap)
        i, j = i[kept], j[kept]
    graph = np.zeros((len(positions),) * 2, dtype=bool)
    graph[i, j] = True
    return spectrum_of(graph)


def distance(first, second):
    """Wasserstein distance of spectra of one length."""
    return np.abs(first - second).mean()


def window(values):
    return spectra.window_fraction([values])[0]


BOX = box("H2O", 7, 3.1)
STRUCTURES = {
    "water, sparse": (BOX, 3.0),
    "water, dense": (BOX, 6.0),
    "ethanol": (box("CH3CH2OH", 5, 5.0), 4.0),
    "crystallite": ((bulk("Si", cubic=True) * (6, 5, 5)).positions, 3.0),
    "alternating grid": ((bulk("NaCl", "rocksalt", a=5.64, cubic=True) * (6, 5, 5)).positions, 3.0),
    "chain": (chain(1200), 5.0),
    "gas with isolated atoms": (gas(1300, 28.0), 3.0),
}


@pytest.mark.parametrize("name", STRUCTURES)
def test_the_distribution_of_eigenvalues_is_that_of_the_whole_matrix(name):
    positions, cutoff = STRUCTURES[name]
    found, expected = spectra.spectra(positions, [cutoff], cap=None)[0], exact(positions, cutoff)
    assert len(positions) > LARGE and len(found) == len(expected) and (np.diff(found) >= 0).all()
    assert distance(found, expected) < 0.005 and abs(window(found) - window(expected)) < 0.01
    assert 0 <= found.min() < 1e-9 and found.max() <= 2
    np.testing.assert_allclose([found.mean(), found.std()], [expected.mean(), expected.std()], atol=1e-4)


def test_a_directed_graph_loses_little_by_its_symmetric_part():
    found, expected = spectra.spectra(BOX, [7.0], "published")[0], exact(BOX, 7.0, cap=50)
    assert distance(expected, exact(BOX, 7.0)) > 2 * distance(found, expected), "the cap must be seen"
    assert distance(found, expected) < 0.012 and abs(window(found) - window(expected)) < 0.03


@pytest.mark.parametrize("name", ["water, sparse", "ethanol", "crystallite", "chain"])
def test_neither_order_nor_orientation_of_the_atoms_change_a_bit(name):
    positions, cutoff = STRUCTURES[name]
    order = np.random.default_rng(3).permutation(len(positions))
    moved = Rotation.random(random_state=5).apply(positions)[order] + 7.0
    for variant in spectra.VARIANTS:
        both = [spectra.spectra(p, [cutoff], variant, cap=None)[0] for p in (positions, moved)]
        assert np.array_equal(*both), variant


def test_copies_of_a_molecule_have_its_eigenvalues():
    """However many, and one isolated atom of each kind more counts as in a small structure."""
    copies, one = box("CH3CH2OH", 6, 12.0), molecule("CH3CH2OH").positions
    for variant in spectra.VARIANTS:
        single, many = (spectra.spectra(p, [3.0], variant)[0] for p in (one, copies))
        np.testing.assert_allclose(many, np.repeat(single, 216), atol=1e-12)
        assert window(many) == window(single)
    lonely = np.concatenate([[[-50.0, 0, 0]], copies, [[200.0, 0, 0]]])
    published, robust, written = (spectra.spectra(lonely, [3.0], v)[0] for v in spectra.VARIANTS)
    looped = np.repeat(spectra.spectra(one, [3.0], "written")[0], 216)
    np.testing.assert_allclose(written, np.sort([0.0, 0.0, *looped]), atol=1e-12)
    single = np.repeat(spectra.spectra(one, [3.0])[0], 216)
    np.testing.assert_allclose(published, np.sort([1.0, *single]), atol=1e-12)
    np.testing.assert_allclose(robust, np.sort([0.0, 0.0, *single]), atol=1e-12)
    apart = 9.0 * np.stack(np.meshgrid(*[np.arange(11)] * 3), -1).reshape(-1, 3)
    assert len(spectra.spectra(apart, [3.0])[0]) == 0 and not spectra.spectra(apart, [3.0], "robust")[0].any()


def test_large_and_small_structures_come_back_in_their_places(caplog):
    structures = [BOX, BOX[:9], BOX[:600], BOX + 1.0]
    caplog.set_level("INFO")
    found = spectra.spectra_of_many(structures, [3.0, 4.0], "robust")
    assert "spectra above 1024 atoms: 2 of 2" in caplog.text
    for positions, values in zip(structures, found, strict=True):
        for one, other in zip(values, spectra.spectra(positions, [3.0, 4.0], "robust"), strict=True):
            assert np.array_equal(one, other)
    assert spectra.spectra_of_many(structures, [], "robust") == [[]] * 4


def test_a_large_periodic_cell_has_the_spectrum_of_the_crystal():
    """11³ atoms of the simple cubic lattice: its dispersion at the wavevectors of the supercell."""
    atoms = bulk("Po", "sc", a=3.0) * (11, 11, 11)
    cell = atoms.cell[:], atoms.pbc, 3.3
    axis = np.cos(2 * np.pi * np.arange(22) / 22)  # two wavevectors along each axis, 36 Å
    expected = np.sort((1 - (axis[:, None, None] + axis[:, None] + axis) / 3).ravel())
    found = periodic.spectrum(atoms.positions, *cell, "robust", None)
    assert len(found) == len(expected) and distance(found, expected) < 0.005
    assert abs(window(found) - window(expected)) < 0.01
    in_cell = np.sort((1 - (axis[::2, None, None] + axis[::2, None] + axis[::2]) / 3).ravel())
    found = periodic.spectrum(atoms.positions, *cell, "published", 50)
    assert len(found) == len(in_cell) and distance(found, in_cell) < 0.005


def test_molecules_in_a_large_periodic_box_have_the_spectrum_of_one():
    positions = box("CH3CH2OH", 5, 12.0)
    single = spectra.spectra(molecule("CH3CH2OH").positions, [3.0])[0]
    for variant in spectra.VARIANTS:
        found = periodic.spectrum(positions, 60.0 * np.eye(3), np.ones(3, bool), 3.0, variant, 50)
        np.testing.assert_allclose(found, np.repeat(single, 125), atol=1e-12)
