"""What files say by names of their own: charge, spin, units, ids, molecules; contradictions, what is not read."""

import logging

import h5py
import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator
from ase.db import connect
from ase.io import write
from ase.io.trajectory import Trajectory

from mlipshift.base.errors import UserError
from mlipshift.base.units import BOHR, EV, KCAL
from mlipshift.data import readers
from mlipshift.data.readers.molecules import File, Molecules, fingerprint
from mlipshift.data.readers.state import state_of
from mlipshift.data.records import label_of, row_of

KEYS = {"energy": "REF_energy", "forces": "REF_forces"}
WATER = "O 0 0 0.12\nH 0 0.76 -0.48\nH 0 -0.76 -0.48\n"
HYDROXYL = "O 0 0 0\nH 0 0 0.97\n"


def read(path, units=None, reading=None, **keys):
    data = {"keys": {**KEYS, **keys}, "units": units or {}, "trust_pickles": True}
    return list(readers.iterate(path, "train", data, reading=reading))


def frame(path, comment, atoms=WATER):
    path.write_text(f"{atoms.count(chr(10))}\n{comment}\n{atoms}")
    return path


def only(path, **keys):
    (record,) = read(path, **keys)
    return record


@pytest.fixture
def said(caplog):
    """Function that returns the warnings so far."""
    caplog.set_level(logging.WARNING, "mlipshift")
    return lambda: "\n".join(record.getMessage() for record in caplog.records)


# charge and spin


@pytest.mark.parametrize(
    ("comment", "state"),
    [
        ("total_charge=-1 total_spin=1", (-1, 1)),
        ("charge=1 spin=3", (1, 3)),
        ("charge=1 mult=1", (1, 1)),
        ("CHARGE=1.0 Spin_Multiplicity=1", (1, 1)),
        ("charge=-1 uhf=2", (-1, 3)),
        ("charge=1 total_charge=1 multiplicity=3 n_unpaired=2", (1, 3)),
        ('molecular_charge=1 molecular_multiplicity=1 smiles="[OH+]"', (1, 1)),
        ('smiles="[OH-]"', (-1, 1)),
        ("", (0, 2)),
    ],
)
def test_charge_and_spin_by_the_names_of_the_field(tmp_path, comment, state):
    row = row_of(only(frame(tmp_path / "a.xyz", comment, HYDROXYL)), "train")
    assert (row["charge"], row["multiplicity"]) == state


@pytest.mark.parametrize(
    ("comment", "words"),
    [
        ("charge=1 total_charge=0", ["charge is 1 by charge and 0 by total_charge", "data.keys.charge"]),
        ("multiplicity=2 spin=4", ["multiplicity is 2 by multiplicity and 4 by spin"]),
        ("multiplicity=2 unpaired_electrons=3", ["multiplicity is 2 by multiplicity and 4 by unpaired_electrons"]),
        ('charge=0 smiles="[OH-]"', ["charge is 0 by charge and -1 by the SMILES"]),
        ("spin=1", ["spin is 1, which is no multiplicity", "set data.keys.unpaired_electrons to spin"]),
        ("total_spin=0 charge=1", ["total_spin is 0", "8 electrons"]),
        ("charge=plus", ["charge is plus, not a whole number"]),
    ],
)
def test_what_cannot_be_is_one_line_that_says_which_key_to_set(tmp_path, comment, words):
    with pytest.raises(ValueError) as caught:
        row_of(only(frame(tmp_path / "a.xyz", comment, HYDROXYL)), "train")
    assert all(word in str(caught.value) for word in words), caught.value


def test_the_settings_decide_between_keys_and_conventions(tmp_path):
    path = frame(tmp_path / "a.xyz", "charge=1 total_charge=0 spin=1 q=-1", HYDROXYL)
    assert row_of(only(path, charge="total_charge", unpaired_electrons="spin"), "x")["multiplicity"] == 2
    row = row_of(only(path, charge="q", multiplicity="spin"), "x")
    assert (row["charge"], row["multiplicity"]) == (-1, 1)


