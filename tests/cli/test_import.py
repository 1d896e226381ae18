"""Import of published datasets: filters, counts, seeded picks, constant memory, and how a configuration names files."""

import json
import sys

import h5py
import numpy as np
import pytest
import yaml
from ase import Atoms
from structures import KEYS, ROOT, environment, run, sample, store

from mlipshift.base.errors import UserError
from mlipshift.base.frames import Dataset, Frames, Labels
from mlipshift.base.tables import read_table
from mlipshift.base.units import BOHR, EV, KCAL
from mlipshift.catalogue.schema import read_schema
from mlipshift.data.readers import iterate
from mlipshift.data.selection import canonical, charges_of_parts, import_dataset
from mlipshift.run.configuration import load

SCHEMA = ROOT / "workflow" / "schemas" / "config.schema.yaml"
DATA = {"keys": KEYS, "units": {}, "bad_structures": "refuse", "trust_pickles": False}
TEN = ["H", "C", "N", "O", "F", "P", "S", "Cl", "Br", "I"]
GEOMETRY = np.array([[0, 0, 0.12], [0, 0.76, -0.48], [0, -0.76, -0.48]])

# name: (mapped SMILES, subset, atomic numbers, conformations)
OLD = {
    "water": ("[O:1]([H:2])[H:3]", "PubChem", [8, 1, 1], 4),
    "glycine": ("[NH2:1][CH2:2][C:3](=[O:4])[OH:5]", "PubChem", [7, 6, 6, 8, 8], 3),
}
NEW = {
    **OLD,
    "103": ("[H:3][O:1][H:2]", "PubChem", [8, 1, 1], 2),  # water under another name and numbering
    "R": ("[H:1][C@:2]([F:3])([Cl:4])[Br:5]", "PubChem", [1, 6, 9, 17, 35], 5),
    "S": ("[H:1][C@@:2]([F:3])([Cl:4])[Br:5]", "PubChem", [1, 6, 9, 17, 35], 6),
    "dimer": ("[F:1][H:2].[F:3][H:4]", "DES370K", [9, 1, 9, 1], 7),
    "pair": ("[Cl-:1].[NH4+:2]", "Ion Pairs", [17, 7], 8),
    "cation": ("[CH3+:1]", "Ions", [6], 1),
    "zwitterion": ("[NH3+:1][CH2:2][C:3](=[O:4])[O-:5]", "Dipeptides", [7, 6, 6, 8, 8], 2),
    "silane": ("[SiH4:1]", "PubChem", [14], 3),
}


def spice(path, molecules):
    """SPICE with the given molecules; conformation k has the force k eV/Å on its first atom along x."""
    with h5py.File(path, "w") as handle:
        for name, (smiles, subset, numbers, count) in molecules.items():
            n, group = len(numbers), handle.create_group(name)
            positions = np.arange(n)[None, :, None] * [0.7, 0.5, 0.6] + np.arange(count)[:, None, None] * 0.01
            forces = np.zeros((count, n, 3))
            forces[:, 0, 0] = np.arange(count)
            energies = [-0.51 * (np.array(numbers) ** 2.4).sum()] * count
            group.create_dataset("smiles", data=[smiles], dtype=h5py.string_dtype())
            group.create_dataset("subset", data=[subset], dtype=h5py.string_dtype())
            group.create_dataset("atomic_numbers", data=numbers)
            group.create_dataset("conformations", data=positions / BOHR)
            group.create_dataset("dft_total_energy", data=energies)
            group.create_dataset("dft_total_gradient", data=-forces / EV * BOHR)
    return str(path)


def recipe(files, **changes):
    """A recipe with the defaults of the schema."""
    filled = load({"import": {"x": {"files": files, "level": "a level", **changes}}}, SCHEMA)
    return filled["import"]["x"]


def imported(folder, files, data=DATA, **changes):
    """(counts {step: (molecules, structures)} of all structures, records, failure rows) of an import."""
    counts, failures = import_dataset("x", recipe(files, **changes), data, folder / "x.h5")
    totals = {row["step"]: (row.get("molecules"), row["structures"]) for row in counts if row["subset"] == "all"}
    return totals, list(iterate(folder / "x.h5", "x", data)), failures


