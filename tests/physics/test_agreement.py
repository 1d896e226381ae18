"""Sign and unit of labels are judged by a prior of another kind: wrong ones are named, true ones pass."""

import numpy as np
import pytest
from ase.build import molecule

from mlipshift.base.units import BOHR, EV, KCAL
from mlipshift.prior.agreement import PLAUSIBLE, UNCHECKED, Agreement, seeming
from mlipshift.prior.labels import label

NAMES = ("H2O", "CH3OH", "NH3", "HCN", "C2H4", "CH3Cl", "H2CO")
UNITS = {"energy": "eV", "forces": "eV/Angstrom"}


@pytest.fixture(scope="module")
def labelled():
    """[(molecule, GFN2-xTB label, GFN1-xTB label)] of two to four geometries of some molecules."""
    rng, out = np.random.default_rng(0), []
    for name in NAMES:
        for _ in range(4):
            atoms = molecule(name)
            x = atoms.positions + rng.normal(scale=0.05, size=atoms.positions.shape)
            out.append((name, *(label(atoms.numbers, x, 0, 1, m) for m in ("GFN2-xTB", "GFN1-xTB"))))
    return out


def verdict(labelled, change, units=UNITS):
    """Verdict on GFN1-xTB as the reference; change: function of number, energy and forces."""
    found = Agreement(["g"], "GFN2-xTB", units)
    for k, (name, prior, reference) in enumerate(labelled):
        found.add("g", name, prior, change(k, *reference))
    word, lines, refused = found.verdict("g")
    (row,) = found.rows()
    assert row["verdict"] == word and row["group"] == "g"
    return word, " ".join(lines), refused, row


def test_labels_of_another_method_are_plausible(labelled):
    word, said, refused, row = verdict(labelled, lambda k, e, f: (e, f))
    assert (word, said, refused) == (PLAUSIBLE, "", False)
    assert row["correlation"] > 0.95 and 0.8 < row["slope"] < 1.25 and row["n_structures"] == len(labelled)
    assert row["energy_correlation"] > 0.95 and 0.8 < row["energy_slope"] < 1.25
    # half labels are judged by what there is
    for change in (lambda k, e, f: (np.nan, f), lambda k, e, f: (e, np.full_like(f, np.nan))):
        assert verdict(labelled, change)[0] == PLAUSIBLE


def test_gradients_are_refused(labelled):
    word, said, refused, row = verdict(labelled, lambda k, e, f: (e, -f))
    assert word == "sign of the gradient" and refused and row["slope"] < -0.8
    assert "have the sign of the gradient" in said and "multiply them by -1" in said
    assert verdict(labelled, lambda k, e, f: (-e, f))[0] == "sign of the energy"
    # a wrong sign in a wrong unit is a wrong sign
    assert verdict(labelled, lambda k, e, f: (e, -f * BOHR / EV))[0] == "sign of the gradient"


@pytest.mark.parametrize(
    ("unit", "size", "mend"),
    [
        ("Hartree/Bohr", EV / BOHR, "set data.units.forces to Hartree/Bohr"),
        ("kcal/mol/Angstrom", KCAL, "set data.units.forces to kcal/mol/Angstrom"),
        ("Hartree/Angstrom", EV, "set data.units.forces to Hartree/Angstrom"),
        ("kJ/mol/Angstrom", KCAL / 4.184, "convert the files"),
        ("kJ/mol/nm", KCAL / 41.84, "convert the files"),
        ("meV/Angstrom", 1e-3, "convert the files"),
    ],
)
def test_a_wrong_unit_of_forces_is_named_with_its_mend(labelled, unit, size, mend):
    word, said, refused, _ = verdict(labelled, lambda k, e, f: (e, f / size))
    assert refused and unit in said and mend in said and "times those of GFN2-xTB" in said
    assert f"{unit} read as eV/Angstrom" in said


@pytest.mark.parametrize(("unit", "size"), [("Hartree", EV), ("kcal/mol", KCAL), ("meV", 1e-3)])
def test_a_wrong_unit_of_energies_is_seen_in_their_differences(labelled, unit, size):
    """Whatever is added to them: energies of formation or of binding."""
    _, said, refused, _ = verdict(labelled, lambda k, e, f: ((e + 1000.0) / size - 7.0, f))
    assert refused and f"{unit} read as eV" in said and said.startswith("energy differences")


def test_a_unit_is_named_relative_to_what_the_file_is_said_to_be_in():
    assert seeming(1.1 * KCAL, "kcal/mol/Angstrom", {"kcal/mol/Angstrom": KCAL, "eV/Angstrom": 1.0}) == [
        ("eV/Angstrom", "kcal/mol/Angstrom")
    ]
    assert seeming(1.1, "eV/Angstrom", {"eV/Angstrom": 1.0, "kcal/mol/Angstrom": KCAL}) == []


def test_forces_of_other_structures_and_a_mixed_group_are_said_and_not_refused(labelled):
    turned = lambda k, e, f: (e, f[::-1][:, [1, 2, 0]])
    word, said, refused, _ = verdict(labelled, turned)
    assert not refused and "are unlike those of GFN2-xTB" in said
    word, said, refused, _ = verdict(labelled, lambda k, e, f: (e, -f if k % 4 == 0 else f))
    assert word == "odd" and not refused
    assert f"forces of {len(NAMES)} of {4 * len(NAMES)} structures of g have the sign of the gradient" in said
    word, said, refused, _ = verdict(labelled, lambda k, e, f: (e, f / 51.4 if k % 4 == 0 else f))
    assert word == "odd" and "are of another size" in said


def test_minima_and_too_few_structures_are_not_judged(labelled):
    rng = np.random.default_rng(1)
    for change in (lambda k, e, f: (np.nan, 1e-4 * rng.normal(size=f.shape)), lambda k, e, f: (np.nan, 0 * f)):
        word, _, refused, _ = verdict(labelled, change)
        assert word == UNCHECKED and not refused
    word, said, _, _ = verdict(labelled[:2], lambda k, e, f: (e, -f))
    assert word == UNCHECKED and "were not checked: too few structures" in said
