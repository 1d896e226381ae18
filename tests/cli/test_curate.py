"""Curation: conversion, labels kept apart, every check of a file and of a structure."""

import json
import sys

import numpy as np
import pytest
from ase import Atoms
from ase.io import read
from structures import KEYS, ROOT, UNITS, checksums, environment, run, sample, settings, store

from mlipshift.base.errors import UserError
from mlipshift.base.frames import Frames, Labels
from mlipshift.base.tables import read_table
from mlipshift.base.units import ENERGY, FORCES, LENGTH
from mlipshift.data import curation as library
from mlipshift.data import plausibility, readers, records
from mlipshift.data.census import Census

WATER = Atoms("OH2", [[0, 0, 0.12], [0, 0.76, -0.48], [0, -0.76, -0.48]])


def water(**info):
    atoms = WATER.copy()
    atoms.info = {"REF_energy": -2077.0, **info}
    atoms.arrays["REF_forces"] = np.zeros((3, 3))
    return atoms


def change(atoms, **what):
    atoms = atoms.copy()
    for key, value in what.items():
        if key in ("numbers", "positions", "pbc"):
            setattr(atoms, key, value)
        elif key == "REF_forces":
            atoms.arrays["REF_forces"] = value
        else:
            atoms.info[key] = value
    return atoms


def record(atoms):
    """A frame as a reader yields it."""
    labels = atoms.info["REF_energy"], atoms.arrays["REF_forces"]
    return records.Record("", "", "", atoms.numbers, atoms.positions, *labels)


def collect(data):
    """((Frames, Labels) of group train, (Frames, Labels) of all others, failure rows) of a section `data`."""
    failures, stores = [], []
    rows = list(library.curate(data, failures))
    for training in (True, False):
        own = [(row, label) for row, label in rows if (row["group"] == "train") == training]
        frames = Frames.build(row for row, _ in own)
        stores.append((frames, Labels.build(frames, [label for _, label in own], "reference")))
    return *stores, failures


def curate(folder, train=None, test=None, **changes):
    """Curate lists of frames; returns what `collect` returns."""
    store(folder / "train.extxyz", train or [water()])
    store(folder / "id_test.extxyz", test or [water()])
    return collect(settings(folder, **changes))


