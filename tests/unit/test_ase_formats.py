"""Whatever else ASE reads: recognised by name and content, labels of the calculator, one line for what is damaged."""

import numpy as np
import pytest
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from mlipshift.base.errors import UserError
from mlipshift.data.curation import convert
from mlipshift.data.readers import iterate, recognise

SETTINGS = {
    "keys": {"energy": "REF_energy", "forces": "REF_forces"},
    "units": {"energy": "kcal/mol", "length": "Bohr", "forces": "kcal/mol/Angstrom"},
    "trust_pickles": False,
}


def methanol():
    atoms = molecule("CH3OH")
    forces = np.arange(18.0).reshape(6, 3)
    atoms.calc = SinglePointCalculator(atoms, energy=-3.0, forces=forces)
    return atoms


@pytest.mark.parametrize("name", ["a.traj", "a.db", "a.pdb", "a.gen", "a.sdf", "a.mol"])
def test_structures_are_in_angstrom_whatever_the_units_of_extended_xyz(name, tmp_path):
    write(tmp_path / name, methanol())
    (record,) = iterate(tmp_path / name, "train", SETTINGS)
    assert recognise(tmp_path / name) == {"a.db": "asedb", "a.sdf": "sdf", "a.mol": "sdf"}.get(name, "ase")
    assert record.id == "train/a/00000" and record.molecule == "CH4O" and not record.pbc.any()
    assert np.array_equal(record.numbers, methanol().numbers)
    assert np.allclose(record.positions, methanol().positions, atol=1e-3)
    if name in ("a.traj", "a.db"):
        assert record.energy == -3.0 and np.array_equal(record.forces, methanol().calc.results["forces"])
    else:
        assert record.energy is None and record.forces is None


@pytest.mark.parametrize("suffix", ["traj", "db"])
def test_all_structures_of_a_file_come_in_order(suffix, tmp_path):
    names = ["CH4", "H2O", "CH3OH"]
    write(tmp_path / f"a.{suffix}", [molecule(name) for name in names])
    found = list(iterate(tmp_path / f"a.{suffix}", "train", SETTINGS))
    assert [len(record.numbers) for record in found] == [5, 3, 6]
    assert len({record.id for record in found}) == 3


@pytest.mark.parametrize("name", ["POSCAR", "a.cif"])
def test_crystals_are_read_and_refused_as_periodic(name, tmp_path):
    atoms = molecule("CH3OH", vacuum=5)
    atoms.pbc = True
    write(tmp_path / name, atoms)
    (record,) = iterate(tmp_path / name, "train", SETTINGS)
    with pytest.raises(ValueError, match="is periodic; set data.periodic to true"):
        convert(record, "train", False)
    row, label = convert(record, "train", False, crystals=True)
    assert label is None and row["pbc"].all()
    np.testing.assert_allclose(row["cell"], atoms.cell[:], atol=1e-6)


@pytest.mark.parametrize(("name", "content"), [("a.cif", b"data_x\nloop_\n_atom"), ("POSCAR", b"x\n1.0\n1 0 0\n")])
def test_a_damaged_file_is_one_line(name, content, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError) as caught:
        list(iterate(tmp_path / name, "train", SETTINGS))
    text = str(caught.value)
    assert name in text and "\n" not in text


def test_a_number_in_the_first_line_is_extended_xyz_whatever_the_name(tmp_path):
    write(tmp_path / "a.extxyz", methanol())
    (tmp_path / "a.log").write_bytes((tmp_path / "a.extxyz").read_bytes())
    assert recognise(tmp_path / "a.log") == "extxyz"