def refused(folder, files, data=DATA, **changes):
    with pytest.raises(UserError) as caught:
        imported(folder, files, data, **changes)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def names(found):
    return sorted({record.molecule for record in found})


@pytest.fixture
def old(tmp_path):
    return spice(tmp_path / "SPICE-1.1.4.hdf5", OLD)


@pytest.fixture
def new(tmp_path):
    return spice(tmp_path / "SPICE-2.0.1.hdf5", NEW)


def script(folder, name, settings, data=DATA):
    """Finished run of the script."""
    return run(
        [sys.executable, ROOT / "workflow/scripts/import_dataset.py", "--name", name]
        + ["--recipe", json.dumps(settings), "--settings", json.dumps(data)]
        + ["--output", folder / "out.h5", "--counts", folder / "counts.csv", "--failures", folder / "failures.csv"],
        env={**environment(), "PYTHONPATH": str(ROOT / "workflow")},
    )


def test_new_molecules_of_spice_2(tmp_path, old, new):
    """SPICEv2: what SPICE 2 has and SPICE 1 has not, whatever the molecule is called and numbered there."""
    totals, found, _ = imported(tmp_path, [new], exclude_molecules_of=[old])
    assert names(found) == ["R", "S", "cation", "dimer", "pair", "silane", "zwitterion"]
    assert totals == {
        "in the files": (10, 41),
        "usable": (10, 41),
        "exclude_molecules_of": (7, 32),
    }


def test_stereoisomers_are_other_molecules(tmp_path, new):
    known = spice(tmp_path / "known.hdf5", {"other name": NEW["R"]})
    _, found, _ = imported(tmp_path, [new], exclude_molecules_of=[known], elements=["H", "C", "F", "Cl", "Br"])
    assert names(found) == ["S", "cation", "dimer"]


def test_the_filter_of_mace_off(tmp_path, new):
    totals, found, _ = imported(tmp_path, [new], elements=TEN, neutral=True)
    assert names(found) == ["103", "R", "S", "dimer", "glycine", "water", "zwitterion"]
    assert totals["elements"] == (9, 38) and totals["neutral"] == (7, 29)
    totals, found, _ = imported(tmp_path, [new], elements=TEN, neutral=True, connected=True)
    assert "dimer" not in names(found) and totals["connected"] == (6, 22)


def test_the_script_writes_a_dataset_and_counts_by_subset(tmp_path, old, new):
    done = script(tmp_path, "spicev2", recipe([new], exclude_molecules_of=[old], neutral=True))
    assert done.returncode == 0, done.stderr
    table = read_table(tmp_path / "counts.csv")
    assert list(table.columns) == ["step", "subset", "molecules", "structures"]
    last = table[table["step"] == "neutral"].set_index("subset")
    assert last.loc["all"].tolist()[1:] == [5, 23]
    assert {s: tuple(last.loc[s])[1:] for s in last.index if s != "all"} == {
        "DES370K": (1, 7),
        "Dipeptides": (1, 2),
        "PubChem": (3, 14),
    }
    (block,) = Dataset.blocks(tmp_path / "out.h5")
    assert set(block.frames.group) == {"spicev2"} and block.labels.level == "a level" and block.labels.ok.all()
    k = list(block.frames.ids).index("R/3")
    np.testing.assert_allclose(block.labels.forces_of(k)[0], [3, 0, 0], atol=1e-9)
    np.testing.assert_allclose(block.frames[k][1][1], [0.73, 0.53, 0.63], atol=1e-9)
    assert block.smiles[k] == NEW["R"][0] and block.subset[k] == "PubChem"
    assert read_table(tmp_path / "failures.csv").empty