def refused(folder, **arguments):
    with pytest.raises(UserError) as caught:
        curate(folder, **arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def convert_units(frames, energy, length, forces):
    """Frames rewritten in other units."""
    for atoms in frames:
        atoms.positions /= LENGTH[length]
        atoms.info["REF_energy"] /= ENERGY[energy]
        atoms.arrays["REF_forces"] /= FORCES[forces]
    return frames


def test_the_script_writes_frames_and_labels_apart(tmp_path):
    store(tmp_path / "train.extxyz", sample("train"))
    store(tmp_path / "id_test.extxyz", sample("id_test", 4))
    data = settings(tmp_path, checksums=checksums(tmp_path))
    names = ["train", "train-reference", "test", "test-reference"]
    command = [sys.executable, ROOT / "workflow/scripts/curate.py", "--settings", json.dumps(data)]
    command += [x for n in names for x in (f"--{n}", tmp_path / f"{n}.h5")]
    command += ["--validation-reference", tmp_path / "validation.h5"]
    command += ["--failures", tmp_path / "failures.csv", "--log", tmp_path / "curate.log"]
    done = run(command, env={**environment(), "PYTHONPATH": str(ROOT / "workflow")})
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    for kind, group in (("train", "train"), ("test", "id_test")):
        frames = Frames.load(tmp_path / f"{kind}.h5")
        labels = Labels.load(tmp_path / f"{kind}-reference.h5", frames)
        original = read(tmp_path / f"{group}.extxyz", index=":")
        assert list(frames.ids) == [a.info["id"] for a in original]
        assert set(frames.group) == {group}
        assert labels.ok.all()
        for k, atoms in enumerate(original):
            np.testing.assert_allclose(frames[k][1], atoms.positions)
            np.testing.assert_allclose(labels.forces_of(k), atoms.arrays["REF_forces"])
            assert labels.energy[k] == pytest.approx(atoms.info["REF_energy"])
        assert labels.level == "reference"
    assert len(Labels.load(tmp_path / "validation.h5")) == 0
    assert len(read_table(tmp_path / "failures.csv")) == 0


@pytest.mark.parametrize(
    ("energy", "length", "forces"),
    [("Hartree", "Bohr", "Hartree/Bohr"), ("kcal/mol", "nm", "kcal/mol/Angstrom")],
)
def test_units_are_converted_once(tmp_path, energy, length, forces):
    first, _, _ = curate(tmp_path, sample("train"))
    other = convert_units(sample("train"), energy, length, forces)
    second, _, _ = curate(
        tmp_path,
        other,
        convert_units([water()], energy, length, forces),
        units={"energy": energy, "length": length, "forces": forces},
    )
    np.testing.assert_allclose(first[0].positions, second[0].positions, atol=2e-7)
    np.testing.assert_allclose(first[1].energy, second[1].energy, rtol=1e-9)
    np.testing.assert_allclose(first[1].forces, second[1].forces, atol=2e-6)


@pytest.mark.parametrize(
    ("wrong", "kind", "said"),
    [
        ({"length": "Bohr"}, "length", "look like Bohr, not Angstrom"),
        ({"length": "nm"}, "length", "look like nm, not Angstrom"),
        ({"energy": "Hartree"}, "energy", "look like Hartree, not eV"),
        ({"energy": "kcal/mol"}, "energy", "look like kcal/mol, not eV"),
        ({"forces": "Hartree/Bohr"}, "forces", "look like Hartree/Bohr, not eV/Angstrom"),
        ({"forces": "kcal/mol/Angstrom"}, "forces", "look like kcal/mol/Angstrom, not eV/Angstrom"),
    ],
)
def test_a_wrong_unit_is_named(tmp_path, wrong, kind, said):
    text = refused(tmp_path, train=convert_units(sample("train", 40), **(UNITS | wrong)))
    assert "train.extxyz" in text and said in text and f"data.units.{kind}" in text


def test_gradients_given_as_forces_are_noticed(tmp_path):
    frames = sample("train", 40)
    for atoms in frames:
        atoms.arrays["REF_forces"] *= -1
    assert "sign of the gradient" in refused(tmp_path, train=frames)


def test_a_rotated_molecule_does_not_disturb_the_unit_check():
    frames = sample("train", 40)
    plain = [record(atoms) for atoms in frames]
    turned = []
    for k, atoms in enumerate(frames):
        turn, _ = np.linalg.qr(np.random.default_rng(k).normal(size=(3, 3)))
        turn *= np.linalg.det(turn)
        turned.append(
            record(change(atoms, positions=atoms.positions @ turn, REF_forces=atoms.arrays["REF_forces"] @ turn))
        )
    assert plausibility.work_ratio(turned) == pytest.approx(plausibility.work_ratio(plain), abs=1e-6)
    assert 0.5 < plausibility.work_ratio(plain) < 2


def test_the_whole_benchmark_looks_right():
    for path in sorted((ROOT / "resources" / "benchmark").glob("*.extxyz")):
        if path.stem == "geometries":
            continue
        frames = list(readers.iterate(path, path.stem, {"keys": KEYS, "units": UNITS}))
        plausibility.check_units(path, frames, UNITS, True)
        assert 0.85 < plausibility.neighbour_ratio(frames) < 1.15
        assert plausibility.energy_ratio(frames) == pytest.approx(1.03, abs=0.02)


def test_energies_of_formation_and_noble_gases_are_no_wrong_unit(tmp_path):
    formation = [water(id=f"a{k}", REF_energy=-10.0) for k in range(3)]
    argon = Atoms("Ar2", [[0, 0, 0], [3.8, 0, 0]])
    argon.info["REF_energy"], argon.arrays["REF_forces"] = -28600.0, np.zeros((2, 3))
    (frames, _), _, _ = curate(tmp_path, formation, [argon])
    assert len(frames) == 3


def test_defaults_of_what_a_frame_does_not_say(tmp_path):
    (train, labels), (test, _), failures = curate(
        tmp_path,
        [water()],
        [water(charge=1, molecule="ion", id="x"), water(charge=-1, multiplicity=4, id="y")],
    )
    assert train.ids[0] == "train/train/00000" and train.molecule[0] == "H2O"
    assert train[0][2:] == (0, 1)
    assert test[0][2:] == (1, 2) and test.molecule[0] == "ion"
    assert test[1][2:] == (-1, 4)
    assert failures == [] and labels.ok.all()


def test_labels_under_names_that_ase_claims(tmp_path):
    text = (
        '2\nProperties=species:S:1:pos:R:3:forces:R:3 energy=-31.7 pbc="F F F"\nH 0 0 0 0 0 0.1\nH 0 0 0.74 0 0 -0.1\n'
    )
    for name in ("train", "id_test"):
        (tmp_path / f"{name}.extxyz").write_text(text)
    (_, labels), _, _ = collect(settings(tmp_path, keys={"energy": "energy", "forces": "forces"}))
    assert labels.energy[0] == -31.7 and labels.forces[0, 2] == 0.1


def test_test_structures_may_lack_labels_and_training_structures_need_one(tmp_path):
    bare, energy, forces = WATER.copy(), WATER.copy(), WATER.copy()
    energy.info["REF_energy"] = -2077.0
    forces.arrays["REF_forces"] = np.ones((3, 3))
    assert "no label REF_energy and REF_forces" in refused(tmp_path, train=[bare])
    both = [bare, energy, forces, water()]
    for (frames, labels), _ in ((curate(tmp_path, test=both)[1:3]), curate(tmp_path, train=both[1:])[:2]):
        names = labels.ids[-3:]
        energies, known = labels.energy[-3:], labels.ok[-3:]
        assert len(names) == 3 and known.tolist() == [False, True, True]
        assert energies[0] == energies[2] == -2077.0 and np.isnan(energies[1])
        assert np.isnan(labels.forces_of(len(frames) - 3)).all() and (labels.forces_of(len(frames) - 2) == 1).all()


def test_isolated_atoms_are_no_structures_and_end_no_run(tmp_path):
    def atom(element, **info):
        made = Atoms(element, [[0, 0, 0]])
        made.info = {"REF_energy": -13.6, **info}
        return made

    named = atom("C", config_type="Isolated_Atom")
    named.arrays["REF_forces"] = np.zeros((1, 3))
    ordinary = atom("H", id="atom")
    ordinary.arrays["REF_forces"] = np.zeros((1, 3))
    (train, _), (test, _), failures = curate(tmp_path, [atom("H"), named, water(), ordinary], [water(), atom("O")])
    assert list(train.sizes) == [3, 1] and list(test.sizes) == [3]
    assert [(f["group"], f["reason"].split(",")[0]) for f in failures] == [
        ("train", "isolated atom"),
        ("train", "isolated atom"),
        ("id_test", "isolated atom"),
    ]


def counted(folder, train, test, **changes):
    """Lines of the census of two groups."""
    store(folder / "train.extxyz", train)
    store(folder / "id_test.extxyz", test)
    census = Census()
    list(library.curate(settings(folder, labels="optional", **changes), [], census))
    return census


def test_what_was_left_out_and_what_labels_lack_is_said_in_one_line_each(tmp_path):
    broken = [change(water(), REF_forces=NAN) for _ in range(2)] + [change(water(), multiplicity=2)]
    bare = WATER.copy()
    energy = WATER.copy()
    energy.info["REF_energy"] = -2077.5
    pulled = water(REF_energy=-2078.0)
    pulled.arrays["REF_forces"] = np.full((3, 3), 0.1)
    census = counted(tmp_path, [water(), *broken, energy, pulled, pulled], [bare], bad_structures="record")
    assert census.lines() == [
        "3 of 7 structures of train were left out: REF_forces is not finite (2), charge … and multiplicity … do not fit"
        " … electrons (1)",
        "1 of 4 structures of train have an energy and no forces REF_forces (data.keys); its keys are REF_energy,"
        " numbers, positions; they have no error, and no network is trained on them",
        "1 of 3 structures of train have forces that are all zero; are they labels?",
        "2 of 3 structures of train have forces that do not sum to zero (up to 0.3 eV/Å), as those of a molecule alone"
        " do",
        "1 of 1 structures of id_test have no label (data.keys); its keys are numbers, positions",
    ]
    assert census.rows()[0] == {
        "group": "train", "n_read": 7, "n_used": 4, "n_left_out": 3, "n_energy": 4, "n_forces": 3,
        "n_zero_forces": 1, "n_net_force": 2,
    }  # fmt: skip
    lost = counted(tmp_path, [water(), water()], broken, bad_structures="record").lines()
    assert lost == [
        "2 of 2 structures of train have forces that are all zero; are they labels?",
        "all 2 structures of train with an energy have the same, -2077 eV",
        "3 of 3 structures of id_test were left out: REF_forces is not finite (2), charge … and multiplicity … do not"
        " fit … electrons (1); nothing is left of the group",
    ]


def test_what_a_failed_run_left_out_is_listed_beside_its_log(tmp_path):
    store(tmp_path / "train.extxyz", [change(water(), REF_forces=NAN)])
    store(tmp_path / "id_test.extxyz", [water()])
    command = [sys.executable, ROOT / "workflow/scripts/curate.py", "--settings"]
    command += [json.dumps(settings(tmp_path, bad_structures="record"))]
    command += [x for n in ("train", "train-reference", "test", "test-reference") for x in (f"--{n}", tmp_path / n)]
    command += ["--failures", tmp_path / "failures.csv", "--log", tmp_path / "curate.log"]
    done = run(command, env={**environment(), "PYTHONPATH": str(ROOT / "workflow")})
    kept = tmp_path / "curate_failures.csv"
    assert done.returncode == 1 and f"see {kept}" in done.stderr
    assert "1 of 1 structures of train were left out: REF_forces is not finite (1)" in done.stderr
    assert list(read_table(kept).reason) == ["REF_forces is not finite"]
    store(tmp_path / "train.extxyz", [water()])
    assert run(command, env={**environment(), "PYTHONPATH": str(ROOT / "workflow")}).returncode == 0
    assert not kept.exists()


def test_bad_structures_can_be_recorded_instead(tmp_path):
    broken = water(id="broken")
    broken.positions[1] = broken.positions[0] + 0.01
    (train, _), _, failures = curate(tmp_path, [broken, water(id="sound")], bad_structures="record")
    assert list(train.ids) == ["sound"]
    assert [(f["id"], f["stage"]) for f in failures] == [("broken", "curate")]
    assert "on top of each other" in failures[0]["reason"]
    assert "no usable structure" in refused(tmp_path, train=[broken], bad_structures="record")


def test_the_limit_takes_the_first_structures_of_a_group(tmp_path):
    frames = sample("train", 6)
    (train, _), _, _ = curate(tmp_path, frames, max_structures_per_group=4)
    assert list(train.ids) == [a.info["id"] for a in frames[:4]]


def test_the_limit_per_file_takes_the_first_structures_of_each(tmp_path):
    frames = sample("train", 5)
    store(tmp_path / "id_test.extxyz", [water()])
    data = settings(tmp_path, max_structures_per_file=2)
    data["files"]["train"] = [store(tmp_path / f"{k}.extxyz", part) for k, part in enumerate((frames[:3], frames[3:]))]
    (train, _), _, _ = collect(data)
    assert list(train.ids) == [frames[k].info["id"] for k in (0, 1, 3, 4)]
    (train, _), _, _ = collect({**data, "max_structures_per_group": 3})
    assert list(train.ids) == [frames[k].info["id"] for k in (0, 1, 3)]


def test_the_limit_reads_no_more_than_it_needs(tmp_path):
    frames = sample("train", 6)
    first = store(tmp_path / "first.extxyz", frames)
    with open(first, "a") as handle:
        handle.write("damaged\n")
    store(tmp_path / "id_test.extxyz", [water()])
    (tmp_path / "second.extxyz").write_text("no structure")
    data = settings(tmp_path)
    data["files"]["train"] = [first, str(tmp_path / "second.extxyz")]
    (train, _), _, _ = collect({**data, "max_structures_per_group": 6})
    assert len(train) == 6
    with pytest.raises(UserError, match="first.extxyz, frame 6"):
        collect({**data, "max_structures_per_group": 7})
    (train, _), _, _ = collect({**data, "max_structures_per_group": 3, "max_structures_of": {"train": 2}})
    assert len(train) == 2


def test_groups_may_have_any_name_of_their_kind(tmp_path):
    store(tmp_path / "train.extxyz", [water()])
    data = settings(tmp_path)
    data["files"] = {"train": data["files"]["train"]}
    for group in ("val_hot", "ood_md22", "id_300k"):
        data["files"][group] = [store(tmp_path / f"{group}.extxyz", [water(id=group)])]
    names = ["train", "train-reference", "test", "test-reference", "validation-reference"]
    command = [sys.executable, ROOT / "workflow/scripts/curate.py", "--settings", json.dumps(data)]
    command += [x for n in names for x in (f"--{n}", tmp_path / f"{n}.h5")]
    command += ["--failures", tmp_path / "failures.csv"]
    done = run(command, env={**environment(), "PYTHONPATH": str(ROOT / "workflow")})
    assert done.returncode == 0, done.stderr
    assert list(Frames.load(tmp_path / "test.h5").group) == ["val_hot", "ood_md22", "id_300k"]
    assert list(Labels.load(tmp_path / "validation-reference.h5").ids) == ["val_hot"]


def test_a_refusal_leaves_the_old_stores_alone(tmp_path):
    store(tmp_path / "train.extxyz", [water(), water(charge=0.5)])
    store(tmp_path / "id_test.extxyz", [water()])
    names = ["train", "train-reference", "test", "test-reference"]
    command = [sys.executable, ROOT / "workflow/scripts/curate.py", "--settings", json.dumps(settings(tmp_path))]
    command += [x for n in names for x in (f"--{n}", tmp_path / f"{n}.h5")]
    (tmp_path / "train.h5").write_text("old")
    done = run(
        [*command, "--failures", tmp_path / "failures.csv"],
        env={**environment(), "PYTHONPATH": str(ROOT / "workflow")},
    )
    assert done.returncode == 1 and "not a whole number" in done.stderr
    assert (tmp_path / "train.h5").read_text() == "old"
    assert [p.name for p in tmp_path.glob("*.h5*")] == ["train.h5"]


NAN = np.array([[np.nan, 0, 0], [0, 0, 0], [0, 0, 0]])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"positions": NAN + WATER.positions}, "position of atom 0 (O) is not finite"),
        ({"REF_forces": NAN}, "REF_forces is not finite"),
        ({"REF_energy": float("nan")}, "not a finite number"),
        ({"REF_energy": "low"}, "not a finite number"),
        ({"REF_forces": np.zeros(3)}, "three numbers per atom"),
        ({"numbers": [92, 1, 1]}, "element U (Z = 92)"),
        ({"numbers": [0, 1, 1]}, "element X (Z = 0)"),
        ({"pbc": True}, "is periodic"),
        ({"multiplicity": 2}, "charge 0 and multiplicity 2 do not fit 10 electrons"),
        ({"multiplicity": 0}, "multiplicity 0"),
        ({"charge": 11}, "do not fit -1 electrons"),
        ({"charge": 0.5}, "charge is 0.5, not a whole number"),
    ],
)
def test_a_bad_structure_is_refused_with_its_place_and_the_mend(tmp_path, changes, said):
    bad = change(water(id="it"), **changes)
    text = refused(tmp_path, train=[water(id="a"), bad])
    assert said in text
    assert f"{tmp_path}/train.extxyz, frame 1 (line 6), id it" in text and "data.bad_structures" in text