def test_the_usual_names_count_where_the_named_one_is_not_there(tmp_path):
    assert only(frame(tmp_path / "a.xyz", "charge=1"), charge="q").charge == 1


def test_a_crystal_without_a_known_spin_has_0_there():
    state = state_of({"charge": 0, "spin": 0}, np.array([26, 8]), {}, periodic=True)
    assert (state.charge, state.multiplicity, state.problem) == (0, None, "")


def test_what_looks_like_a_charge_a_spin_or_a_unit_and_is_not_read_is_named_once(tmp_path, said):
    text = f"3\ndft_charge=1 spin_state=triplet energy_unit=Hartree\n{WATER}" * 3
    (tmp_path / "a.xyz").write_text(text)
    read(tmp_path / "a.xyz")
    for words in (
        "dft_charge (= 1) looks like a charge",
        "spin_state (= triplet)",
        "energy_unit (= Hartree) is not read",
    ):
        assert said().count(words) == 1
    assert said().count("charge 0 and the lowest multiplicity taken") == 1


def test_words_of_a_comment_are_no_charge(tmp_path, said):
    assert only(frame(tmp_path / "a.xyz", "molecule with its total charge")).charge is None
    assert only(frame(tmp_path / "b.xyz", "-1 2")).charge is None
    assert "comment '-1 2' may be charge and multiplicity" in said()


def test_charges_of_atoms_that_contradict_the_charge_in_use_are_named(tmp_path, said):
    atoms = molecule("H2O")
    atoms.arrays["mulliken_charges"] = np.array([-1.4, 0.2, 0.2])
    write(tmp_path / "a.extxyz", atoms)
    read(tmp_path / "a.extxyz")
    assert "mulliken_charges add up to -1.00, but the charge in use is 0" in said()


def test_a_guess_of_moments_that_the_electrons_cannot_have_is_not_read(tmp_path, said):
    atoms = molecule("H2O")
    atoms.set_initial_magnetic_moments([1, 0, 0])
    write(tmp_path / "a.traj", atoms)
    assert row_of(only(tmp_path / "a.traj"), "x")["multiplicity"] == 1
    assert "initial_magmoms (= 1.0) looks like a multiplicity and is not read" in said()


def test_moments_that_were_computed_go_before_those_of_the_start(tmp_path):
    atoms = molecule("O2")
    atoms.set_initial_magnetic_moments([2, 2])
    atoms.calc = SinglePointCalculator(atoms, energy=-1.0, magmom=2.0)
    with Trajectory(tmp_path / "a.traj", "w") as trajectory:
        trajectory.write(atoms)
    assert row_of(only(tmp_path / "a.traj"), "x")["multiplicity"] == 3


GAUSSIAN = """ Entering Gaussian System, Link 0=g16
 #p B3LYP/6-31G(d)
 Charge = -1 Multiplicity = 1
                         Standard orientation:
 ---------------------------------------------------------------------
 Center     Atomic      Atomic             Coordinates (Angstroms)
 Number     Number       Type             X           Y           Z
 ---------------------------------------------------------------------
      1          8           0        0.000000    0.000000    0.000000
      2          1           0        0.000000    0.000000    0.970000
 ---------------------------------------------------------------------
 SCF Done:  E(RB3LYP) =  -75.0  A.U. after    9 cycles
"""


def test_charge_and_spin_of_inputs_and_outputs_of_programs(tmp_path):
    (tmp_path / "a.log").write_text(GAUSSIAN)
    (tmp_path / "b.com").write_text("#p HF/STO-3G\n\nhydroxide\n\n-1 1\nO 0.0 0.0 0.0\nH 0.0 0.0 0.97\n\n")
    for name in ("a.log", "b.com"):
        row = row_of(only(tmp_path / name), "x")
        assert (row["numbers"].tolist(), row["charge"], row["multiplicity"]) == ([8, 1], -1, 1)
    (tmp_path / "c.log").write_text(GAUSSIAN + GAUSSIAN.replace("Charge = -1", "Charge = 1"))
    with pytest.raises(UserError, match="holds calculations of charge -1 and 1"):
        read(tmp_path / "c.log")


# units


