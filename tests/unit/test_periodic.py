"""Radius graphs under periodic boundary conditions: known crystals, independence of the cell, what refuses them."""

import numpy as np
import pytest
from ase.build import bulk, fcc111, molecule

from mlipshift.base.errors import UserError
from mlipshift.base.frames import Frames
from mlipshift.base.geometry import edges, thickness
from mlipshift.data.curation import convert
from mlipshift.data.records import Record
from mlipshift.shift import measures, periodic
from mlipshift.shift.spectra import spectra, window_fraction
from mlipshift.shift.training import Spectra, Training
from mlipshift.shift.wasserstein import distance

NACL = bulk("NaCl", "rocksalt", a=5.64)


def spectrum(atoms, variant="robust", cutoff=3.0, cap=50):
    return periodic.spectrum(atoms.positions, atoms.cell[:], atoms.pbc, cutoff, variant, cap)


def row(atoms, name="a", **keys):
    about = {"id": name, "group": "train", "molecule": name, "charge": 0, "multiplicity": 1}
    structure = {"numbers": atoms.numbers, "positions": atoms.positions, "cell": atoms.cell[:], "pbc": atoms.pbc}
    return about | structure | keys


def test_edges_are_all_images_within_the_cutoff_own_ones_too():
    i, j, shift, distance = edges(NACL.positions, NACL.cell[:], NACL.pbc, 4.0)
    # six of the other kind at a/2, twelve of the own kind at a/sqrt 2
    assert sorted(np.round(distance[i == 0] / 5.64, 4)) == [0.5] * 6 + [0.7071] * 12
    assert (j[i == 0] == 0).sum() == 12
    np.testing.assert_allclose(
        np.linalg.norm(NACL.positions[j] + shift @ NACL.cell[:] - NACL.positions[i], axis=1), distance
    )


def test_a_shell_at_the_cutoff_is_left_out_as_a_whole():
    for seed in range(5):
        turned = NACL.copy()
        turned.rotate(360 * np.random.default_rng(seed).random(), (1, seed, 3), rotate_cell=True)
        assert len(edges(turned.positions, turned.cell[:], turned.pbc, 2.82)[0]) == 0
        # six, twelve and eight, not the six at the lattice constant
        assert len(edges(turned.positions, turned.cell[:], turned.pbc, 5.64)[0]) == 2 * 26


@pytest.mark.parametrize(("variant", "cutoff"), [("published", 3.0), ("robust", 3.0), ("robust", 5.0)])
def test_a_molecule_in_a_wide_periodic_box_has_the_spectrum_of_the_molecule(variant, cutoff):
    atoms = molecule("CH3CH2OH")
    alone = np.sort(spectra(atoms.positions, [cutoff], variant)[0])
    atoms.set_cell([60.0] * 3)
    atoms.set_pbc(True)
    np.testing.assert_allclose(spectrum(atoms, variant, cutoff), alone, atol=1e-12)


def test_the_published_spectrum_is_that_of_the_multigraph_in_the_cell():
    # six edges between the two atoms: eigenvalues 0 and 2; with the own images, which are no edges, the same
    for cutoff in (3.0, 4.0):
        np.testing.assert_allclose(spectrum(NACL, "published", cutoff), [0.0, 2.0], atol=1e-12)
    assert spectrum(bulk("Cu"), "published").size == 0, "an atom that sees its own images alone vanishes"
    # a limit of neighbours that is reached leaves a directed graph, whose eigenvalues are still in [0, 2]
    capped = spectrum(bulk("Cu", cubic=True) * (2, 2, 2), "published", 5.0, cap=7)
    assert len(capped) == 32 and capped.min() >= 0 and capped.max() <= 2


def test_the_robust_spectrum_of_the_simple_cubic_lattice_is_its_dispersion():
    """NaCl with its nearest neighbours alone: 1 - (cos x + cos y + cos z) / 3 over the wavevectors."""
    atoms = bulk("Po", "sc", a=4.0)
    axis = np.cos(2 * np.pi * np.arange(9) / 9)  # 36 Å
    expected = 1 - (axis[:, None, None] + axis[:, None] + axis) / 3
    np.testing.assert_allclose(spectrum(atoms, cutoff=4.5), np.sort(expected.ravel()), atol=1e-12)