def test_atoms_on_top_of_each_other_are_named(tmp_path):
    bad = water()
    bad.positions[2] = bad.positions[1] + [0.2, 0, 0]
    assert "atoms 1 (H) and 2 (H) lie on top of each other, 0.200 Å apart" in refused(tmp_path, train=[bad])


def test_ids_must_be_unique_over_all_files(tmp_path):
    twice = {"train": [water(id="a")], "test": [water(id="a"), water(id="b")]}
    assert "'a' was already used in" in refused(tmp_path, **twice)
    _, (test, _), failures = curate(tmp_path, **twice, bad_structures="record")
    assert list(test.ids) == ["b"] and [(f["id"], f["group"]) for f in failures] == [("a", "id_test")]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "no structure in it"),
        ("\n\n", "no structure in it"),
        ("3\ncomment\nH 0 0 0\n", "frame 0 (line 1): the file ends after 1 of 3 atoms"),
        ("3\n", "the file ends after 0 of 3 atoms"),
        ("water\n", "expected the number of atoms, found 'water'"),
        ("1\nREF_energy=1\nH 0 0\n", "damaged"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, content, said):
    store(tmp_path / "id_test.extxyz", [water()])
    (tmp_path / "train.extxyz").write_text(content)
    with pytest.raises(UserError) as caught:
        collect(settings(tmp_path))
    assert f"{tmp_path}/train.extxyz" in str(caught.value) and said in str(caught.value)


