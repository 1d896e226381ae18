"""The stress set: its table, its geometries, and the labels that are there so far."""

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.io import read

from mlipshift.base.errors import UserError
from mlipshift.base.geometry import nearest
from mlipshift.base.limits import check_spin
from mlipshift.labelling import sampling, stress

FOLDER = Path(__file__).parents[2] / "resources" / "stress"
GROUPS = ["ordinary", "stretched", "compressed", "hot", "strained", "radicals", "ions", "elements", "floppy"]
SHARDS = 49


@pytest.fixture(scope="module")
def rows():
    with open(FOLDER / "molecules.csv", newline="") as handle:
        return list(csv.DictReader(handle))


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
    table = {(r["group"], r["name"]): r for r in rows}
    count = Counter((a.info["group"], a.info["molecule"]) for a in geometries)
    ids = [a.info["id"] for a in geometries]
    assert len(set(ids)) == len(ids) >= 400 and set(count) == set(table)
    for key, row in table.items():
        taken = [item for item in row["plan"].split() if "/" in item]
        assert count[key] == len(taken) + sum(n for _, _, n in stress.plan(row["plan"])) and set(taken) <= set(ids)
    for group in GROUPS:
        assert sum(n for (g, _), n in count.items() if g == group) >= 40
    for a in geometries:
        row = table[a.info["group"], a.info["molecule"]]
        assert a.info["role"] == row["role"]
        assert (a.info["charge"], a.info["multiplicity"]) == (int(row["charge"]), int(row["multiplicity"]))
        check_spin(a.numbers, a.info["charge"], a.info["multiplicity"])
        assert nearest(a.numbers, a.positions)[1].min() > 0.5
    assert {5, 14, 15, 34, 35, 53} <= {z for a in geometries if a.info["group"] == "elements" for z in a.numbers}


def test_labels_so_far_belong_to_the_geometries(geometries):
    for path in sorted((FOLDER / "shards").glob("*.extxyz")):
        due = {a.info["id"]: a for a in geometries[int(path.stem) :: SHARDS]}
        labelled = read(path, index=":")
        with open(path.with_suffix(".failures.csv"), newline="") as handle:
            failed = [r["id"] for r in csv.DictReader(handle)]
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
    assert sampling.bonds(ethane) - sampling.bonds(pulled) == {(0, 1)} and sampling.bonds(pulled) < sampling.bonds(
        ethane
    )
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