@pytest.mark.parametrize("repeat", [(2, 2, 2), (1, 1, 3)])
def test_the_robust_spectrum_is_that_of_the_crystal_and_not_of_its_cell(repeat):
    one, other = spectrum(NACL), spectrum(NACL * repeat)
    counts = [len(periodic.wavevectors(a.cell[:], a.pbc)) * len(a) for a in (NACL, NACL * repeat)]
    assert [len(one), len(other)] == counts
    assert distance(one, other) < 0.01
    moved = NACL * repeat
    moved.rotate(37, (1, 2, 3), rotate_cell=True)
    moved.positions += [0.3, -7.0, 2.0]
    moved = moved[np.random.default_rng(0).permutation(len(moved))]
    np.testing.assert_allclose(spectrum(moved), other, atol=1e-9)


def test_cells_with_the_same_wavevectors_have_the_same_spectrum_up_to_multiplicity():
    copper = bulk("Cu", a=3.6 * np.sqrt(3) * 0.5)  # planes 1.8 Å apart: 20 along each side, 10 of the doubled cell
    one, other = spectrum(copper), spectrum(copper * (2, 2, 2))
    assert len(one) == len(other) == 20**3
    np.testing.assert_allclose(one, other, atol=1e-12)


def test_different_cells_of_one_crystal_are_closer_than_different_crystals():
    names = ("primitive", "cubic", "doubled")
    cells = (bulk("Cu"), bulk("Cu", cubic=True), bulk("Cu", cubic=True) * (2, 2, 2))
    fcc = dict(zip(names, (spectrum(a) for a in cells)))
    others = [spectrum(bulk("Fe"), cutoff=2.7), spectrum(bulk("Si")), spectrum(NACL)]
    same = max(distance(fcc["primitive"], fcc[n]) for n in names)
    assert same < 0.015 and min(distance(fcc["primitive"], other) for other in others) > 5 * same
    fractions = window_fraction([spectrum(a) for a in cells])
    assert np.ptp(fractions) < 0.02


def test_isolated_atoms_of_a_crystal_are_components():
    assert (spectrum(bulk("Cu"), cutoff=2.0) == 0).all()
    slab = fcc111("Cu", (1, 1, 2))
    assert len(spectrum(slab)) == 2 * len(periodic.wavevectors(slab.cell[:], slab.pbc))
    assert thickness(slab.cell[:], slab.pbc)[2] == np.inf


def test_the_measures_of_shift_take_crystals_and_molecules_together():
    ethanol = molecule("CH3CH2OH")
    rows = [row(NACL), row(ethanol, "b"), row(NACL * (2, 1, 1), "c")]
    frames = Frames.build(rows)
    training = Training.of([frames.take([0, 1])], Spectra(3.0, "robust"), 10)
    found = measures.measure(training.how, training, frames)
    assert found["composition_distance"][[0, 2]] == pytest.approx(0)
    # the same crystal in another cell is nearer to it than anything else
    assert found["spectrum_wasserstein_nearest"][2] < 0.01
    alone = measures.measure(training.how, training, frames.take([1]))
    assert {n: v[0] for n, v in alone.items()} == pytest.approx({n: v[1] for n, v in found.items()})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda a: a, ""),
        (lambda a: a.set_cell([0, 0, 0]), "is periodic along cell vectors that are shorter than 0.1 Å or in one plane"),
        (lambda a: a.set_cell([a.cell[0], a.cell[0], a.cell[2]]), "or in one plane"),
        (lambda a: a.set_cell(0.25 * a.cell), "atoms 0 (Na) and"),
        (lambda a: a.positions.__setitem__(1, a.positions[0] + a.cell[1]), "lie on top of each other, 0.000 Å apart"),
    ],
)
def test_what_crystals_are_taken(change, reason):
    atoms = NACL.copy()
    change(atoms)
    keys = {"positions": atoms.positions, "numbers": atoms.numbers, "cell": atoms.cell[:], "pbc": atoms.pbc}
    record = Record(id="x", molecule="x", where="here", **keys)
    if not reason:
        made, label = convert(record, "train", False, crystals=True)
        assert label is None and made["pbc"].all()
        return
    with pytest.raises(ValueError) as caught:
        convert(record, "train", False, crystals=True)
    assert reason in str(caught.value)


def test_what_takes_molecules_only_says_so_in_one_line():
    frames = Frames.build([row(molecule("H2O"), "water"), row(NACL, "salt")])
    with pytest.raises(UserError) as caught:
        frames.molecules_only("this takes none; leave them out")
    assert str(caught.value) == "1 structures are periodic, salt for one, and this takes none; leave them out"
    assert len(frames.take([0]).molecules_only("")) == 1