def test_a_binary_file_is_refused(tmp_path):
    store(tmp_path / "id_test.extxyz", [water()])
    (tmp_path / "train.extxyz").write_bytes(b"\x89HDF\r\n\xff\xfe")
    with pytest.raises(UserError, match="not a text file"):
        collect(settings(tmp_path))


def test_checksums(tmp_path):
    store(tmp_path / "train.extxyz", [water()])
    store(tmp_path / "id_test.extxyz", [water(id="t")])
    sums = checksums(tmp_path)
    collect(settings(tmp_path, checksums=sums))
    lines = (tmp_path / "SHA256SUMS").read_text()
    store(tmp_path / "id_test.extxyz", [water(id="u")])
    for content, parts in [
        (lines, ["id_test.extxyz", "expects", "sha256sum"]),
        (lines.splitlines()[1], ["id_test.extxyz", "not listed"]),
        ("nonsense\n", ["line 1", "sha256sum"]),
        (None, ["SHA256SUMS", "no such file", "null"]),
    ]:
        if content is None:
            (tmp_path / "SHA256SUMS").unlink()
        else:
            (tmp_path / "SHA256SUMS").write_text(content)
        with pytest.raises(UserError) as caught:
            collect(settings(tmp_path, checksums=sums))
        assert all(part in str(caught.value) for part in parts), str(caught.value)


