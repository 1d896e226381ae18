"""Symmetries and padding of the two-head potential."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from mlipshift.base.geometry import pairs
from mlipshift.learn.networks import HEADS, Architecture, Potential
from mlipshift.mitigate import adaptation

TOLERANCE = 1e-10  # double precision


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return Potential(Architecture(features=16, blocks=2, radial=8, cutoff=4.0)).double().eval()


def molecule(n, seed):
    rng = np.random.default_rng(seed)
    return rng.choice([1, 6, 7, 8], n), rng.normal(scale=1.3, size=(n, 3))


@pytest.mark.parametrize("head", HEADS)
def test_rotation_translation_and_inversion(model, head):
    numbers, positions = molecule(9, 1)
    ((energy, forces),) = adaptation.predict(model, [(numbers, positions)], heads=head)
    for matrix in (Rotation.random(random_state=3).as_matrix(), -np.eye(3)):
        moved = positions @ matrix.T + [1.0, -2.0, 3.0]
        ((e, f),) = adaptation.predict(model, [(numbers, moved)], heads=head)
        assert e == pytest.approx(energy, abs=TOLERANCE)
        np.testing.assert_allclose(f, forces @ matrix.T, atol=TOLERANCE)
    assert np.abs(forces).max() > 1e-3


def test_permutation(model):
    numbers, positions = molecule(8, 2)
    order = np.random.default_rng(0).permutation(8)
    (e, f), (ep, fp) = adaptation.predict(model, [(numbers, positions), (numbers[order], positions[order])])
    assert ep == pytest.approx(e, abs=TOLERANCE)
    np.testing.assert_allclose(fp, f[order], atol=TOLERANCE)


def test_net_force_is_zero(model):
    ((_, forces),) = adaptation.predict(model, [molecule(7, 5)])
    np.testing.assert_allclose(forces.sum(0), 0.0, atol=TOLERANCE)


def test_other_structures_and_padding_do_not_matter(model):
    structures = [molecule(n, n) for n in (2, 5, 11, 3)]
    together = adaptation.predict(model, structures)
    for structure, (energy, forces) in zip(structures, together):
        ((e, f),) = adaptation.predict(model, [structure])
        assert e == pytest.approx(energy, abs=TOLERANCE)
        np.testing.assert_allclose(f, forces, atol=TOLERANCE)


def test_distant_atoms_do_not_interact_and_the_envelope_is_smooth(model):
    def energy(distance):
        return adaptation.predict(model, [(np.array([6, 8]), np.array([[0, 0, 0], [distance, 0, 0]], float))])[0][0]

    cutoff = model.architecture.cutoff
    apart = energy(50.0)
    assert energy(cutoff + 1e-9) == pytest.approx(apart, abs=TOLERANCE)
    assert energy(cutoff - 1e-3) == pytest.approx(apart, abs=1e-6)
    assert abs(energy(1.2) - apart) > 1e-4


def test_a_longer_neighbour_list_changes_nothing_and_a_shorter_one_does(model):
    structure = molecule(12, 8)
    cutoff = model.architecture.cutoff
    ((_, own),) = adaptation.predict(model, [structure])
    ((_, longer),) = adaptation.predict(model, [structure], [2 * cutoff])
    ((_, shorter),) = adaptation.predict(model, [structure], [0.5 * cutoff])
    np.testing.assert_allclose(longer, own, atol=TOLERANCE)
    assert np.abs(shorter - own).max() > 1e-4


@pytest.mark.parametrize("n", [3, 20, 90])
def test_neighbour_pairs_against_brute_force(n):
    positions = np.random.default_rng(n).normal(scale=4.0, size=(n, 3))
    i, j = pairs(positions, 5.0)
    expected = [
        (a, b) for a in range(n) for b in range(n) if a != b and np.linalg.norm(positions[a] - positions[b]) < 5.0
    ]
    assert list(zip(i.tolist(), j.tolist())) == expected