def test_an_import_is_the_same_to_the_byte_and_curation_takes_it(tmp_path, new):
    settings = recipe([new], elements=TEN, connected=True, max_molecules=3, max_per_molecule=2)
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        assert script(folder, "x", settings).returncode == 0
    assert (tmp_path / "a/out.h5").read_bytes() == (tmp_path / "b/out.h5").read_bytes()
    data = {**DATA, "files": {"train": [str(tmp_path / "a/out.h5")]}, "checksums": None}
    outputs = ["train", "train-reference", "test", "test-reference"]
    command = [sys.executable, ROOT / "workflow/scripts/curate.py", "--settings"]
    command += [json.dumps({**data, "max_structures_per_group": None})]
    command += [x for n in outputs for x in (f"--{n}", tmp_path / f"{n}.h5")]
    done = run(
        [*command, "--failures", tmp_path / "f.csv"], env={**environment(), "PYTHONPATH": str(ROOT / "workflow")}
    )
    assert done.returncode == 0, done.stderr
    frames = Frames.load(tmp_path / "train.h5")
    labels = Labels.load(tmp_path / "train-reference.h5", frames)
    (block,) = Dataset.blocks(tmp_path / "a/out.h5")
    assert list(frames.ids) == list(block.frames.ids) and set(frames.group) == {"train"}
    np.testing.assert_array_equal(frames.positions, block.frames.positions)
    np.testing.assert_array_equal(labels.forces, block.labels.forces)


def test_picks_depend_on_the_seed_and_not_on_the_order_of_files(tmp_path):
    paths = [store(tmp_path / f"{group}.extxyz", sample(group, 30)) for group in ("train", "ood_larger")]
    options = {"max_molecules": 3, "max_per_molecule": 2}
    chosen = lambda files, seed: sorted(r.id for r in imported(tmp_path, files, seed=seed, **options)[1])
    assert chosen(paths, 1) == chosen(paths[::-1], 1)
    assert len({tuple(chosen(paths, seed)) for seed in range(4)}) > 1
    totals, found, _ = imported(tmp_path, paths, **options)
    assert totals["max_molecules"][0] == 3 and len(names(found)) == 3
    assert totals["max_per_molecule"] == (3, len(found))
    assert all(sum(r.molecule == name for r in found) <= 2 for name in names(found))


def test_a_fraction_is_picked_by_id(tmp_path):
    path = store(tmp_path / "a.extxyz", sample("train", 200))
    totals, found, _ = imported(tmp_path, [path], fraction=0.3)
    assert totals["in the files"] == (None, 200)
    assert totals["fraction"][1] == totals["usable"][1] == len(found)
    assert 40 < len(found) < 80
    more = {r.id for r in imported(tmp_path, [path], fraction=0.6)[1]}
    assert {r.id for r in found} < more, "a larger fraction holds the smaller one"


def test_structures_with_large_forces_are_left_out(tmp_path, new):
    totals, found, _ = imported(tmp_path, [new], max_force_eV_per_A=2.5)
    assert max(np.linalg.norm(r.forces, axis=1).max() for r in found) == pytest.approx(2)
    assert totals["max_force_eV_per_A"][1] == sum(min(3, count) for *_, count in NEW.values())


def test_what_a_level_does_not_label_is_counted(tmp_path):
    with h5py.File(tmp_path / "ani1x.h5", "w") as handle:
        group = handle.create_group("H2O1")
        group.create_dataset("atomic_numbers", data=[8, 1, 1])
        group.create_dataset("coordinates", data=np.array([GEOMETRY] * 4))
        group.create_dataset("wb97x_dz.energy", data=[-76.4, np.nan, -76.4, np.nan])
        group.create_dataset("wb97x_dz.forces", data=np.zeros((4, 3, 3)))
    totals, found, _ = imported(tmp_path, [str(tmp_path / "ani1x.h5")])
    assert totals["in the files"][1] == 4 and totals["with a label of the level"] == (1, 2) and len(found) == 2


def test_a_bad_structure_is_an_error_or_a_failure_row(tmp_path, new):
    with h5py.File(new, "a") as handle:
        handle["R/dft_total_energy"][2] = np.nan
    text = refused(tmp_path, [new])
    assert "molecule R, conformation 2" in text and "data.bad_structures to record" in text
    totals, found, failures = imported(tmp_path, [new], {**DATA, "bad_structures": "record"})
    assert [(f["id"], f["stage"]) for f in failures] == [("R/2", "import")]
    assert totals["in the files"][1] == 41 and totals["usable"][1] == 40 == len(found)