def test_files_outside_the_folder_of_the_checksums_are_not_compared(tmp_path):
    (tmp_path / "sums").mkdir()
    (tmp_path / "own").mkdir()
    sums = tmp_path / "sums" / "SHA256SUMS"
    sums.write_text("0" * 64 + "  else.extxyz\n")
    store(tmp_path / "own" / "train.extxyz", [water()])
    store(tmp_path / "own" / "id_test.extxyz", [water()])
    collect(settings(tmp_path / "own", checksums=str(sums)))
    store(tmp_path / "sums" / "train.extxyz", [water()])
    store(tmp_path / "sums" / "id_test.extxyz", [water()])
    with pytest.raises(UserError, match="not listed"):
        collect(settings(tmp_path / "sums", checksums=str(sums)))


def pushed(norm, **info):
    """Water whose mean force norm is `norm` eV/Å."""
    forces = np.zeros((3, 3))
    forces[:, 0] = norm * np.array([1.0, -1.0, 1.0])
    return change(water(**info), REF_forces=forces)


def test_structures_are_selected_by_their_mean_force_norm(tmp_path):
    train, test = ([pushed(n, id=f"{name}{n}") for n in (0.5, 1.6, 1.7, 1.8, 1.9, 3.0)] for name in "ab")
    select = {"train": {"below_eV_per_A": 1.7, "above_eV_per_A": None}}
    select["id_test"] = {"below_eV_per_A": None, "above_eV_per_A": 1.8}
    (kept, labels), (high, _), failures = curate(tmp_path, train, test, select=select)
    assert list(kept.ids) == ["a0.5", "a1.6"] and list(high.ids) == ["b1.9", "b3.0"] and failures == []
    assert np.linalg.norm(labels.forces, axis=1).max() < 1.7
    # a limit counts what is selected
    (_, _), (high, _), _ = curate(tmp_path, train, test, select=select, max_structures_of={"id_test": 1})
    assert list(high.ids) == ["b1.9"]


