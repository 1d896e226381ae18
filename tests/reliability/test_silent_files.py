"""Files as others write them: curation has the right charge, spin, units, ids and structures, or says a line."""

import json

import numpy as np
import pytest
from ase.build import molecule
from ase.db import connect
from ase.io import write

from mlipshift.base.frames import Frames, Labels
from mlipshift.base.units import ENERGY as SIZE
from scripts import assert_refused, run_script

ENERGY = -300.0  # eV
IONS = {"H3O": (1, 1), "OH": (-1, 1), "O2": (0, 3), "NH4": (1, 1)}  # charge, multiplicity
H3O = [[0, 0, 0.1], [0.94, 0, -0.2], [-0.47, 0.82, -0.2], [-0.47, -0.82, -0.2]]


def ions():
    """{name: Atoms} without charge and spin."""
    ammonium = molecule("CH4")
    ammonium.numbers[0] = 7
    hydronium = molecule("NH3")
    hydronium.numbers[0], hydronium.positions = 8, np.array(H3O)
    out = {"H3O": hydronium, "OH": molecule("OH"), "O2": molecule("O2"), "NH4": ammonium}
    for atoms in out.values():
        atoms.set_initial_magnetic_moments(None)
    return out


def curated(folder, *paths, **changes):
    """What curation of files as training data gives: (result of the script, frames, labels); these None if it fails."""
    settings = {
        "files": {"train": list(map(str, paths))},
        "checksums": None,
        "units": {},
        "keys": {"energy": "REF_energy", "forces": "REF_forces"},
        "labels": "optional",
        "bad_structures": "record",
        "max_structures_per_group": None,
        "trust_pickles": False,
        **changes,
    }
    out = {name: f"{name}.h5" for name in ("train", "train-reference", "test", "test-reference")}
    options = [word for name, value in out.items() for word in (f"--{name}", value)]
    options += ["--failures", "failures.csv", "--log", "curate.log"]
    done = run_script("curate", folder, "--settings", json.dumps(settings), *options)
    if done.status:
        return done, None, None
    frames = Frames.load(folder / "train.h5")
    return done, frames, Labels.load(folder / "train-reference.h5", frames)


def said(folder, words):
    """Lines of the log that have some words."""
    return "".join(line for line in (folder / "curate.log").read_text().splitlines() if words in line)


def conventions(atoms, charge, multiplicity):
    """{convention: Atoms that say charge and spin in it}."""
    said = {
        "MACE": {"total_charge": charge, "total_spin": multiplicity},
        "OMol25": {"charge": charge, "spin": multiplicity},
        "AIMNet2": {"charge": charge, "mult": multiplicity},
        "QCSchema": {"molecular_charge": charge, "molecular_multiplicity": multiplicity},
        "unpaired": {"charge": charge, "n_unpaired": multiplicity - 1},
    }
    out = {}
    for name, values in said.items():
        out[name] = atoms.copy()
        out[name].info.update(values)
    out["atoms"] = atoms.copy()
    first = np.arange(len(atoms)) == 0
    out["atoms"].set_initial_charges(first * charge)
    out["atoms"].set_initial_magnetic_moments(first * (multiplicity - 1.0))
    return out


@pytest.mark.parametrize("suffix", ["extxyz", "traj", "db"])
@pytest.mark.parametrize("convention", ["MACE", "OMol25", "AIMNet2", "QCSchema", "unpaired", "atoms"])
def test_ions_by_the_conventions_of_the_field(convention, suffix, tmp_path):
    images = [conventions(atoms, *IONS[name])[convention] for name, atoms in ions().items()]
    if suffix == "db":
        with connect(tmp_path / "a.db") as table:
            for atoms in images:
                table.write(atoms, data={key: value for key, value in atoms.info.items()})
    else:
        write(tmp_path / f"a.{suffix}", images)
    done, frames, _ = curated(tmp_path, tmp_path / f"a.{suffix}")
    assert done.status == 0, done.lines
    assert list(zip(frames.charge.tolist(), frames.multiplicity.tolist())) == list(IONS.values())


@pytest.mark.parametrize("unit", ["eV", "kcal/mol", "Hartree"])
def test_units_that_an_npz_says(unit, tmp_path):
    positions = molecule("H2O").positions + 0.01 * np.random.default_rng(0).normal(size=(4, 3, 3))
    arrays = {
        "R": positions,
        "F": np.ones((4, 3, 3)) / SIZE[unit],
        "E": np.full(4, ENERGY) / SIZE[unit],
        "z": [8, 1, 1],
    }
    np.savez(tmp_path / "a.npz", **arrays, e_unit=unit, r_unit="Ang")
    done, _, labels = curated(tmp_path, tmp_path / "a.npz")
    assert done.status == 0, done.lines
    np.testing.assert_allclose(labels.energy, ENERGY)
    np.testing.assert_allclose(labels.forces, 1.0)
    done, *_ = curated(tmp_path, tmp_path / "a.npz", units={"energy": "Hartree" if unit == "eV" else "eV"})
    assert_refused(done, "a.npz", f"its unit of energy is {unit}, but data.units.energy")
    np.savez(tmp_path / "b.npz", **arrays)
    done, _, labels = curated(tmp_path, tmp_path / "b.npz", units={"energy": unit})
    np.testing.assert_allclose(labels.energy, ENERGY)
    assert ("warning: " in said(tmp_path, "read in")) == (unit != "kcal/mol")


def test_files_of_one_name_in_several_folders(tmp_path):
    for folder in ("run1", "run2"):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder / "md.traj", [molecule("H2O"), molecule("CH4")])
    done, frames, _ = curated(tmp_path, tmp_path / "run1" / "md.traj", tmp_path / "run2" / "md.traj")
    assert done.status == 0, done.lines
    assert list(frames.ids) == [f"train/{folder}/md/{k:05d}" for folder in ("run1", "run2") for k in range(2)]


def test_a_contradiction_ends_the_run_or_is_a_row(tmp_path):
    atoms = molecule("H2O")
    atoms.info.update(charge=1, total_charge=0)
    write(tmp_path / "a.extxyz", [molecule("CH4"), atoms])
    done, frames, _ = curated(tmp_path, tmp_path / "a.extxyz")
    assert done.status == 0 and len(frames) == 1
    assert "charge is 1 by charge and 0 by total_charge" in (tmp_path / "failures.csv").read_text()
    done, *_ = curated(tmp_path, tmp_path / "a.extxyz", bad_structures="refuse")
    assert_refused(done, "frame 1", "charge is 1 by charge and 0 by total_charge", "data.keys.charge")


def test_what_is_not_read_and_what_is_taken_is_said(tmp_path):
    atoms = molecule("H2O")
    atoms.info.update(dft_charge=1, dft_energy=-2.0)
    write(tmp_path / "a.extxyz", [atoms] * 3)
    done, *_ = curated(tmp_path, tmp_path / "a.extxyz")
    assert done.status == 0
    for words in (
        "dft_charge (= 1) looks like a charge",
        "charge 0 and the lowest multiplicity taken",
        "but dft_energy",
    ):
        assert said(tmp_path, words).count("warning: ") == 1
