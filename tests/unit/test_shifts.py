"""Shift axes and radius refinement on structures where the answer is known."""

import numpy as np
import pytest

from mlipshift import refinement, shifts
from mlipshift.errors import UserError
from mlipshift.frames import Frames, Labels


def frames(*structures):
    return Frames.build(
        {
            "id": f"{name}{k}",
            "group": "g",
            "molecule": name,
            "numbers": numbers,
            "positions": positions,
            "charge": 0,
            "multiplicity": 1,
        }
        for k, (name, numbers, positions) in enumerate(structures)
    )


def chain(n, spacing=1.2):
    return np.c_[np.arange(n) * spacing, np.zeros((n, 2))]


def labels(f, scale):
    rng = np.random.default_rng(0)
    return Labels.build(f, [(0.0, scale * rng.normal(size=(n, 3))) for n in f.sizes], "prior")


def test_force_norm_is_the_mean_over_atoms():
    f = frames(("a", [1, 1], chain(2)), ("b", [6, 1, 1], chain(3)))
    forces = [np.array([[3.0, 4, 0], [0, 0, 1]]), np.array([[1.0, 0, 0], [0, 2, 0], [0, 0, 3]])]
    found = shifts.force_norm(Labels.build(f, [(0.0, x) for x in forces], "x"))
    np.testing.assert_allclose(found, [3.0, 2.0])


def test_measures_single_out_the_shifted_structure():
    train = frames(*((name, [6, 1, 1], chain(3, 1.1 + 0.01 * k)) for k, name in enumerate("abcde")))
    test = frames(("same", [6, 1, 1], chain(3)), ("sulfur", [16, 1, 1], chain(3)), ("long", [6] * 9, chain(9)))
    found = shifts.measure(train, test, labels(train, 1.0), labels(test, 1.0), 2.0, "robust")
    assert found["unseen_element_fraction"][1].tolist() == [0.0, pytest.approx(1 / 3), 0.0]
    assert found["composition_distance"][1][0] == 0 and (found["composition_distance"][1][1:] > 0.5).all()
    assert found["n_atoms"][1].tolist() == [3, 3, 9]
    wasserstein = found["spectrum_wasserstein"][1]
    assert wasserstein[0] == pytest.approx(wasserstein[1]) and wasserstein[2] > 10 * wasserstein[0] + 1e-6
    assert set(found) == set(shifts.CRITERIA)


def test_a_training_set_of_one_molecule_has_finite_distances():
    train = frames(*(("a", [6, 1, 1], chain(3, 1.1 + 0.05 * k)) for k in range(5)))
    found = shifts.measure(train, train, labels(train, 1.0), labels(train, 1.0), 2.6, "robust")
    for name, (known, values) in found.items():
        assert np.isfinite(known).all() and np.isfinite(values).all(), name
    assert found["spectrum_wasserstein_nearest"][1].max() == 0


def test_outside_counts_standard_deviations():
    known = np.array([0.0, 2.0])
    assert shifts.outside(known, np.array([-0.5, 1.5, 2.5]), "both", 1.0).tolist() == [True, False, True]
    assert shifts.outside(known, np.array([-0.5, 1.5, 2.5]), "upper", 1.0).tolist() == [False, False, True]


RADII = np.linspace(1.0, 6.0, 6)


def test_training_structures_keep_their_cutoff():
    train = frames(*((name, [6] * 5, chain(5)) for name in "abc"))
    choice = refinement.choose(train, train, 3.0, RADII)
    np.testing.assert_allclose(choice.published, 3.0)
    np.testing.assert_allclose(choice.fallback, 3.0)
    np.testing.assert_allclose(choice.at_trained, 0.0, atol=1e-12)


def test_compressed_chain_is_rewired_to_the_training_graph():
    """The same chain at half the spacing has the training spectrum at half the cutoff."""
    train = frames(*((name, [6] * 6, chain(6, spacing)) for name, spacing in (("a", 1.2), ("b", 1.25))))
    test = frames(("squeezed", [6] * 6, chain(6, 0.6)))
    choice = refinement.choose(train, test, 3.0, [1.5, 2.0, 3.0, 4.0])
    assert choice.published[0] == choice.fallback[0] == 1.5
    assert choice.distance[0, 0] == pytest.approx(0.0, abs=1e-12)
    assert choice.reason == [""]


def test_fallback_never_exceeds_the_trained_cutoff_nor_refines_larger_structures():
    train = frames(("a", [6] * 4, chain(4)), ("b", [6] * 5, chain(5)))
    rng = np.random.default_rng(0)
    test = frames(*((f"t{k}", [6] * n, rng.normal(scale=2, size=(n, 3))) for k, n in enumerate((3, 5, 8, 12))))
    choice = refinement.choose(train, test, 3.0, RADII)
    assert (choice.fallback <= 3.0).all()
    assert choice.fallback[2:].tolist() == [3.0, 3.0]
    assert choice.reason[3].startswith("larger")
    assert [r == "" for r in choice.reason] == (choice.fallback != 3.0).tolist()


def test_radii_must_be_positive():
    train = frames(("a", [6] * 4, chain(4)))
    with pytest.raises(UserError, match="radii"):
        refinement.choose(train, train, 3.0, [0.0, 1.0])