def npz(path, energy=1.0, length=1.0, **more):
    positions = np.array([[0, 0, 0.12], [0, 0.76, -0.48], [0, -0.76, -0.48]]) + 0.01 * np.arange(2)[:, None, None]
    forces = np.full((2, 3, 3), 0.5) * length / energy
    np.savez(path, R=positions / length, F=forces, E=np.array([-3.0, -3.5]) / energy, z=[8, 1, 1], **more)
    return path


@pytest.mark.parametrize(
    ("content", "stated"),
    [
        ({"energy": KCAL}, {}),
        ({"energy": 1.0, "e_unit": "eV", "r_unit": "Ang"}, {}),
        ({"energy": EV, "length": BOHR, "e_unit": b"Hartree", "r_unit": "a0"}, {}),
        ({"energy": KCAL, "e_unit": "<unknown>", "r_unit": "A"}, {}),
        ({"energy": EV, "r_unit": "Angstrom"}, {"energy": "Hartree"}),
        ({"energy": 1.0, "length": BOHR}, {"energy": "eV", "length": "Bohr"}),
        ({"energy": KCAL, "e_unit": "kcal/mol"}, {"energy": "kcal/mol"}),
    ],
)
def test_units_of_npz_are_those_of_the_file_or_the_settings_or_of_md17(tmp_path, content, stated):
    first, second = read(npz(tmp_path / "a.npz", **content), units=stated)
    np.testing.assert_allclose(first.positions[1], [0, 0.76, -0.48], atol=1e-12)
    energy, forces = label_of(second, True)
    assert energy == pytest.approx(-3.5)
    np.testing.assert_allclose(forces, 0.5)


@pytest.mark.parametrize(
    ("content", "stated", "words"),
    [
        ({"e_unit": "eV"}, {"energy": "kcal/mol"}, "unit of energy is eV, but data.units.energy is kcal/mol"),
        ({"r_unit": "Bohr"}, {"length": "Angstrom"}, "unit of length is Bohr, but data.units.length is Angstrom"),
        ({"e_unit": "kJ/mol"}, {}, "unit of energy is 'kJ/mol'; known are eV, Hartree, kcal/mol"),
        ({"r_unit": "nm"}, {}, "kcal/mol/nm is no unit of forces that is known; say data.units.forces"),
    ],
)
def test_units_that_contradict_each_other_or_are_unknown_are_one_line(tmp_path, content, stated, words):
    with pytest.raises(UserError) as caught:
        read(npz(tmp_path / "a.npz", **content), units=stated)
    assert words in str(caught.value) and "a.npz" in str(caught.value)


def test_units_of_hdf5_are_compared_with_those_of_the_format(tmp_path):
    for unit in ("hartree", "eV"):
        with h5py.File(tmp_path / "a.h5", "w") as handle:
            group = handle.create_group("water")
            group["atomic_numbers"], group["smiles"] = [8, 1, 1], ["O"]
            group["conformations"], group["dft_total_gradient"] = np.ones((2, 3, 3)), np.ones((2, 3, 3))
            group["dft_total_energy"] = [-1.0, -2.0]
            group["dft_total_energy"].attrs["units"] = unit
        if unit == "hartree":
            assert len(read(tmp_path / "a.h5")) == 2
    with pytest.raises(UserError, match="dft_total_energy says that it is in eV, not in Hartree"):
        read(tmp_path / "a.h5")


def test_labels_of_a_database_are_in_the_units_of_its_metadata(tmp_path):
    with connect(tmp_path / "a.db") as table:
        table.metadata = {
            "_distance_unit": "Ang",
            "_property_unit_dict": {"energy": "kcal/mol", "forces": "kcal/mol/A"},
        }
        table.write(molecule("H2O"), data={"energy": np.array([-2.0]), "forces": np.ones((3, 3))})
    energy, forces = label_of(only(tmp_path / "a.db", energy="energy", forces="forces"), True)
    assert energy == pytest.approx(-2 * KCAL) and np.allclose(forces, KCAL)


# several structures, atoms, labels


