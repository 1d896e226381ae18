"""Labels that are wrong, halved or missing, structures that occur twice or are left out: a run and its page say so."""

import json
import re

import numpy as np
import pandas as pd
import pytest
import yaml
from ase import Atoms
from ase.build import molecule
from ase.io import write

from clone import copy_repository, snakemake
from mlipshift.base.units import BOHR, EV, KCAL
from mlipshift.prior.labels import label
from scripts import assert_refused, run_script

NAMES = ("H2O", "CH3OH", "NH3", "C2H4", "HCN", "H2CO", "CH4", "C2H6")
UNITS = {"energy": "eV", "length": "Angstrom", "forces": "eV/Angstrom"}


def structures(seed, copies=1, method="GFN1-xTB"):
    """Molecules of which no two are alike, with energies and forces."""
    rng, out = np.random.default_rng(seed), []
    for name in NAMES * copies:
        atoms = molecule(name)
        atoms = Atoms(atoms.numbers, atoms.positions + rng.normal(scale=0.05, size=atoms.positions.shape))
        energy, forces = label(atoms.numbers, atoms.positions, 0, 1, method)
        atoms.info["REF_energy"], atoms.arrays["REF_forces"] = energy, forces
        out.append(atoms)
    return out


def put(folder, **groups):
    """Files of groups; returns what data.files says of them."""
    for group, frames in groups.items():
        write(folder / f"{group}.extxyz", frames, format="extxyz")
    return {group: [str(folder / f"{group}.extxyz")] for group in groups}


def without(frames, *keys):
    """The frames without some of their labels."""
    out = [atoms.copy() for atoms in frames]
    for atoms in out:
        for key in keys:
            (atoms.info if key == "REF_energy" else atoms.arrays).pop(key)
    return out


def scaled(frames, factor, energy=1.0):
    out = [atoms.copy() for atoms in frames]
    for atoms in out:
        atoms.arrays["REF_forces"] = factor * atoms.arrays["REF_forces"]
        atoms.info["REF_energy"] *= energy
    return out


def curated(folder, files, **changes):
    """curate and check_labels of files, as their rules run them; the second only if the first went well."""
    settings = {
        "files": files, "checksums": None, "units": UNITS, "keys": {"energy": "REF_energy", "forces": "REF_forces"},
        "bad_structures": "record", "max_structures_per_group": None, "labels": "optional", **changes,
    }  # fmt: skip
    stores = [w for n in ("train", "train-reference", "test", "test-reference") for w in (f"--{n}", f"{n}.h5")]
    tables = [w for n in ("failures", "census", "duplicates", "duplicate-counts") for w in (f"--{n}", f"{n}.csv")]
    words = ("--settings", json.dumps(settings), *stores, *tables, "--lines", "said.txt", "--log", "curate.log")
    done = run_script("curate", folder, *words)
    if done.status:
        return done
    return run_script(
        "check_labels", folder, "--frames", "test.h5", "--reference", "test-reference.h5", "--sample", 20,
        "--method", "GFN2-xTB", "--engine", "tblite", "--accuracy", 1.0, "--units", json.dumps(settings["units"]),
        "--action", "refuse", "--output", "check.csv", "--lines", "check.txt",
    )  # fmt: skip


@pytest.fixture(scope="module")
def sound():
    return structures(0), structures(1)


WRONG = {
    "gradients": (-1.0, "have the sign of the gradient", "multiply them by -1"),
    "hartree per bohr": (BOHR / EV, "look like Hartree/Bohr", "set data.units.forces to Hartree/Bohr"),
    "kcal/mol": (1 / KCAL, "look like kcal/mol/Angstrom", "set data.units.forces to kcal/mol/Angstrom"),
    "meV": (1000.0, "look like", "meV/Angstrom read as eV/Angstrom"),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("energies", [True, False])
def test_one_geometry_of_every_molecule_is_enough_to_see_a_wrong_sign_or_unit(sound, tmp_path, name, energies):
    """No trajectory: nothing but the prior can know."""
    factor, *words = WRONG[name]
    test = scaled(sound[1], factor)
    files = put(tmp_path, train=sound[0], id_test=sound[1], ood_new=test if energies else without(test, "REF_energy"))
    line = assert_refused(curated(tmp_path, files), "ood_new", *words)
    assert "id_test" not in line


def test_true_labels_pass_and_the_table_has_the_numbers(sound, tmp_path):
    done = curated(tmp_path, put(tmp_path, train=sound[0], ood_new=sound[1]))
    assert done.status == 0 and (tmp_path / "check.txt").read_text() == ""
    (row,) = pd.read_csv(tmp_path / "check.csv").to_dict("records")
    assert row["verdict"] == "plausible" and row["correlation"] > 0.9 and row["n_structures"] >= 7


def test_what_cannot_be_checked_is_said(sound, tmp_path):
    done = curated(tmp_path, put(tmp_path, train=sound[0], ood_few=sound[1][:1]))
    assert done.status == 0
    assert (tmp_path / "check.txt").read_text().startswith("sign and unit of the labels of ood_few were not checked:")


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return copy_repository(tmp_path_factory.mktemp("silent") / "clone")


def diagnose(directory, run, files, check=True, **data):
    config = {"run": run, "data": {"files": files, "labels": "optional", "bad_structures": "record", **data}}
    (directory / f"{run}.yaml").write_text(yaml.safe_dump(config | {"shifts": {"labels": ["reference"]}}))
    return snakemake(directory, "diagnose", "--configfile", f"{run}.yaml", check=check)


def words_of(page):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", re.sub(r"data:[^\"]*", "", page)))