def test_periodic_structures_can_be_imported_but_not_curated(tmp_path):
    slab = Atoms("H2", [[0, 0, 0], [0, 0, 0.74]], cell=[4, 5, 6], pbc=True)
    slab.info["REF_energy"], slab.arrays["REF_forces"] = -31.7, np.zeros((2, 3))
    path = store(tmp_path / "slab.extxyz", [slab])
    _, (record,), _ = imported(tmp_path, [path])
    assert record.pbc.all() and record.cell.diagonal().tolist() == [4, 5, 6]
    from mlipshift.data.curation import curate

    data = {**DATA, "files": {"train": [str(tmp_path / "x.h5")]}, "checksums": None, "max_structures_per_group": None}
    with pytest.raises(UserError, match="is periodic; set data.periodic to true"):
        list(curate(data, []))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"elements": ["H", "Xx"]}, "import.x.elements: 'Xx' is no element"),
        ({"elements": ["He"]}, "import.x: no structure is left after step 'elements'"),
        ({"exclude_molecules_of": ["none.hdf5"]}, "none.hdf5: no such file"),
    ],
)
def test_a_recipe_that_cannot_work_is_one_line(tmp_path, new, changes, said):
    assert said in refused(tmp_path, [new], **changes)
    assert not (tmp_path / "x.h5").exists()


def test_ids_must_be_unique_over_all_files(tmp_path, old, new):
    assert "id 'glycine/0' was already used in" in refused(tmp_path, [old, new])


def test_connected_needs_smiles(tmp_path):
    frames = sample("train", 2)
    for atoms in frames:
        del atoms.info["smiles"]
    assert "has no SMILES" in refused(tmp_path, [store(tmp_path / "a.extxyz", frames)], connected=True)


def test_canonical_smiles():
    assert canonical("[H:3][O:1][H:2]") == canonical("O") == canonical("[OH2:9]") == "O"
    assert canonical("[H:1][C@:2]([F:3])([Cl:4])[Br:5]") != canonical("[H:1][C@@:2]([F:3])([Cl:4])[Br:5]")
    # the marks of a centre whose hydrogens only their maps tell apart mean nothing
    assert canonical("[H:1][C@:2]([H:3])([Cl:4])[Br:5]") == canonical("ClCBr")
    assert canonical("") == canonical("C(") == ""
    assert charges_of_parts("[Cl-].[Na+]") == (-1, 1) and charges_of_parts("[NH3+]CC(=O)[O-]") == (0,)