TWO = """water
  test                3D

  3  0  0  0  0  0            999 V2000
    0.0000    0.0000    0.1200 O   0  0  0  0  0  0
    0.0000    0.7600   -0.4800 H   0  0  0  0  0  0
    0.0000   -0.7600   -0.4800 D   0  0  0  0  0  0
M  END
> <id>
0007

$$$$
hydroxide
  test                3D

  2  0  0  0  0  0            999 V2000
    0.0000    0.0000    0.0000 O   0  5  0  0  0  0
    0.0000    0.0000    0.9700 H   0  0  0  0  0  0
M  END
$$$$
hydroxyl cation, a triplet

comment
  0  0  0  0  0  0            999 V3000
M  V30 BEGIN CTAB
M  V30 COUNTS 2 0 0 0 0
M  V30 BEGIN ATOM
M  V30 1 O 0 0 0 0 CHG=1 RAD=3
M  V30 2 H 0 0 0.97 0
M  V30 END ATOM
M  V30 END CTAB
M  END
"""


def test_all_structures_of_an_sdf_with_charges_and_radicals(tmp_path):
    (tmp_path / "a.sdf").write_text(TWO)
    rows = [row_of(record, "x") for record in read(tmp_path / "a.sdf")]
    assert [(row["molecule"], row["charge"], row["multiplicity"]) for row in rows] == [
        ("H2O", 0, 1),
        ("HO", -1, 1),
        ("HO", 1, 3),
    ]
    assert [row["id"] for row in rows] == ["0007", "train/a/00001", "train/a/00002"]


def test_a_damaged_structure_of_an_sdf_is_a_row_and_drawings_are_no_geometry(tmp_path):
    lines = TWO.replace("    0.0000    0.7600   -0.4800 H", "    here      0.7600   -0.4800 H")
    (tmp_path / "a.sdf").write_text(lines)
    first, second, third = read(tmp_path / "a.sdf")
    assert "it is no molfile" in first.problem and not second.problem and not third.problem
    row = "    0.0000    0.0000    0.0000 C   0  0\n"
    drawing = f"x\n     RDKit          2D\n\n{6:3}  0            999 V2000\n{6 * row}M  END\n"
    (tmp_path / "b.sdf").write_text(drawing)
    assert "coordinates of a drawing" in only(tmp_path / "b.sdf").problem


@pytest.mark.parametrize("name", ["a.gen", "POSCAR", "a.gro", "a.cfg", "coord", "b.com"])
def test_a_file_of_which_ase_reads_one_structure_holds_one(tmp_path, name):
    atoms = Atoms("OH2", molecule("H2O").positions, cell=[8, 9, 10], pbc=True)
    if name == "b.com":
        text = "#p HF/STO-3G\n\nwater\n\n0 1\nO 0.0 0.0 0.0\nH 0.0 0.0 0.97\nH 0.0 0.9 -0.3\n\n"
        again = "--Link1--\n"
    else:
        write(tmp_path / name, atoms)
        text, again = (tmp_path / name).read_text(), ""
    (tmp_path / name).write_text(text)
    assert len(read(tmp_path / name)) == 1
    (tmp_path / name).write_text(text + again + text)
    with pytest.raises(UserError, match="ASE reads one structure of a file of format"):
        read(tmp_path / name)


def test_velocities_behind_the_positions_of_a_poscar_are_no_second_structure(tmp_path):
    write(tmp_path / "POSCAR", Atoms("OH2", molecule("H2O").positions, cell=[8, 9, 10], pbc=True))
    with open(tmp_path / "POSCAR", "a") as handle:
        handle.write("\n" + "  0.0 0.1 0.2\n" * 3 + "\n 1\n 0.5\n 0.0 0.0 0.0 0.0\n" + " 0.1 0.2 0.3\n" * 9)
    assert len(read(tmp_path / "POSCAR")) == 1


@pytest.mark.parametrize("oxygen", ["8", "o"])
def test_isotopes_and_atomic_numbers_are_elements(tmp_path, said, oxygen):
    frame(tmp_path / "a.xyz", "charge=0", f"{oxygen} 0 0 0.12\nD 0 0.76 -0.48\nT 0 -0.76 -0.48\n")
    assert only(tmp_path / "a.xyz").numbers.tolist() == [8, 1, 1]
    assert "D is read as H" in said()