def test_the_run_and_its_page_say_what_the_files_lack(sound, directory):
    """Half labels, isolated atoms, broken frames and copies of training structures, in one run."""
    atom = Atoms("O", [[0, 0, 0]], info={"REF_energy": -80.0, "config_type": "IsolatedAtom"})
    broken = [atoms.copy() for atoms in sound[1][:3]]
    for atoms in broken:
        atoms.arrays["REF_forces"][0, 0] = np.nan
    turned = sound[0][1].copy()
    turned.rotate(40, (1, 2, 3), rotate_cell=False)
    turned.positions = turned.positions[[1, 0, *range(2, len(turned))]].round(3)
    turned.numbers[:2] = turned.numbers[[1, 0]]
    turned = without([turned], "REF_forces")
    files = put(
        directory, train=[*without(sound[0], "REF_energy"), atom], ood_new=[*broken, *sound[1][3:], *turned],
        ood_lost=broken,
    )  # fmt: skip
    done = diagnose(directory, "half", files)
    said = [
        "1 of 9 structures of train were left out: isolated atom (1)",
        "8 of 8 structures of train have forces and no energy REF_energy",
        "3 of 9 structures of ood_new were left out: REF_forces is not finite (3)",
        "1 of 6 structures of ood_new have an energy and no forces REF_forces",
        "3 of 3 structures of ood_lost were left out: REF_forces is not finite (3); nothing is left of the group",
        "1 of 6 structures of ood_new are also in train (same elements and positions)",
    ]
    page = words_of((directory / "results/half/diagnosis.html").read_text(encoding="utf-8"))
    for line in said:
        assert line in done.stdout + done.stderr and line in page, line
    tables = directory / "results/half/tables"
    failures = pd.read_csv(tables / "failures.csv")
    assert dict(failures.group.value_counts()) == {"ood_new": 3, "ood_lost": 3, "train": 1}
    census = pd.read_csv(tables / "census.csv").set_index("group")
    assert census.loc["ood_lost", ["n_read", "n_used"]].tolist() == [3, 0]
    assert pd.read_csv(tables / "duplicates.csv").same_as_group.tolist() == ["train"]
    assert set(pd.read_csv(tables / "label_check.csv").group) == {"train", "ood_new"}


def test_a_training_set_of_which_nothing_is_left_is_listed_where_the_run_says(sound, directory):
    lost = [atoms.copy() for atoms in sound[0]]
    for atoms in lost:
        atoms.arrays["REF_forces"][0, 0] = np.inf
    done = diagnose(directory, "lost", put(directory, train=lost, ood_new=sound[1]), check=False)
    (line,) = [text for text in (done.stdout + done.stderr).splitlines() if text.startswith("error: ")]
    assert "8 of 8 structures of train were left out: REF_forces is not finite (8)" in line
    assert len(pd.read_csv(directory / re.search(r"see (\S+)", line)[1])) == 8


def test_nothing_is_shown_of_gradients(sound, directory):
    done = diagnose(directory, "sign", put(directory, train=scaled(sound[0], -1), ood_new=sound[1]), check=False)
    (line,) = [text for text in (done.stdout + done.stderr).splitlines() if text.startswith("error: ")]
    assert "forces of train have the sign of the gradient" in line and "data.label_check" in line
    assert not (directory / "results/sign/diagnosis.html").exists()
    assert not (directory / "results/sign/tables/shifts.csv").exists()
