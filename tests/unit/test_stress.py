"""The stress set: its table, its geometries, the labels that are there so far; and the calibration set."""

import argparse
import csv
import runpy
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import yaml
from ase import Atoms
from ase.build import molecule
from ase.io import read

from mlipshift.base.errors import UserError
from mlipshift.base.geometry import bonds, nearest
from mlipshift.base.limits import check_spin
from mlipshift.base.tables import read_table
from mlipshift.data import curation
from mlipshift.labelling import reference, stress, stress_set
from mlipshift.shift.training import Spectra, Statistics

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "resources" / "stress"
CALIBRATION = ROOT / "resources" / "calibration"
GROUPS = ["ordinary", "stretched", "compressed", "hot", "strained", "radicals", "ions", "elements", "floppy"]
SHARDS = 49


def script(name):
    """What a script defines."""
    return runpy.run_path(str(ROOT / "workflow" / "scripts" / f"{name}.py"))


def table(path):
    with open(path, newline="") as handle:
        return list(csv.DictReader(handle))


@pytest.fixture(scope="module")
def rows():
    return table(FOLDER / "molecules.csv")


@pytest.fixture(scope="module")
def geometries():
    return read(FOLDER / "geometries.extxyz", index=":")


def test_groups_are_large_and_their_halves_apart(rows):
    assert {r["group"] for r in rows} == set(GROUPS)
    for group in GROUPS:
        halves = Counter(r["role"] for r in rows if r["group"] == group)
        assert set(halves) == {"validation", "held_out"}
        assert sum(halves.values()) >= 10 and abs(halves["validation"] - halves["held_out"]) <= 1
    roles = {(r["name"], r["role"]) for r in rows}
    assert len(roles) == len({name for name, _ in roles}), "a molecule has one role in all groups"
    # what is held out in the embedded benchmark is held out here
    for row in rows:
        halves = {item.split("_")[0] == "ood" for item in row["plan"].split() if "/" in item}
        assert halves <= {row["role"] == "held_out"}


def test_geometries_are_those_of_the_table(rows, geometries):
    known = {(r["group"], r["name"]): r for r in rows}
    count = Counter((a.info["group"], a.info["molecule"]) for a in geometries)
    ids = [a.info["id"] for a in geometries]
    assert len(set(ids)) == len(ids) >= 400 and set(count) == set(known)
    for key, row in known.items():
        taken = [item for item in row["plan"].split() if "/" in item]
        assert count[key] == len(taken) + sum(n for _, _, n in stress.plan(row["plan"])) and set(taken) <= set(ids)
    for group in GROUPS:
        assert sum(n for (g, _), n in count.items() if g == group) >= 40
    for a in geometries:
        row = known[a.info["group"], a.info["molecule"]]
        assert a.info["role"] == row["role"]
        assert (a.info["charge"], a.info["multiplicity"]) == (int(row["charge"]), int(row["multiplicity"]))
        check_spin(a.numbers, a.info["charge"], a.info["multiplicity"])
        assert nearest(a.numbers, a.positions)[1].min() > 0.5
    assert {5, 14, 15, 34, 35, 53} <= {z for a in geometries if a.info["group"] == "elements" for z in a.numbers}


def test_labels_so_far_belong_to_the_geometries(geometries):
    for path in sorted((FOLDER / "shards").glob("*.extxyz")):
        due = {a.info["id"]: a for a in geometries[int(path.stem) :: SHARDS]}
        labelled = read(path, index=":")
        failed = [r["id"] for r in table(path.with_suffix(".failures.csv"))]
        assert sorted([a.info["id"] for a in labelled] + failed) == sorted(due), path.name
        for a in labelled:
            before, forces = due[a.info["id"]], a.arrays["REF_forces"]
            assert (a.numbers == before.numbers).all() and np.abs(a.positions - before.positions).max() < 1e-6
            assert np.abs(forces.sum(0)).max() < 1e-5 and np.linalg.norm(forces, axis=1).max() <= 10.0
            assert a.info["stability"] in ("stable", "followed", "unstable")
            if a.info["kohn_sham"] == "restricted":
                assert a.info["multiplicity"] == 1 and a.info["s2"] == 0


def test_a_stretched_bond_is_the_only_one_that_changes():
    ethane = molecule("C2H6")
    positions = stress.stretched(ethane, (0, 1), 180, np.random.default_rng(0))
    pulled = Atoms(ethane.numbers, positions)
    whole, left = bonds(ethane.numbers, ethane.positions), bonds(pulled.numbers, pulled.positions)
    assert whole - left == {(0, 1)} and left < whole
    assert pulled.get_distance(0, 1) == pytest.approx(1.8 * ethane.get_distance(0, 1), abs=6 * stress.NOISE)
    with pytest.raises(UserError, match="no bond that can be cut"):
        stress.stretched(molecule("C3H6_D3h"), (0, 1), 180, np.random.default_rng(0))