def test_a_byte_order_mark_is_no_part_of_a_text(tmp_path):
    (tmp_path / "a.xyz").write_text(f"3\ncharge=0\n{WATER}", encoding="utf-8-sig")
    assert readers.recognise(tmp_path / "a.xyz") == "extxyz" and len(read(tmp_path / "a.xyz")) == 1


def test_a_frame_that_cannot_be_read_is_a_row_and_the_next_one_is_read(tmp_path):
    (tmp_path / "a.xyz").write_text(f"3\n\nO 0 0\nH 0 0\nH 0\n3\nid=b\n{WATER}")
    first, second = read(tmp_path / "a.xyz")
    with pytest.raises(ValueError, match="damaged, it cannot be read as extended XYZ"):
        row_of(first, "x")
    assert second.id == "b" and row_of(second, "x")


def test_labels_under_other_names_are_named(tmp_path, said):
    text = (
        f"3\nProperties=species:S:1:pos:R:3:dft_forces:R:3 dft_energy=-1\n{WATER.replace(chr(10), ' 0 0 0' + chr(10))}"
    )
    (tmp_path / "a.xyz").write_text(text * 2)
    read(tmp_path / "a.xyz")
    assert said().count("dft_energy, dft_forces") == 1


def test_a_json_database_of_ase_is_no_mptrj(tmp_path):
    write(tmp_path / "a.json", [molecule("H2O"), molecule("CH4")])
    assert readers.recognise(tmp_path / "a.json") == "asedb"
    assert [len(record.numbers) for record in read(tmp_path / "a.json")] == [3, 5]


def test_atomic_numbers_of_each_structure(tmp_path):
    numbers = np.array([[8, 1, 1, 0], [6, 8, 0, 0]])
    np.savez(tmp_path / "a.npz", R=np.ones((2, 4, 3)), E=[-1.0, -2.0], z=numbers, N=[3, 3], Q=[0, 1], S=[0, 1])
    first, second = read(tmp_path / "a.npz")
    assert first.numbers.tolist() == [8, 1, 1] and first.positions.shape == (3, 3) and first.forces is None
    assert (second.charge, second.multiplicity) == (1, 2)
    assert "N says 3 atoms, z has 2" in second.problem


def test_arrays_of_npz_that_have_two_names_are_not_chosen_between(tmp_path):
    npz(tmp_path / "a.npz", coords=np.ones((2, 3, 3)))
    assert len(read(tmp_path / "a.npz")) == 2, "MD17's names are complete"
    np.savez(tmp_path / "b.npz", R=np.ones((2, 3, 3)), z=[8, 1, 1], energies=[1, 2], energy=[3, 4])
    with pytest.raises(UserError, match="energies and energy for energy; say in data.keys.energy which one"):
        read(tmp_path / "b.npz")
    assert [r.energy / KCAL for r in read(tmp_path / "b.npz", energy="energy")] == pytest.approx([3, 4])


# ids


def test_ids_are_texts(tmp_path):
    (tmp_path / "a.xyz").write_text("".join(f"3\nid={name}\n{WATER}" for name in ('"0007"', "7", "1e5", "T")))
    assert [record.id for record in read(tmp_path / "a.xyz")] == ["0007", "7", "1e5", "T"]


@pytest.mark.parametrize("smiles", ["F", "[OH-]", r"F/C=C\F", "N", "[H][H]"])
def test_smiles_are_texts(tmp_path, smiles):
    frame(tmp_path / "a.xyz", f"smiles={smiles} charge=3", HYDROXYL)
    frame(tmp_path / "b.xyz", f'smiles="{smiles}" charge=3', HYDROXYL)
    assert [only(tmp_path / name).smiles for name in ("a.xyz", "b.xyz")] == [smiles] * 2