# by a small process between, since a process starts with the peak of the one that it was forked from
MEASURE = """
import resource, subprocess, sys
subprocess.run([sys.executable, *sys.argv[1:]], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def waters(count):
    """Geometries of water: positions [count, 3, 3] Å, energies [count] eV, forces [count, 3, 3] eV/Å."""
    rng = np.random.default_rng(0)
    energies = -76.4 * EV + rng.normal(scale=0.1, size=count)
    return GEOMETRY + rng.normal(scale=0.02, size=(count, 3, 3)), energies, rng.normal(size=(count, 3, 3))


def write_many(path, count):
    positions, energies, forces = waters(count)
    if path.suffix == ".npz":
        np.savez_compressed(path, R=positions, E=energies / KCAL, F=forces / KCAL, z=[8, 1, 1])
        return
    with open(path, "w") as handle:
        for r, e, f in zip(positions, energies, forces):
            handle.write(f'3\nProperties=species:S:1:pos:R:3:REF_forces:R:3 REF_energy={e} pbc="F F F"\n')
            for element, atom in zip("OHH", np.hstack([r, f])):
                handle.write(element + " " + " ".join(f"{x:.5f}" for x in atom) + "\n")


def peak_memory(folder, path, step):
    """Peak resident memory in MB of importing or curating a file in a process of its own."""
    if step == "import":
        arguments = ["--name", "x", "--recipe", json.dumps(recipe([str(path)], max_per_molecule=10**9))]
        arguments += ["--settings", json.dumps(DATA), "--counts", folder / "c.csv", "--output", folder / "o.h5"]
        program = "import_dataset.py"
    else:
        data = {**DATA, "files": {"train": [str(path)]}, "checksums": None, "max_structures_per_group": None}
        outputs = ["train", "train-reference", "test", "test-reference"]
        arguments = ["--settings", json.dumps(data)] + [x for n in outputs for x in (f"--{n}", folder / f"{n}.h5")]
        program = "curate.py"
    done = run(
        [sys.executable, "-c", MEASURE, ROOT / "workflow/scripts" / program, *arguments, "--failures", folder / "f"],
        env={**environment(), "PYTHONPATH": str(ROOT / "workflow")},
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout) / (1024 if sys.platform == "linux" else 1024**2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("suffix", "step", "few", "many"),
    [(".npz", "curate", 3000, 40000), (".npz", "import", 3000, 30000), (".extxyz", "curate", 1500, 15000)],
)
def test_memory_does_not_grow_with_the_number_of_structures(tmp_path, suffix, step, few, many):
    peaks = []
    for count in (few, many):
        path = tmp_path / f"{count}{suffix}"
        write_many(path, count)
        peaks.append(peak_memory(tmp_path, path, step))
    # to hold the structures of the larger file would take 25 to 50 MB
    assert peaks[1] - peaks[0] < 18, peaks


def test_a_configuration_with_files_of_its_own_uses_these_alone():
    default = ("config/config.yaml", yaml.safe_load((ROOT / "config/config.yaml").read_text()))

    def files(*own):
        sources = [default, *((f"{k}.yaml", layer) for k, layer in enumerate(own))]
        return load(_merged(default[1], *own), SCHEMA, sources)

    mine = {"data": {"files": {"train": ["a.npz"], "ood_md22": ["b.npz"]}}}
    assert files(mine)["data"]["files"] == {"train": ["a.npz"], "ood_md22": ["b.npz"]}
    more = {"data": {"files": {"id_test": ["c.npz"]}}}
    assert set(files(mine, more)["data"]["files"]) == {"train", "ood_md22", "id_test"}
    smoke = yaml.safe_load((ROOT / "config/smoke.yaml").read_text())
    assert files(smoke)["data"]["files"] == default[1]["data"]["files"]
    assert files(default[1])["data"]["files"] == default[1]["data"]["files"]


def _merged(*layers):
    out = {}
    for layer in layers:
        for key, value in layer.items():
            both = isinstance(out.get(key), dict) and isinstance(value, dict)
            out[key] = _merged(out[key], value) if both else value
    return out


@pytest.mark.parametrize(
    ("own", "parts"),
    [
        ({"data": {"files": {"train": ["a"], "test": ["b"]}}}, ["unknown key 'data.files.test'", "id_test"]),
        ({"data": {"files": {"train": ["a"], "OOD_X": ["b"]}}}, ["unknown key", "ood_NAME"]),
        ({"data": {"files": {"train": ["a"], "ood_x": "b"}}}, ["'data.files.ood_x' is \"b\"", "give a list"]),
        ({"import": {"a b": {}}}, ["unknown key 'import.a b'", "letters, digits"]),
        ({"import": {"x": {"level": "y"}}}, ["'import.x.files' is null", "give a list"]),
        ({"import": {"x": {"files": ["a"], "level": "y", "max_molecule": 1}}}, ["did you mean 'max_molecules'?"]),
        ({"import": {"x": {"files": ["a"], "level": "y", "fraction": 2}}}, ["'import.x.fraction' is 2", "at most 1"]),
        ({"import": {"x": {"files": ["a"], "level": "y", "elements": ["h"]}}}, ["'import.x.elements[0]' is \"h\""]),
    ],
)
def test_mistakes_in_files_and_recipes_are_one_line(own, parts):
    default = ("config/config.yaml", yaml.safe_load((ROOT / "config/config.yaml").read_text()))
    with pytest.raises(UserError) as caught:
        load(_merged(default[1], own), SCHEMA, [default, ("my.yaml", own)])
    assert all(part in str(caught.value) for part in parts), str(caught.value)


def test_the_manual_has_every_key_of_a_recipe():
    manual = (ROOT / "config" / "README.md").read_text()
    keys = read_schema(SCHEMA)["$defs"]["recipe"]["properties"]
    assert all(f"| `import.NAME.{key}` |" in manual for key in keys)
    tables = [line for line in manual.splitlines() if line.startswith("|")]
    head = manual.splitlines().index(next(line for line in tables if line.startswith("| `run`")))
    assert manual.splitlines()[head - 1].startswith("|---"), "a row outside the sections has a header, too"