def test_what_has_no_forces_is_not_selected_and_nothing_left_is_one_line(tmp_path):
    bare = water(id="bare")
    del bare.arrays["REF_forces"]
    select = {"id_test": {"below_eV_per_A": 9.0, "above_eV_per_A": None}}
    (_, _), (found, _), _ = curate(tmp_path, test=[bare, pushed(1.0, id="known")], select=select)
    assert list(found.ids) == ["known"]
    select["id_test"] = {"below_eV_per_A": None, "above_eV_per_A": 9.0}
    assert "data.select.id_test: no structure" in refused(tmp_path, test=[pushed(1.0, id="known")], select=select)
    broken = change(pushed(1.0, id="broken"), REF_forces=np.full((3, 3), np.nan))
    assert "not finite" in refused(tmp_path, test=[broken], select={"id_test": {**select["id_test"]}})


def test_labelled_groups_need_labels_and_go_into_stores_of_their_own(tmp_path):
    store(tmp_path / "train.extxyz", [water(id="t")])
    store(tmp_path / "few.extxyz", [pushed(1.0, id="few")])
    data = settings(tmp_path)
    data["files"] = {"train": [str(tmp_path / "train.extxyz")], "labelled_few": [str(tmp_path / "few.extxyz")]}
    command = [sys.executable, ROOT / "workflow/scripts/curate.py", "--settings", json.dumps(data)]
    for name in ("train", "train_reference", "test", "test_reference", "labelled", "labelled_reference"):
        command += [f"--{name.replace('_', '-')}", tmp_path / f"{name}.h5"]
    command += ["--failures", tmp_path / "failures.csv", "--log", tmp_path / "curate.log"]
    done = run(command, env={**environment(), "PYTHONPATH": str(ROOT / "workflow")})
    assert done.returncode == 0, done.stderr
    frames = Frames.load(tmp_path / "labelled.h5")
    assert list(frames.ids) == ["few"] and Labels.load(tmp_path / "labelled_reference.h5", frames).ok.all()
    assert len(Frames.load(tmp_path / "test.h5")) == 0
    bare = water(id="bare")
    del bare.info["REF_energy"], bare.arrays["REF_forces"]
    store(tmp_path / "few.extxyz", [bare])
    with pytest.raises(UserError, match="has no label"):
        list(library.curate(data, []))