def test_ids_of_files_of_one_name_have_as_much_of_the_path_as_they_need(tmp_path):
    paths = [tmp_path / name for name in ("a/run/md.xyz", "b/run/md.xyz", "b/md.xyz", "b/md.traj", "b/other.xyz")]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, molecule("H2O"), format="extxyz" if path.suffix == ".xyz" else "traj")
    reading = readers.Reading({"train": list(map(str, paths))})
    ids = [read(str(path), reading=reading)[0].id for path in paths]
    assert ids[:2] == ["train/a/run/md/00000", "train/b/run/md/00000"] and ids[4] == "train/other/00000"
    assert len(set(ids)) == 5


# molecules


def names(frames, smiles=None):
    file = File(Molecules())
    return [file.name(a.numbers, a.positions, (smiles or [""] * 99)[k]) for k, a in enumerate(frames)]


def rattled(name, seed, sigma=0.05):
    atoms = molecule(name)
    atoms.rattle(sigma, seed=seed)
    return atoms


def test_isomers_are_different_molecules_and_conformers_are_not():
    frames = [rattled(name, k) for k in range(3) for name in ("CH3CH2OH", "CH3OCH3", "H2O")]
    found = names(frames)
    assert found[:3] == ["C2H6O", "C2H6O-2", "H2O"] and found == found[:3] * 3
    shuffled = rattled("CH3OCH3", 7)[np.random.default_rng(0).permutation(9)]
    shuffled.rotate(70, "x")
    assert names([*frames, shuffled])[-1] == "C2H6O-2"


def test_a_trajectory_is_one_molecule_whatever_its_bonds_do():
    """A dissociation, in small steps, in large ones, and from its end."""
    atoms = molecule("CH3CH2OH")
    hydrogen = next(k for k in range(9) if atoms.numbers[k] == 1 and atoms.get_distance(1, k) < 1.1)
    frames = []
    for distance in np.arange(0.9, 5, 0.3):
        frames.append(atoms.copy())
        frames[-1].set_distance(1, hydrogen, distance, fix=0)
    for order in (frames, frames[::5], frames[::-1], frames[::-5]):
        assert set(names(order)) == {"C2H6O"}


def test_the_shared_proton_of_an_enol_makes_no_molecule():
    malonaldehyde = Atoms("C3O2H4", [[0, 1.3, 0], [1.2, 0.6, 0], [-1.2, 0.6, 0], [1.25, -0.7, 0], [-1.25, -0.7, 0],
                                     [0, 2.4, 0], [2.15, 1.15, 0], [-2.15, 1.15, 0], [0, 0, 0]])  # fmt: skip
    frames = []
    for x in (0.4, -0.4, 0.05, 0.0):
        frames.append(malonaldehyde.copy())
        frames[-1].positions[8] = [x, -1.2, 0]
    assert len(set(names(frames))) == 1


def test_smiles_tell_isomers_that_bonds_do_not():
    frames = [molecule("C2H4")] * 4
    assert names(frames, ["F/C=C/F", r"F/C=C\F", "F/C=C/F", r"C(\F)=C/F"]) == ["C2H4", "C2H4-2", "C2H4", "C2H4"]
    assert names(frames[:2], ["C=C", ""]) == ["C2H4", "C2H4"], "with and without SMILES"


def test_graphs_that_colour_refinement_confuses_have_different_fingerprints():
    """Decalin and bicyclopentyl, the textbook pair, without their hydrogens."""
    ring = lambda atoms: [(a, b) for a, b in zip(atoms, [*atoms[1:], atoms[0]])]
    bonds = lambda pairs: np.array(sorted(tuple(sorted(pair)) for pair in set(pairs)))
    decalin = bonds([*ring([0, 1, 2, 3, 4, 5]), *ring([0, 6, 7, 8, 9, 5])[:-1]])
    bicyclopentyl = bonds([*ring([0, 1, 2, 3, 4]), *ring([5, 6, 7, 8, 9]), (0, 5)])
    carbons = np.full(10, 6)
    assert len(decalin) == len(bicyclopentyl) == 11
    assert fingerprint(carbons, decalin) != fingerprint(carbons, bicyclopentyl)
    order = np.random.default_rng(0).permutation(10)
    assert fingerprint(carbons, bonds(map(tuple, order[decalin]))) == fingerprint(carbons, decalin)
