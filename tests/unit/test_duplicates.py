"""The same structure is found however it is written, another one is not, and nothing grows with their number."""

import numpy as np
import pytest
from ase.build import bulk, molecule

from mlipshift.data import duplicates
from mlipshift.data.duplicates import Duplicates, lines_of


def row(name, atoms, group="train", **changes):
    about = {"id": name, "group": group, "numbers": atoms.numbers, "positions": atoms.positions}
    return about | {"charge": 0, "multiplicity": 1, "cell": atoms.cell[:], "pbc": atoms.pbc} | changes


def moved(atoms, seed, digits=3, mirror=False):
    """The same molecule elsewhere, turned, in another order, with rounded positions."""
    rng = np.random.default_rng(seed)
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    turn *= np.linalg.det(turn) * (-1 if mirror else 1)
    order = rng.permutation(len(atoms))
    other = atoms[order]
    other.positions = (other.positions @ turn + rng.normal(size=3)).round(digits)
    return other


def rattled(name, seed, sigma):
    atoms = molecule(name)
    atoms.positions += np.random.default_rng(seed).normal(scale=sigma, size=atoms.positions.shape)
    return atoms


@pytest.mark.parametrize("name", ["H2O", "CH3CHO", "C60", "H2", "H"])
def test_a_copy_is_found_turned_shifted_reordered_reflected_and_rounded(name):
    for seed in range(12):
        found, atoms = Duplicates(), rattled(name, seed, 0.05)
        assert not found.add(row("a", atoms), -1.0)
        for k, mirror in enumerate((False, True)):
            assert found.add(row(f"b{k}", moved(atoms, seed, mirror=mirror), "id_test"), -1.0)
        assert len(found) == 2 and [copy["id"] for copy in found] == ["b0", "b1"]
        for copy in found:
            assert (copy["group"], copy["same_as"], copy["same_as_group"]) == ("id_test", "a", "train")
            assert copy["largest_difference_A"] <= 2e-3 and copy["energy_difference_eV"] == 0
        assert found.counts({"train": 1, "id_test": 2}) == [
            {"group": "id_test", "also_in": "train", "n_structures": 2, "n_of": 2},
            {"group": "id_test", "also_in": "id_test", "n_structures": 1, "n_of": 2},
        ]


def test_other_geometries_elements_and_charges_are_no_copies():
    found = Duplicates()
    base = rattled("CH3CH2OH", 0, 0.05)
    near = base.copy()
    near.positions[3, 0] += 0.02
    swapped = base.copy()
    swapped.numbers[[0, 2]] = swapped.numbers[[2, 0]]
    far = [molecule("H2O") + molecule("CH4") for _ in range(2)]
    far[0].positions[3:] += [0, 0, 8.0]
    far[1].positions[3:] += [0, 0, 9.0]
    others = [row("a", base), row("near", near), row("swapped", swapped), row("ion", base, charge=1, multiplicity=2)]
    others += [row(f"md{k}", rattled("CH3CH2OH", k, 0.05)) for k in range(1, 60)]
    others += [row(f"far{k}", atoms) for k, atoms in enumerate(far)]
    assert not any([found.add(r) for r in others])
    assert found.counts({"train": len(others)}) == []


def test_two_atoms_at_the_same_distance_by_chance_differ_in_their_energy():
    bonds = [molecule("N2") for _ in range(2)]
    bonds[1].positions[0, 2] += 7e-4
    for energies, same in (((-1.0, -1.0004), False), ((-1.0, -1.0), True), ((np.nan, np.nan), False)):
        found = Duplicates()
        found.add(row("a", bonds[0]), energies[0])
        assert found.add(row("b", bonds[1]), energies[1]) == same


def test_a_crystal_is_the_same_with_another_origin_and_wrapped():
    crystal = bulk("NaCl", "rocksalt", a=5.64, cubic=True)
    crystal.rattle(0.05, seed=1)
    other = crystal[np.random.default_rng(0).permutation(len(crystal))]
    other.positions += [0.7, 2.1, -3.3]
    other.wrap()
    larger = crystal.copy()
    larger.set_cell(crystal.cell[:] * 1.01, scale_atoms=True)
    found = Duplicates()
    assert [found.add(row(name, atoms)) for name, atoms in (("a", crystal), ("b", larger), ("c", other))] == [0, 0, 1]
    assert [copy["same_as"] for copy in found] == ["a"]


def test_a_class_of_copies_is_counted_once_per_group_and_said_in_one_line():
    found, atoms = Duplicates(), rattled("CH3CHO", 3, 0.05)
    for k, group in enumerate(("train", "train", "id_test", "ood_x", "ood_x")):
        found.add(row(str(k), moved(atoms, k), group))
    found.add(row("other", rattled("CH3CHO", 4, 0.05), "id_test"))
    counts = found.counts({"train": 2, "id_test": 2, "ood_x": 2})
    assert lines_of(counts) == [
        "1 of 2 structures of train repeat others of the group (same elements and positions)",
        "1 of 2 structures of id_test are also in train (same elements and positions)",
        "2 of 2 structures of ood_x are also in train (same elements and positions)",
        "2 of 2 structures of ood_x are also in id_test (same elements and positions)",
        "1 of 2 structures of ood_x repeat others of the group (same elements and positions)",
    ]


def test_few_structures_are_looked_at_whatever_their_number(monkeypatch):
    """Of thousands of geometries of one molecule next to none is compared with another in full."""
    compared = []
    exact = duplicates.difference
    monkeypatch.setattr(duplicates, "difference", lambda *pair: compared.append(1) or exact(*pair))
    found, base = Duplicates(), molecule("C6H6")
    rng = np.random.default_rng(0)
    for k in range(1500):
        atoms = base.copy()
        atoms.positions += rng.normal(scale=0.04, size=atoms.positions.shape)
        assert not found.add(row(str(k), atoms))
    assert len(compared) < 15
