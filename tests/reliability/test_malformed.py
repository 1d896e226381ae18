"""A corpus of malformed inputs: each ends in one clear line and a non-zero exit, with no traceback.

CASES counts them; what makes an input malformed is its name.
"""

import gzip
import json
import os
import pickle
import shutil
import zipfile
import zlib

import h5py
import numpy as np
import pytest
import torch
from ase.io import read, write
from hypothesis import HealthCheck, given
from hypothesis import settings as budget
from hypothesis import strategies as st

from clone import ROOT
from mlipshift.base.frames import Frames, Labels
from mlipshift.base.units import BOHR, EV, KCAL
from mlipshift.learn import networks
from mlipshift.learn.potential import Potential
from scripts import assert_refused, run_script

BENCHMARK = ROOT / "resources" / "benchmark"
SCHEMA = ROOT / "workflow" / "schemas" / "config.schema.yaml"


# settings: file content -> words of the line

CONFIGS = {
    "empty": (b"", "holds no settings"),
    "only a comment": (b"# nothing\n", "holds no settings"),
    "a list": (b"- 1\n- 2\n", "holds no settings"),
    "plain text": (b"just text\n", "holds no settings"),
    "binary": (bytes(range(256)), "not a text file"),
    "control characters": (b"ttt: {steps: \x00}\n", "not YAML"),
    "Latin-1": ("ttt: {stéps: 3}\n".encode("latin-1"), "UTF-8"),
    "tabs": (b"ttt:\n\tsteps: 3\n", "line 2"),
    "open bracket": (b"training: {seeds: [0, 1\n", "not YAML"),
    "open quote": (b'data: {checksums: "SHA256SUMS\n', "not YAML"),
    "wrong indent": (b"ttt:\n  steps: 3\n level: max\n", "line 3"),
    "key twice": (b"ttt: {steps: 3}\nttt: {steps: 4}\n", "'ttt' stands twice, again in line 2"),
    "inner key twice": (b"ttt:\n  steps: 3\n  level: max\n  steps: 4\n", "'steps' stands twice"),
    "object of Python": (b"ttt: !!python/object/apply:os.system ['true']\n", "not YAML"),
    "unknown tag": (b"ttt: !steps {}\n", "not YAML"),
    "cyclic": (b"ttt: &a {steps: *a}\n", ""),
    "unknown section": (b"tt: {steps: 3}\n", "did you mean 'ttt'?"),
    "unknown key": (b"ttt: {step: 3}\n", "did you mean 'steps'?"),
    "unknown key without a likeness": (b"ttt: {zzzzz: 3}\n", "known here"),
    "key that is a number": (b"ttt: {3: 3}\n", "unknown key"),
    "section that is null": (b"training: null\n", "'training' is null"),
    "section that is a number": (b"training: 7\n", "'training' is 7"),
    "section that is a list": (b"prior: [GFN2-xTB]\n", "'prior' is"),
    "text for a number": (b"ttt: {steps: many}\n", "whole number"),
    "number of YAML 1.2": (b"ttt: {learning_rate: 1e-4}\n", "write 0.0001"),
    "fraction for a whole number": (b"ttt: {steps: 2.5}\n", "whole number"),
    "negative": (b"training: {joint: {steps: -10}}\n", "at least 1"),
    "zero shards": (b"prior: {shards: 0}\n", "at least 1"),
    "NaN": (b"ttt: {learning_rate: .nan}\n", "not a finite number"),
    "infinite": (b"model: {cutoff_A: .inf}\n", "not a finite number"),
    "true for a number": (b"ttt: {steps: true}\n", "whole number"),
    "unknown method": (b"prior: {method: GFN3-xTB}\n", "GFN1-xTB, GFN2-xTB"),
    "no seed": (b"training: {seeds: []}\n", "'training.seeds' is empty"),
    "seed twice": (b"training: {seeds: [0, 0]}\n", "every entry once"),
    "seed that is text": (b"training: {seeds: [a]}\n", "training.seeds[0]"),
    "unknown unit": (b"data: {units: {energy: kJ/mol}}\n", "kcal/mol"),
    "unknown group": (b"data: {files: {test: [a.extxyz]}}\n", "data.files.test"),
    "file that is a number": (b"data: {files: {train: [3]}}\n", "data.files.train[0]"),
    "run that leaves the folder": (b"run: ../elsewhere\n", "'run' is"),
    "run with a blank": (b"run: my run\n", "'run' is"),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_settings(name, tmp_path):
    content, word = CONFIGS[name]
    (tmp_path / "my.yaml").write_bytes(content)
    assert_refused(run_script("check_config", tmp_path, "--config", "my.yaml", "--schema", SCHEMA), "my.yaml", word)


@pytest.mark.parametrize("name", ["missing.yaml", "."])
def test_settings_that_are_no_file(name, tmp_path):
    assert_refused(run_script("check_config", tmp_path, "--config", name, "--schema", SCHEMA), "cannot be read")


# structure files


def curate(folder, path, test=None, **changes):
    """Curate one file as training data (and another as test data)."""
    settings = {
        "files": {"train": [str(path)]} | ({"id_test": [str(test)]} if test else {}),
        "checksums": None,
        "units": {},
        "keys": {"energy": "REF_energy", "forces": "REF_forces"},
        "bad_structures": "refuse",
        "max_structures_per_group": None,
        "trust_pickles": False,
        **changes,
    }
    out = {name: f"{name}.h5" for name in ("train", "train-reference", "test", "test-reference")}
    options = [word for name, value in out.items() for word in (f"--{name}", value)]
    done = run_script("curate", folder, "--settings", json.dumps(settings), *options, "--failures", "failures.csv")
    if done.status:
        assert not any((folder / value).exists() for value in out.values()), "a refused run leaves no store"
    return done


def text_of(folder, count=12):
    path = folder / "good.extxyz"
    write(path, read(BENCHMARK / "train.extxyz", index=f":{count}"), format="extxyz")
    return path.read_text()


def line(number, change):
    def edit(text):
        lines = text.split("\n")
        lines[number] = change(lines[number])
        return "\n".join(lines)

    return edit


def cell(number, column, value):
    def change(text):
        words = text.split()
        words[column] = value
        return " ".join(words)

    return line(number, change)


EXTXYZ = {
    "empty": (lambda t: "", "no structure in it"),
    "only blanks": (lambda t: "\n\n  \n", "no structure in it"),
    "binary": (lambda t: bytes(range(200, 256)) * 9, "not a text file"),
    "prose": (lambda t: "Dear reader,\nhere are the structures.\n", "expected the number of atoms"),
    "web page": (lambda t: "<!DOCTYPE html><html><body>404</body></html>\n", "expected the number of atoms"),
    "comma separated": (lambda t: t.replace(" ", ","), "frame 0"),
    "no comment line": (line(1, lambda _: ""), "frame 0"),
    "count too small": (line(0, lambda c: str(int(c) - 1)), "expected the number of atoms"),
    "count too large": (line(0, lambda c: str(int(c) + 1)), "frame 0"),
    "count zero": (lambda t: "0\n\n", "no atom"),
    "count negative": (line(0, lambda _: "-3"), "expected the number of atoms"),
    "count huge": (line(0, lambda _: "99999999999999"), "the file ends"),
    "cut in a line": (lambda t: t[: len(t) // 2 + 7], "frame"),
    "cut in the last frame": (lambda t: "\n".join(t.split("\n")[:-4]), "the file ends after"),
    "unknown symbol": (cell(2, 0, "Qq"), "frame 0"),
    "missing column": (line(2, lambda row: " ".join(row.split()[:-1])), "frame 0"),
    "word for a number": (cell(3, 2, "here"), "frame 0"),
    "position NaN": (cell(3, 2, "nan"), "not finite"),
    "position infinite": (cell(3, 2, "inf"), "not finite"),
    "position of overflow": (cell(3, 2, "1e999"), "not finite"),
    "force NaN": (cell(2, -1, "nan"), "not finite"),
    "force infinite": (cell(2, -1, "-inf"), "not finite"),
    "energy NaN": (line(1, lambda c: c.replace("REF_energy=", "REF_energy=nan old=")), "not a finite number"),
    "energy that is a word": (line(1, lambda c: c.replace("REF_energy=", "REF_energy=low old=")), "not a finite"),
    "no label at all": (
        lambda t: t.replace("REF_energy=", "E=").replace("REF_forces", "gradient"),
        "REF_energy and REF_forces",
    ),
    "periodic": (line(1, lambda c: c.replace('pbc="F F F"', 'Lattice="9 0 0 0 9 0 0 0 9" pbc="T T T"')), "periodic"),
    "unknown element": (cell(2, 0, "Og"), "outside GFN-xTB"),
    "charge that is a word": (line(1, lambda c: f"{c} charge=plus"), "not a whole number"),
    "charge that is a fraction": (line(1, lambda c: c.replace("charge=0", "charge=0.5")), "not a whole number"),
    "charge beyond the electrons": (line(1, lambda c: c.replace("charge=0", "charge=500")), "is 500 by charge"),
    "multiplicity of another parity": (line(1, lambda c: c.replace("multiplicity=1", "multiplicity=2")), "do not fit"),
    "multiplicity zero": (line(1, lambda c: c.replace("multiplicity=1", "multiplicity=0")), "do not fit"),
    "one id twice": (lambda t: t + t, "was already used"),
    "atoms on top of each other": (lambda t: line(3, lambda _: t.split("\n")[2])(t), "on top of each other"),
    "gradients for forces": (lambda t: negated(t), "sign of the gradient"),
    "kcal/mol for eV": (lambda t: scaled(t, energy=1 / KCAL), "energies look like kcal/mol"),
    "hartree for eV": (lambda t: scaled(t, energy=1 / EV), "energies look like Hartree"),
    "bohr for ångström": (lambda t: scaled(t, length=1 / BOHR), "positions look like Bohr"),
    "nanometres for ångström": (lambda t: scaled(t, length=0.1), "positions look like nm"),
}


def scaled(text, energy=1.0, length=1.0, forces=1.0):
    """The frames with their numbers in other units."""
    import io

    frames = read(io.StringIO(text), index=":", format="extxyz")
    for atoms in frames:
        atoms.positions *= length
        atoms.info["REF_energy"] *= energy
        atoms.arrays["REF_forces"] *= forces
    out = io.StringIO()
    write(out, frames, format="extxyz")
    return out.getvalue()


def negated(text):
    return scaled(text, forces=-1.0)


@pytest.mark.parametrize("name", EXTXYZ)
def test_extended_xyz(name, tmp_path):
    damage, word = EXTXYZ[name]
    content = damage(text_of(tmp_path, 60))
    path = tmp_path / "bad.extxyz"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert path.read_text(errors="replace") != text_of(tmp_path, 60), "the damage did nothing"
    assert_refused(curate(tmp_path, path), "bad.extxyz", word)


@pytest.mark.parametrize("suffix", [".gz", ".xz"])
def test_compressed_text_cut_short(suffix, tmp_path):
    import lzma

    data = (gzip if suffix == ".gz" else lzma).compress(text_of(tmp_path).encode())
    path = tmp_path / f"bad.extxyz{suffix}"
    path.write_bytes(data[: len(data) // 2])
    assert_refused(curate(tmp_path, path), path.name)


def npz(path, **changes):
    rng = np.random.default_rng(0)
    arrays = {
        "z": np.array([8, 1, 1], np.uint8),
        "R": np.array([[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]]) + 0.01 * rng.normal(size=(20, 3, 3)),
        "E": np.full((20, 1), -47900.0),
        "F": rng.normal(size=(20, 3, 3)),
    } | changes
    np.savez_compressed(path, **{k: v for k, v in arrays.items() if v is not None})
    return path


class Payload:
    """What a hostile file would run."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.system, (f"touch {self.target}",)


NPZ = {
    "no atomic numbers": ({"z": None}, ""),
    "no positions": ({"R": None}, ""),
    "no label": ({"E": None, "F": None}, "has no label"),
    "two names for one": ({"E": None, "energy": np.ones(20), "energies": np.ones(20)}, "data.keys.energy"),
    "fewer lattices": ({"lattice": np.ones((7, 3, 3))}, "lattice has shape"),
    "unknown unit": ({"e_unit": "rydberg"}, "unit of energy"),
    "foreign keys": ({"z": None, "R": None, "E": None, "F": None, "weights": np.ones(3)}, ""),
    "fewer energies": ({"E": np.ones((7, 1))}, ""),
    "fewer forces": ({"F": np.ones((7, 3, 3))}, ""),
    "positions of another shape": ({"R": np.ones((20, 9))}, ""),
    "more atomic numbers": ({"z": np.array([8, 1, 1, 1])}, ""),
    "no structure": ({"R": np.ones((0, 3, 3)), "E": np.ones((0, 1)), "F": np.ones((0, 3, 3))}, "no "),
    "positions NaN": ({"R": np.full((20, 3, 3), np.nan)}, "not finite"),
    "energies infinite": ({"E": np.full((20, 1), np.inf)}, "not a finite number"),
    "forces NaN": ({"F": np.full((20, 3, 3), np.nan)}, "not finite"),
    "text for positions": ({"R": np.full((20, 3, 3), "x")}, ""),
    "complex positions": ({"R": np.full((20, 3, 3), 1j)}, ""),
    "atomic number beyond the table": ({"z": np.array([8, 1, 250], np.uint8)}, "Z = 250"),
    "atomic number zero": ({"z": np.array([8, 1, 0], np.uint8)}, ""),
    "all atoms in one place": ({"R": np.zeros((20, 3, 3))}, "on top of each other"),
}


@pytest.mark.parametrize("name", NPZ)
def test_npz(name, tmp_path):
    changes, word = NPZ[name]
    assert_refused(curate(tmp_path, npz(tmp_path / "bad.npz", **changes)), "bad.npz", word)


def test_npz_of_objects_is_not_unpickled(tmp_path):
    mark = tmp_path / "hacked"
    path = npz(tmp_path / "bad.npz", R=np.array([Payload(mark)], dtype=object))
    assert_refused(curate(tmp_path, path), "bad.npz")
    assert not mark.exists()


@pytest.mark.parametrize("name", ["cut", "one bit", "not a zip", "empty zip", "empty"])
def test_damaged_npz(name, tmp_path):
    path = npz(tmp_path / "bad.npz")
    data = bytearray(path.read_bytes())
    if name == "empty zip":
        zipfile.ZipFile(path, "w").close()
    else:
        data[len(data) // 2] ^= 16
        contents = {
            "cut": data[: len(data) // 2],
            "one bit": data,
            "not a zip": b"PK\x03\x04" + b"no" * 99,
            "empty": b"",
        }
        path.write_bytes(contents[name])
    assert_refused(curate(tmp_path, path), "bad.npz")


def spice(path, edit=lambda group: None):
    with h5py.File(path, "w") as handle:
        group = handle.create_group("water")
        group["atomic_numbers"] = np.array([8, 1, 1], np.int16)
        group["conformations"] = np.array([[[0, 0, 0], [1.81, 0, 0], [-0.45, 1.75, 0]]] * 4)
        group["dft_total_energy"] = np.full(4, -76.4)
        group["dft_total_gradient"] = np.zeros((4, 3, 3))
        group.create_dataset("smiles", data=["[O:1]([H:2])[H:3]"], dtype=h5py.string_dtype())
        group.create_dataset("subset", data=["test"], dtype=h5py.string_dtype())
        edit(group)
    return path


def replaced(name, value):
    def edit(group):
        del group[name]
        if value is not None:
            group[name] = value

    return edit


SPICE = {
    "no atomic numbers": replaced("atomic_numbers", None),
    "no label": lambda group: (replaced("dft_total_energy", None)(group), replaced("dft_total_gradient", None)(group)),
    "fewer energies": replaced("dft_total_energy", np.full(2, -76.4)),
    "gradient of another shape": replaced("dft_total_gradient", np.zeros((4, 9))),
    "more atomic numbers": replaced("atomic_numbers", np.array([8, 1, 1, 1])),
    "conformations NaN": replaced("conformations", np.full((4, 3, 3), np.nan)),
    "energy NaN": replaced("dft_total_energy", np.full(4, np.nan)),
    "charge of the SMILES against the spin": replaced("smiles", ["[O+:1]([H:2])([H:3])[Zz]"]),
    "text for conformations": replaced("conformations", [["a"]]),
}


@pytest.mark.parametrize("name", SPICE)
def test_spice(name, tmp_path):
    assert_refused(curate(tmp_path, spice(tmp_path / "bad.hdf5", SPICE[name])), "bad.hdf5")


@pytest.mark.parametrize("name", ["no group", "foreign group", "cut", "only the signature"])
def test_foreign_or_damaged_hdf5(name, tmp_path):
    path = spice(tmp_path / "bad.hdf5")
    if name == "cut":
        path.write_bytes(path.read_bytes()[:3000])
    elif name == "only the signature":
        path.write_bytes(b"\x89HDF\r\n\x1a\n")
    else:
        with h5py.File(path, "w") as handle:
            if name == "foreign group":
                handle["weights/layer"] = np.ones(3)
    assert_refused(curate(tmp_path, path), "bad.hdf5")


def lmdb_file(path, values):
    import lmdb

    with lmdb.open(str(path), subdir=False, map_size=2**24) as base, base.begin(write=True) as table:
        for key, value in values.items():
            table.put(key.encode(), value)
    return path


def test_pickles_are_refused_without_consent(tmp_path):
    mark = tmp_path / "hacked"
    path = lmdb_file(tmp_path / "bad.lmdb", {"0": pickle.dumps(Payload(mark))})
    assert_refused(curate(tmp_path, path), "bad.lmdb", "data.trust_pickles")
    assert not mark.exists()


LMDB = {
    "foreign class": lambda folder: pickle.dumps(Payload(folder / "hacked")),
    "no pickle": lambda folder: b"no pickle",
    "cut pickle": lambda folder: pickle.dumps({"pos": [1, 2, 3]})[:-5],
    "another object": lambda folder: pickle.dumps([1, 2, 3]),
    "torch object inside": lambda folder: pickle.dumps(torch.nn.Linear(1, 1)),
}


@pytest.mark.parametrize("name", LMDB)
def test_pickles_run_no_code_even_with_consent(name, tmp_path):
    path = lmdb_file(tmp_path / "bad.lmdb", {"0": LMDB[name](tmp_path)})
    assert_refused(curate(tmp_path, path, trust_pickles=True), "bad.lmdb")
    assert not (tmp_path / "hacked").exists()


@pytest.mark.parametrize("name", ["no entry", "no LMDB", "empty folder"])
def test_foreign_lmdb(name, tmp_path):
    path = tmp_path / "bad.lmdb"
    if name == "no entry":
        lmdb_file(path, {})
    elif name == "no LMDB":
        path.write_bytes(b"nothing" * 2000)
    else:
        path.mkdir()
    assert_refused(curate(tmp_path, path, trust_pickles=True), "bad.lmdb")


SDF = "\n  test                3D\n\n  2  0  0            999 V2000\n" + "    0.0000    0.0000    0.9700 H   0  0\n" * 2


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("", "no structure in it"),
        (SDF[:90], "no molfile"),
        (SDF, "no molfile"),
        (SDF + "M  CHG  1   7  -1\nM  END\n", "no molfile"),
        (SDF.replace(" H ", " Qq") + "M  END\n", "no molfile"),
        (SDF + "M  END\n", "on top of each other"),
        (SDF.replace("0.9700", "nan   ", 1) + "M  END\n", "not finite"),
        (SDF.replace("V2000", "V3000") + "M  END\n", "no molfile"),
    ],
)
def test_sdf(content, word, tmp_path):
    (tmp_path / "bad.sdf").write_text(content)
    assert_refused(curate(tmp_path, tmp_path / "bad.sdf", labels="optional"), "bad.sdf", word)


@pytest.mark.parametrize("name", ["bad.db", "bad.json", "bad.aselmdb"])
@pytest.mark.parametrize("damage", ["cut", "zeroed", "empty"])
def test_databases_of_ase(name, damage, tmp_path):
    path = tmp_path / name
    if name == "bad.aselmdb":
        lmdb_file(
            path, {"1": zlib.compress(b'{"numbers": [8], "positions": [[0, 0, 0]]}'), "nextid": zlib.compress(b"2")}
        )
    else:
        write(path, read(BENCHMARK / "train.extxyz", index=":5"))
    data = path.read_bytes()
    middle = len(data) // 2
    contents = {"cut": data[:middle], "zeroed": data[:100] + bytes(len(data) - 100), "empty": b""}
    path.write_bytes(contents[damage])
    assert_refused(curate(tmp_path, path), name)


@pytest.mark.parametrize("name", ["no atXYZ", "other shape", "text"])
def test_qm7x(name, tmp_path):
    with h5py.File(tmp_path / "bad.hdf5", "w") as handle:
        for k, geometry in enumerate(("Geom-m1-i1-c1-opt", "Geom-m1-i1-c1-d1")):
            group = handle.create_group(f"1/{geometry}")
            group["atNUM"], group["totFOR"], group["ePBE0+MBD"] = [8, 1, 1], np.zeros((3, 3)), [-2080.0]
            xyz = np.array([[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]])
            changed = {"no atXYZ": None, "other shape": xyz[:2], "text": [["a"]]}[name] if k else xyz
            if changed is not None:
                group["atXYZ"] = changed
    assert_refused(curate(tmp_path, tmp_path / "bad.hdf5"), "bad.hdf5")


@pytest.mark.parametrize("content", ["{", "{}", '{"mp-1": 3}', '{"mp-1": {"f-1": {"structure": 1}}}', '{"a": [1, 2'])
def test_json(content, tmp_path):
    (tmp_path / "bad.json").write_text(content)
    assert_refused(curate(tmp_path, tmp_path / "bad.json"), "bad.json")


# what passes between rules, and checkpoints


@pytest.fixture
def store(tmp_path):
    """Frames of three molecules."""
    row = {"group": "train", "molecule": "m", "charge": 0, "multiplicity": 1}
    water = np.array([[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]])
    Frames.build([row | {"id": f"w{k}", "numbers": [8, 1, 1], "positions": water + k} for k in range(3)]).save(
        tmp_path / "frames.h5"
    )
    return tmp_path / "frames.h5"


def other_kind(path):
    frames = Frames.load(path)
    Labels.build(frames, [None] * len(frames), "x").save(path)


def without(name):
    def damage(path):
        with h5py.File(path, "a") as handle:
            del handle[name]

    return damage


STORES = {
    "missing": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("frames"),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:2000]),
    "labels instead of frames": other_kind,
    "no format": lambda path: h5py.File(path, "w").close(),
    "no positions": without("positions"),
    "no offsets": without("offsets"),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("name", STORES)
def test_store(name, store):
    STORES[name](store)
    done = run_script(
        "augment", store.parent, "--frames", store, "--output", "out.h5", "--copies", 1, "--sigma", 0.1, "--seed", 0
    )
    assert_refused(done, "frames.h5")


@pytest.fixture
def checkpoint(tmp_path):
    """Directory of a small, untrained model."""
    network = networks.build({"features": 8, "blocks": 1, "radial": 6, "cutoff": 5.0})
    Potential(network, {"strategy": "supervised", "seed": 0}).save(tmp_path / "model")
    return tmp_path / "model"


def card(**changes):
    def damage(path):
        content = json.loads((path / "model.json").read_text()) | changes
        (path / "model.json").write_text(json.dumps({k: v for k, v in content.items() if v is not None}))

    return damage


def weights(make):
    return lambda path: (path / "weights.pt").write_bytes(make(path))


def saved(make):
    return lambda path: torch.save(make(path), path / "weights.pt")


CHECKPOINTS = {
    "missing": shutil.rmtree,
    "no card": lambda path: (path / "model.json").unlink(),
    "no weights": lambda path: (path / "weights.pt").unlink(),
    "card that is no JSON": lambda path: (path / "model.json").write_text("{"),
    "card that is a list": lambda path: (path / "model.json").write_text("[1]"),
    "card of another format": card(format="mlipshift-model-99"),
    "card without architecture": card(architecture=None),
    "card of an unknown strategy": card(strategy="sideways"),
    "unknown architecture": card(architecture={"layers": 3}),
    "architecture of another size": card(architecture={"features": 16, "blocks": 1, "radial": 6, "cutoff": 5.0}),
    "weights cut": weights(lambda path: (path / "weights.pt").read_bytes()[:-300]),
    "weights empty": weights(lambda path: b""),
    "weights that are text": weights(lambda path: b"weights"),
    "weights of another model": saved(lambda path: {"layer": torch.ones(3)}),
    "weights that are a number": saved(lambda path: 3),
    "weights NaN": saved(
        lambda path: {
            k: torch.full_like(v, torch.nan) for k, v in torch.load(path / "weights.pt", weights_only=True).items()
        }
    ),
    "pickled model": saved(lambda path: torch.nn.Linear(1, 1)),
    "hostile pickle": saved(lambda path: Payload(path.parent / "hacked")),
    "hostile plain pickle": weights(lambda path: pickle.dumps(Payload(path.parent / "hacked"))),
}


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_checkpoint(name, checkpoint, store):
    CHECKPOINTS[name](checkpoint)
    done = run_script(
        "predict",
        checkpoint.parent,
        *("--model", checkpoint, "--frames", store, "--output", "out.h5", "--timing", "timing.json"),
    )
    assert_refused(done, str(checkpoint))
    assert not (checkpoint.parent / "hacked").exists()


# random damage: whatever it is, the script refuses in one line or reads numbers that are sound

FUZZ = budget(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def damaged(data, draw):
    """A few random edits of a file."""
    data = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        kind = draw(st.sampled_from(["flip", "cut", "zero", "insert", "repeat"]))
        if kind == "flip" and data:
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "cut":
            del data[at:]
        elif kind == "zero":
            data[at : at + 8] = bytes(len(data[at : at + 8]))
        elif kind == "insert":
            data[at:at] = draw(st.binary(min_size=1, max_size=8))
        else:
            data[at:at] = data[max(at - 16, 0) : at]
    return bytes(data)


def assert_refused_or_sound(done, folder):
    if done.status:
        assert_refused(done)
        return
    frames, labels = Frames.load(folder / "train.h5"), Labels.load(folder / "train-reference.h5")
    assert len(frames) == len(labels) > 0 and np.isfinite(frames.positions).all()
    for k in range(len(labels)):
        known = np.isfinite(labels.energy[k]), np.isfinite(labels.forces_of(k))
        # half of a label suffices
        assert known[1].all() or (known[0] and not known[1].any())
    for name in ("train", "train-reference", "test", "test-reference"):
        (folder / f"{name}.h5").unlink()


@pytest.mark.parametrize("kind", ["extxyz", "npz", "hdf5"])
@FUZZ
@given(data=st.data())
def test_random_damage(kind, tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("fuzz")
    path = folder / f"bad.{kind}"
    if kind == "extxyz":
        path.write_text(text_of(folder, 3))
    else:
        {"npz": npz, "hdf5": spice}[kind](path)
    path.write_bytes(damaged(path.read_bytes(), data.draw))
    assert_refused_or_sound(curate(folder, path), folder)
    shutil.rmtree(folder)