@pytest.mark.parametrize("percent", [90, 60])
def test_pressed_molecules_touch_as_closely_as_asked(percent):
    parts = [molecule("CH4"), molecule("H2O")]
    positions = stress.pressed(parts, percent, np.random.default_rng(1))
    radii = [stress.vdw_radii[p.numbers] for p in parts]
    contacts = np.linalg.norm(positions[:5, None] - positions[None, 5:], axis=-1) / (radii[0][:, None] + radii[1])
    assert contacts.min() == pytest.approx(percent / 100, abs=0.01)
    for part, moved in zip(parts, (positions[:5], positions[5:])):
        np.testing.assert_allclose(Atoms(part.numbers, moved).get_all_distances(), part.get_all_distances(), atol=1e-10)


def test_a_wrong_plan_is_refused():
    assert stress.plan("train/water/00 md300:2 press70:1") == [("md", 300, 2), ("press", 70, 1)]
    with pytest.raises(UserError, match="no sampling plan"):
        stress.plan("melt300:2")


def assembled(folder, shards, quality=None):
    """What the script writes from some shards."""
    arguments = {
        "molecules": FOLDER / "molecules.csv",
        "geometries": FOLDER / "geometries.extxyz",
        "shards": shards,
        "shard_failures": [path.with_suffix(".failures.csv") for path in shards],
        "of": SHARDS,
        "quality": quality,
        "output": folder,
    }
    script("assemble_stress")["main"](argparse.Namespace(**arguments))
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_set_is_what_its_shards_make(tmp_path):
    """A shard that is added without `snakemake assemble_stress` is seen here."""
    quality = FOLDER / "quality.csv"
    written = assembled(tmp_path, sorted((FOLDER / "shards").glob("*.extxyz")), quality if quality.exists() else None)
    assert len(written) == 2 * len(GROUPS) + 3
    assert [name for name, content in written.items() if (FOLDER / name).read_bytes() != content] == []


def test_missing_shards_are_said_and_the_rest_is_assembled(tmp_path, caplog, rows):
    paths = sorted((FOLDER / "shards").glob("*.extxyz"))[2:40]
    written = assembled(tmp_path, paths)
    sheet = written["README.md"].decode()
    assert "**Unfinished:** 11 of 49 shards" in sheet and "000, 001, 040" in sheet and "000, 001, 040" in caplog.text
    rank = {(r["group"], r["name"]): k for k, r in enumerate(rows)}
    frames = [read(tmp_path / f"{half}_{group}.extxyz", index=":") for half in ("val", "ood") for group in GROUPS]
    assert sum(map(len, frames)) == sum(len(read(path, index=":")) for path in paths)
    for some in frames:
        places = [(rank[a.info["group"], a.info["molecule"]], a.info["id"]) for a in some]
        assert places == sorted(places) and len({(a.info["group"], a.info["role"]) for a in some}) == 1
    with pytest.raises(UserError, match="no shard is labelled"):
        assembled(tmp_path, [])
    with pytest.raises(UserError, match="no labelled structure of val_"):
        stress_set.write_groups(frames[-1], tmp_path)


def test_curation_leaves_no_labelled_structure_out():
    """By its default limits: neither hot nor pulled nor pressed ones, no radical, no ion, no iodine."""
    files = {path.stem: [str(path)] for path in sorted(FOLDER.glob("???_*.extxyz"))}
    section = yaml.safe_load((ROOT / "config/config.yaml").read_text())["data"]
    section |= {"files": files, "checksums": str(FOLDER / "SHA256SUMS")}
    section["keys"]["multiplicity"] = "multiplicity"
    assert len(files) == 2 * len(GROUPS)
    failures, labelled = [], 0
    for row, (energy, forces) in curation.curate(section, failures):
        labelled += np.isfinite(energy) and np.isfinite(forces).all() and forces.shape == (len(row["numbers"]), 3)
    assert failures == [] and labelled == sum(
        len(read(path, index=":")) for path in (FOLDER / "shards").glob("*.extxyz")
    )


def test_labels_passed_their_checks():
    checks = read_table(FOLDER / "quality.csv")
    assert checks.id.is_unique and (checks.multiplicity > 1).any() and (checks.charge != 0).any()
    assert (checks.stability == "followed").any()
    assert checks.label_meV_per_A.max() < 1 and checks.finite_differences_meV_per_A.max() < 5
    assert checks.net_force_meV_per_A.max() < 1e3 * reference.MAX_NET_FORCE
    assert checks.finer_grid_meV_per_A.max() < 5 and checks.tighter_convergence_meV_per_A.max() < 0.5


def test_checked_structures_are_of_many_groups_and_do_not_depend_on_the_others(geometries):
    frames = [a.copy() for a in geometries if len(a) <= 4]
    for a in frames:
        a.info["stability"] = "followed" if a.info["id"].endswith("/03") else "stable"
    drawn = script("check_stress")["drawn"]
    chosen = drawn(frames, 8, 1)
    assert len({a.info["group"] for a in chosen}) == len(chosen) == 8
    followed = {a.info["group"] for a in frames if a.info["stability"] == "followed"}
    assert {a.info["group"] for a in chosen if a.info["stability"] == "followed"} == followed
    names = {a.info["id"] for a in chosen}
    few = [a for a in reversed(frames) if a.info["id"] in names or a.info["id"].endswith(("1", "2"))]
    assert [a.info["id"] for a in drawn(few, 8, 1)] == [a.info["id"] for a in chosen]


def canonical(smiles):
    from rdkit import Chem

    return Chem.CanonSmiles(smiles)


@pytest.fixture(scope="module")
def calibration():
    """{molecule: (row of the table, its structures)}."""
    frames = read(CALIBRATION / "geometries.extxyz", index=":")
    return {
        row["name"]: (row, [a for a in frames if a.info["molecule"] == row["name"]])
        for row in table(CALIBRATION / "molecules.csv")
    }


def test_calibration_is_apart_from_what_is_held_out_and_has_its_elements(rows, geometries, calibration):
    held_out = {canonical(r["smiles"]) for r in rows if r["role"] == "held_out" and r["smiles"]}
    smiles = [canonical(row["smiles"]) for row, _ in calibration.values()]
    assert len(set(smiles)) == len(smiles) >= 240 and not held_out & set(smiles)
    assert not {r["name"] for r in rows if r["role"] == "held_out"} & set(calibration)
    numbers = lambda frames: {z for a in frames for z in a.numbers.tolist()}
    assert numbers(a for _, some in calibration.values() for a in some) == numbers(geometries)


def test_calibration_geometries_are_those_of_its_table(calibration):
    import hashlib

    from rdkit import Chem

    ids = [a.info["id"] for _, some in calibration.values() for a in some]
    assert len(set(ids)) == len(ids) >= 1700
    assert len({row["seed_name"] for row, _ in calibration.values()}) == len(calibration)
    for name, (row, frames) in calibration.items():
        assert [a.info["id"] for a in frames] == [f"calibration/{name}/{k:02d}" for k in range(len(frames))]
        assert len(frames) == sum(n for _, _, n in stress.plan(row["plan"]))
        mol = Chem.AddHs(Chem.MolFromSmiles(row["smiles"]))
        elements = sorted(a.GetAtomicNum() for a in mol.GetAtoms())
        assert int(row["charge"]) == Chem.GetFormalCharge(mol) and row["multiplicity"] == "1"
        assert not any(a.GetNumRadicalElectrons() for a in mol.GetAtoms())
        for a in frames:
            assert sorted(a.numbers.tolist()) == elements and a.info["group"] == "train"
            assert (a.info["charge"], a.info["multiplicity"]) == (int(row["charge"]), 1)
            check_spin(a.numbers, a.info["charge"], 1)
            assert nearest(a.numbers, a.positions)[1].min() >= stress.CLOSEST
    content = (CALIBRATION / "geometries.extxyz").read_bytes()
    sums = (CALIBRATION / "SHA256SUMS").read_text()
    assert sums == f"{hashlib.sha256(content).hexdigest()}  geometries.extxyz\n"


def test_the_data_sheet_of_calibration_counts_what_is_there(calibration):
    sheet = (CALIBRATION / "README.md").read_text(encoding="utf-8")
    frames = [a for _, some in calibration.values() for a in some]
    assert f"{len(frames):,} geometries of {len(calibration)} molecules" in sheet
    elements = Counter(s for _, some in calibration.values() for s in set(some[0].get_chemical_symbols()))
    assert ", ".join(f"{s} ({n})" for s, n in elements.most_common()) in sheet
    charges = Counter(row["charge"] for row, _ in calibration.values())
    pairs = sum("." in row["smiles"] for row, _ in calibration.values())
    assert f"{pairs} pairs of molecules, {charges['1']} cations, {charges['-1']} anions" in sheet


def test_a_molecule_that_cannot_be_sampled_is_listed(tmp_path):
    path = tmp_path / "molecules.csv"
    path.write_text(
        "group,name,smiles,charge,multiplicity,role,bond,plan\ncalibration,odd,C(,0,1,calibration,,md300:1\n"
    )
    arguments = {"molecules": path, "cages": None, "benchmark": [], "seed": 7, "threads": 1, "group": "train"}
    arguments |= {"output": tmp_path / "geometries.extxyz", "failures": tmp_path / "failures.csv"}
    main = script("sample_stress")["main"]
    main(argparse.Namespace(**arguments))
    assert [(r["id"], r["stage"]) for r in table(arguments["failures"])] == [("calibration/odd", "sample")]
    with pytest.raises(UserError, match="cannot be read"):
        main(argparse.Namespace(**arguments | {"failures": None}))


def test_shipped_statistics_are_those_of_the_page():
    folder = FOLDER.parent / "statistics"
    page = (folder / "README.md").read_text(encoding="utf-8")
    lines = [line for line in page.splitlines() if line.startswith("| `")]
    rows = [[cell.strip(" `") for cell in line.split("|")[1:-1]] for line in lines]
    assert {row[0] for row in rows} == {path.name for path in folder.glob("*.h5")}
    for name, _, count, _ in rows:
        assert Statistics.load(folder / name, Spectra(3.0, "published")).training.number == int(count)
