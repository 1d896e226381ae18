"""Readers: every format as its publishers write it, converted once, streamed, and refused in one line if damaged."""

import collections
import gzip
import json
import lzma
import os
import pickle
import zipfile
from collections import Counter
from itertools import islice
from pathlib import Path

import h5py
import lmdb
import numpy as np
import pytest

from mlipshift.base.errors import UserError
from mlipshift.base.frames import Dataset
from mlipshift.base.units import BOHR, EV, KCAL
from mlipshift.data import plausibility, readers, records

MIRROR = Path(__file__).parents[3] / "shared" / "data"
SETTINGS = {
    "keys": {"energy": "energy", "forces": "forces"},
    "units": {},
    "bad_structures": "refuse",
    "trust_pickles": True,
}
WATER = np.array([[0, 0, 0.12], [0, 0.76, -0.48], [0, -0.76, -0.48]])
NUMBERS = np.array([8, 1, 1])
ENERGY = -76.4 * EV  # eV
FORCES = np.array([[0, 0, 1.5], [0, 0.25, -0.75], [0, -0.25, -0.75]])  # eV/Å
XYZ = (
    '3\nProperties=species:S:1:pos:R:3:forces:R:3 energy={energy} pbc="F F F"\n'
    "O 0 0 0.12 0 0 1.5\nH 0 0.76 -0.48 0 0.25 -0.75\nH 0 -0.76 -0.48 0 -0.25 -0.75\n"
)


def geometries(count):
    """Geometries of water [count, 3, 3] in Å, energies [count] in eV, forces [count, 3, 3] in eV/Å."""
    rng = np.random.default_rng(0)
    return (
        WATER + rng.normal(scale=0.02, size=(count, 3, 3)),
        ENERGY + rng.normal(scale=0.1, size=count),
        FORCES + rng.normal(scale=0.1, size=(count, 3, 3)),
    )


def extxyz(path):
    path.write_text("".join(XYZ.format(energy=ENERGY) for _ in range(3)))


def npz(path, count=3, names=("E", "F", "R", "z"), **others):
    positions, energies, forces = geometries(count)
    arrays = dict(zip(names, (energies[:, None] / KCAL, forces / KCAL, positions, NUMBERS.astype(np.uint8))))
    np.savez_compressed(path, **{**arrays, **others})


def spice(path, molecules=None):
    """SPICE as downloader.py of openmm/spice-dataset writes it; molecules: {name: (smiles, subset, count)}."""
    molecules = molecules or {"water": ("[O:1]([H:2])[H:3]", "SPICE Solvated", 3)}
    with h5py.File(path, "w") as handle:
        for name, (smiles, subset, count) in molecules.items():
            positions, energies, forces = geometries(count)
            group = handle.create_group(name)
            group.create_dataset("smiles", data=[smiles], dtype=h5py.string_dtype())
            group.create_dataset("subset", data=[subset], dtype=h5py.string_dtype())
            group.create_dataset("atomic_numbers", data=NUMBERS.astype(np.int16))
            group.create_dataset("conformations", data=(positions / BOHR).astype(np.float32))
            group.create_dataset("dft_total_energy", data=energies / EV)
            group.create_dataset("formation_energy", data=np.zeros(count))
            group.create_dataset("dft_total_gradient", data=(-forces / EV * BOHR).astype(np.float32))


def ani1x(path, count=3):
    positions, energies, forces = geometries(count)
    with h5py.File(path, "w") as handle:
        group = handle.create_group("H2O1")
        group.create_dataset("atomic_numbers", data=NUMBERS.astype(np.uint8))
        group.create_dataset("coordinates", data=positions.astype(np.float32))
        group.create_dataset("wb97x_dz.energy", data=energies / EV)
        group.create_dataset("wb97x_dz.forces", data=(forces / EV).astype(np.float32))
        group.create_dataset("ccsd(t)_cbs.energy", data=np.full(count, np.nan))


def graph(k=0, **changes):
    """A PyG graph as the preprocessing of OC20 makes it."""
    torch = pytest.importorskip("torch")
    data = pytest.importorskip("torch_geometric.data")
    content = {
        "cell": torch.diag(torch.tensor([5.0, 6.0, 20.0]))[None],
        "pos": torch.tensor(WATER, dtype=torch.float32),
        "atomic_numbers": torch.tensor([8.0, 1.0, 1.0]),
        "natoms": 3,
        "y": -1.25,
        "force": torch.tensor(FORCES, dtype=torch.float32),
        "tags": torch.tensor([0, 1, 2]),
        "fixed": torch.tensor([1.0, 0.0, 0.0]),
        "sid": 7,
        "fid": k,
    }
    return data.Data(**{**content, **changes})


def store(path, values, length=True):
    """LMDB file of pickles under ascii numbers."""
    with lmdb.open(str(path), subdir=False, map_size=2**24) as env, env.begin(write=True) as transaction:
        for k, value in enumerate(values):
            data = value if isinstance(value, bytes) else pickle.dumps(value, protocol=-1)
            transaction.put(str(k).encode(), data)
        if length:
            transaction.put(b"length", pickle.dumps(len(values), protocol=-1))


def oc20(path):
    store(path, [graph(k) for k in range(3)])


def crystal(energy=-10.5, **changes):
    """A frame of MPtrj: rock salt with two atoms."""
    structure = {
        "@module": "pymatgen.core.structure",
        "@class": "Structure",
        "charge": 0,
        "lattice": {"matrix": [[0, 2.8, 2.8], [2.8, 0, 2.8], [2.8, 2.8, 0]], "pbc": [True] * 3, "volume": 43.9},
        "sites": [
            {"species": [{"element": "Na", "occu": 1}], "abc": [0, 0, 0], "xyz": [0, 0, 0], "label": "Na"},
            {"species": [{"element": "Cl", "occu": 1}], "abc": [0.5] * 3, "xyz": [2.8, 2.8, 2.8], "label": "Cl"},
        ],
    }
    frame = {
        "structure": structure,
        "uncorrected_total_energy": energy,
        "corrected_total_energy": energy - 1,
        "energy_per_atom": energy / 2,
        "force": [[0.1, 0, 0], [-0.1, 0, 0]],
        "stress": [[0.0] * 3] * 3,
        "magmom": None,
        "bandgap": 5.0,
        "mp_id": "mp-1",
    }
    return {**frame, **changes}


def mptrj(path, materials=2, frames=3):
    content = {f"mp-{m}": {f"mp-{m}-0-{k}": crystal(energy=-10.5 - k) for k in range(frames)} for m in range(materials)}
    path.write_text(json.dumps(content))


def imported(path):
    row = {
        "id": "w/0",
        "group": "mine",
        "molecule": "water",
        "numbers": NUMBERS,
        "positions": WATER,
        "charge": 0,
        "multiplicity": 1,
        "cell": np.eye(3) * 9,
        "pbc": [True, True, False],
    }
    with Dataset.writer(path, "some level") as append:
        append((row, (ENERGY, FORCES), "O", "part"))
        append(({**row, "id": "w/1"}, None, "O", "part"))


MAKERS = {
    "extxyz": (extxyz, "a.extxyz"),
    "npz": (npz, "a.npz"),
    "spice": (spice, "a.hdf5"),
    "ani1x": (ani1x, "a.h5"),
    "oc20": (oc20, "a.lmdb"),
    "mptrj": (mptrj, "a.json"),
    "dataset": (imported, "a.h5"),
}


def made(folder, kind):
    maker, name = MAKERS[kind]
    maker(folder / name)
    return folder / name


def read(path, **changes):
    return list(readers.iterate(path, "train", {**SETTINGS, **changes}))


def refused(path, **changes):
    with pytest.raises(UserError) as caught:
        read(path, **changes)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("kind", MAKERS)
def test_a_format_is_recognised_whatever_the_file_is_called(tmp_path, kind):
    path = made(tmp_path, kind)
    other = path.rename(tmp_path / "renamed.dat")
    assert readers.recognise(other) == kind


@pytest.mark.parametrize("kind", ["extxyz", "npz", "spice", "ani1x"])
def test_molecular_formats_in_eV_and_angstrom(tmp_path, kind):
    found = read(made(tmp_path, kind))
    assert len(found) == 3 and len({r.id for r in found}) == 3
    positions, energies, forces = geometries(3)
    if kind == "extxyz":
        positions, energies, forces = np.array([WATER] * 3), [ENERGY] * 3, np.array([FORCES] * 3)
    for k, record in enumerate(found):
        assert record.numbers.tolist() == [8, 1, 1] and not record.pbc.any()
        np.testing.assert_allclose(record.positions, positions[k], atol=1e-6)
        assert record.energy == pytest.approx(energies[k], rel=1e-9)
        np.testing.assert_allclose(record.forces, forces[k], atol=1e-5)
        row, (energy, force) = records.row_of(record, "train"), records.label_of(record, True)
        assert (row["charge"], row["multiplicity"]) == (0, 1)
        assert energy == record.energy and force.shape == (3, 3)


def test_the_names_of_rmd17(tmp_path):
    npz(
        tmp_path / "rmd17.npz",
        names=("energies", "forces", "coords", "nuclear_charges"),
        old_energies=np.zeros(3),
        old_forces=np.zeros((3, 3, 3)),
        old_indices=np.arange(3),
    )
    found = read(tmp_path / "rmd17.npz")
    assert [r.id for r in found] == [f"train/rmd17/{k:05d}" for k in range(3)]
    assert found[0].molecule == "H2O" and found[0].energy == pytest.approx(geometries(3)[1][0])


def test_npz_notes_that_are_python_objects_are_not_touched(tmp_path):
    npz(tmp_path / "a.npz", name=np.array("water", dtype=object), theory=np.array("PBE"), md5=np.array(b"0"))
    assert len(read(tmp_path / "a.npz")) == 3
    npz(tmp_path / "b.npz", E=np.array([1, 2, None], dtype=object))
    assert "E holds Python objects" in refused(tmp_path / "b.npz")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"F": np.zeros((3, 2, 3))}, "F has shape (3, 2, 3), (3, 3, 3) expected"),
        ({"E": np.zeros(2)}, "E has shape (2,)"),
        ({"z": np.array(8)}, "z is int64 of shape ()"),
        ({"R": np.asfortranarray(np.zeros((3, 3, 3)))}, "R is stored in Fortran order"),
        ({"R": np.array([["a"]])}, "not an array of numbers"),
        ({"R": np.zeros((0, 3, 3)), "F": np.zeros((0, 3, 3)), "E": np.zeros(0)}, "no structure in it"),
    ],
)
def test_npz_arrays_must_fit(tmp_path, changes, said):
    npz(tmp_path / "a.npz", **changes)
    assert said in refused(tmp_path / "a.npz")


def test_npz_of_another_kind(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros(3))
    assert "holds x; an NPZ file of MD17 has E, F, R, z or energies" in refused(tmp_path / "a.npz")


def test_the_charge_of_spice_is_that_of_the_smiles(tmp_path):
    spice(
        tmp_path / "a.hdf5",
        {
            "hydroxide water": ("[O-:1][H:2].[H+:3]", "Ion Pairs", 1),
            "hydronium": ("[O+:1]([H:2])([H:3])", "Ions", 1),
            "broken": ("not a smiles", "Ions", 1),
        },
    )
    broken, cation, pair = read(tmp_path / "a.hdf5")
    assert (pair.charge, pair.id, pair.molecule, pair.subset) == (
        0,
        "hydroxide water/0",
        "hydroxide water",
        "Ion Pairs",
    )
    assert cation.charge == 1 and records.row_of(cation, "x")["multiplicity"] == 2
    with pytest.raises(ValueError, match="SMILES cannot be read"):
        records.row_of(broken, "x")


def test_a_slash_in_a_name_of_spice(tmp_path):
    spice(tmp_path / "a.hdf5", {"F/C=C/F": ("O", "", 2), "b": ("O", "", 1)})
    assert [r.id for r in read(tmp_path / "a.hdf5")] == ["F/C=C/F/0", "F/C=C/F/1", "b/0"]
    assert list(readers.molecules(tmp_path / "a.hdf5", SETTINGS)) == [("F/C=C/F", "O"), ("b", "O")]


def test_a_conformation_of_spice_without_a_label_is_a_bad_structure(tmp_path):
    spice(tmp_path / "a.hdf5")
    with h5py.File(tmp_path / "a.hdf5", "a") as handle:
        handle["water/dft_total_energy"][1] = np.nan
    found = read(tmp_path / "a.hdf5")
    with pytest.raises(ValueError, match="dft_total_energy is nan"):
        records.label_of(found[1], False)
    assert records.label_of(found[2], True)


def test_rows_of_ani1x_without_a_label_are_counted_and_skipped(tmp_path):
    ani1x(tmp_path / "a.h5", 5)
    with h5py.File(tmp_path / "a.h5", "a") as handle:
        handle["H2O1/wb97x_dz.energy"][1] = np.nan
        handle["H2O1/wb97x_dz.forces"][3, 0, 0] = np.nan
    skipped = Counter()
    found = list(readers.iterate(tmp_path / "a.h5", "x", SETTINGS, skipped=skipped))
    assert [r.id for r in found] == ["H2O1/0", "H2O1/2", "H2O1/4"] and skipped["no label"] == 2


def test_oc20_is_periodic_and_in_eV(tmp_path):
    first, *others = read(made(tmp_path, "oc20"))
    assert [r.id for r in (first, *others)] == ["7/0", "7/1", "7/2"] and first.molecule == "7"
    assert first.pbc.tolist() == [True] * 3 and first.cell.diagonal().tolist() == [5.0, 6.0, 20.0]
    assert first.numbers.tolist() == [8, 1, 1] and first.energy == -1.25
    np.testing.assert_allclose(first.forces, FORCES, atol=1e-7)
    np.testing.assert_allclose(first.positions, WATER, atol=1e-7)


def test_graphs_of_old_pyg_test_sets_and_folders(tmp_path):
    """PyG 1 kept attributes in the object; test sets have no labels; a set is a folder of files."""
    torch_geometric = pytest.importorskip("torch_geometric.data")
    old = torch_geometric.Data.__new__(torch_geometric.Data)
    old.__dict__.update({**graph()._store._mapping, "edge_index": None})
    (tmp_path / "set").mkdir()
    # the class of PyG 2 cannot pickle such an object itself
    body = pickle.dumps(_Plain(vars(old)), protocol=2).replace(
        _Plain.__module__.encode() + b"\n_Plain", b"torch_geometric.data.data\nData"
    )
    store(tmp_path / "set" / "data.0000.lmdb", [body])
    store(tmp_path / "set" / "data.0001.lmdb", [graph(1, y=None, force=None)], length=False)
    first, second = read(tmp_path / "set")
    assert first.energy == -1.25 and first.id == "7/0"
    assert second.energy is None and second.forces is None and records.label_of(second, False) is None


class _Plain:
    def __init__(self, content):
        self.__dict__.update(content)


def test_pickles_need_consent(tmp_path):
    text = refused(made(tmp_path, "oc20"), trust_pickles=False)
    assert "can run any code" in text and "data.trust_pickles" in text


class _Attack:
    def __init__(self, call):
        self.call = call

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    "call",
    [
        (os.system, ("touch {marker}",)),
        (eval, ("open('{marker}', 'w')",)),
        (collections.namedtuple, ("a", "b")),
    ],
)
def test_a_pickle_that_calls_anything_else_is_refused_even_with_consent(tmp_path, call):
    marker = tmp_path / "ran"
    function, arguments = call
    attack = _Attack((function, tuple(a.format(marker=marker) for a in arguments)))
    store(tmp_path / "a.lmdb", [graph(), graph(fid=attack)])
    assert "entry 1: refused or damaged pickle" in refused(tmp_path / "a.lmdb")
    assert not marker.exists()


def test_an_attack_inside_a_tensor_is_refused(tmp_path):
    """torch.storage._load_from_bytes unpickles bytes of its own."""
    torch = pytest.importorskip("torch")
    marker = tmp_path / "ran"
    inner = pickle.dumps(_Attack((os.system, (f"touch {marker}",))), protocol=2)
    store(tmp_path / "a.lmdb", [graph(pos=_Attack((torch.storage._load_from_bytes, (inner,))))])
    assert "refused or damaged pickle" in refused(tmp_path / "a.lmdb")
    assert not marker.exists()


def test_lmdb_of_another_kind_or_damaged(tmp_path):
    store(tmp_path / "a.lmdb", [{"a": 1}])
    assert "no OC20 S2EF file" in refused(tmp_path / "a.lmdb")
    store(tmp_path / "e.lmdb", [graph(pos="here")])
    assert "entry 0: its values are no OC20 structure" in refused(tmp_path / "e.lmdb")
    store(tmp_path / "b.lmdb", [graph(k) for k in range(40)])
    with open(tmp_path / "b.lmdb", "r+b") as handle:
        handle.truncate(3 * 4096)
    assert "shorter than its" in refused(tmp_path / "b.lmdb")
    (tmp_path / "c.lmdb").write_text("text")
    assert "not a readable LMDB file" in refused(tmp_path / "c.lmdb")
    with lmdb.open(str(tmp_path / "d.lmdb"), subdir=False) as env, env.begin(write=True) as transaction:
        transaction.put(b"length", pickle.dumps(2))
    assert "entry 0: missing" in refused(tmp_path / "d.lmdb")
    (tmp_path / "empty").mkdir()
    assert "no .lmdb file" in refused(tmp_path / "empty")


def test_mptrj_frame_by_frame(tmp_path):
    found = read(made(tmp_path, "mptrj"))
    assert [r.id for r in found] == [f"mp-{m}/mp-{m}-0-{k}" for m in range(2) for k in range(3)]
    record = found[1]
    assert record.molecule == "mp-0" and record.numbers.tolist() == [11, 17] and record.pbc.all()
    assert record.energy == -11.5, "the uncorrected energy, that of the forces"
    assert record.positions[1].tolist() == [2.8] * 3 and record.cell[0].tolist() == [0, 2.8, 2.8]
    assert record.forces[0, 0] == 0.1


def test_only_wanted_frames_of_mptrj_are_built(tmp_path):
    path = tmp_path / "a.json"
    # the first frame could not be read
    path.write_text(json.dumps({"mp-1": {"bad": {"structure": 1}, "good": crystal()}}))
    wanted = list(readers.iterate(path, "x", SETTINGS, wanted=lambda name: name.endswith("good")))
    assert [r.id for r in wanted] == ["mp-1/good"]
    assert "has no pymatgen structure" in refused(path)


def test_disordered_sites_are_bad_structures(tmp_path):
    frame = crystal()
    frame["structure"]["sites"][0]["species"] = [{"element": "Na", "occu": 0.5}, {"element": "K", "occu": 0.5}]
    (tmp_path / "a.json").write_text(json.dumps({"mp-1": {"f": frame}}))
    with pytest.raises(ValueError, match="several elements"):
        records.row_of(read(tmp_path / "a.json")[0], "x")


def test_an_imported_dataset_comes_back_as_it_was(tmp_path):
    first, second = read(made(tmp_path, "dataset"))
    assert (first.id, first.molecule, first.smiles, first.subset) == ("w/0", "water", "O", "part")
    assert first.energy == ENERGY and np.array_equal(first.forces, FORCES) and np.array_equal(first.positions, WATER)
    assert first.cell[2, 2] == 9 and first.pbc.tolist() == [True, True, False]
    assert second.energy is None and second.forces is None


@pytest.mark.parametrize("pack", [lzma.open, gzip.open])
def test_compressed_text(tmp_path, pack):
    extxyz(tmp_path / "a.extxyz")
    path = tmp_path / ("a.extxyz.xz" if pack is lzma.open else "a.extxyz.gz")
    with pack(path, "wb") as handle:
        handle.write((tmp_path / "a.extxyz").read_bytes())
    plain, packed = read(tmp_path / "a.extxyz"), read(path)
    assert [r.id for r in packed] == [r.id for r in plain] == [f"train/a/{k:05d}" for k in range(3)]
    assert [r.energy for r in packed] == [r.energy for r in plain]
    path.write_bytes(path.read_bytes()[:-20])
    assert "damaged or truncated" in refused(path)


@pytest.mark.parametrize("kind", ["npz", "spice", "ani1x", "mptrj", "dataset"])
@pytest.mark.parametrize("keep", [0.4, 0.9])
def test_a_truncated_file_is_one_line(tmp_path, kind, keep):
    path = made(tmp_path, kind)
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content))])
    text = refused(path)
    assert "damaged or truncated" in text or "not a readable HDF5 store" in text


def test_bytes_damaged_inside_an_npz(tmp_path):
    npz(tmp_path / "a.npz", 3000)
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        at = archive.getinfo("R.npy").header_offset + 2000
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[at : at + 50] = bytes(50)
    (tmp_path / "a.npz").write_bytes(content)
    assert "damaged or truncated" in refused(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no structure in it"),
        (b"{}", "no structure in it"),
        (b'{"mp-1": 3}', "no structure in it"),
        (b'{"mp-1": {"f": 3}}', "has no pymatgen structure"),
        (b'{"mp-1": {"f": {"structure"', "damaged or truncated JSON"),
        (json.dumps({"m": {"f": {**crystal(), "force": "x"}}}).encode(), "has no pymatgen structure"),
        (b"\xff\xfe\x00\x01" * 9, "not a text file"),
        (b"PK\x03\x04" + bytes(40), "damaged or truncated"),
    ],
)
def test_foreign_content_is_one_line(tmp_path, content, said):
    (tmp_path / "a.dat").write_bytes(content)
    assert said in refused(tmp_path / "a.dat")


def test_hdf5_of_another_kind(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as handle:
        handle.create_group("x").create_dataset("y", data=[1])
    assert "neither SPICE nor ANI-1x" in refused(tmp_path / "a.h5")
    h5py.File(tmp_path / "b.h5", "w").close()
    assert "found: nothing" in refused(tmp_path / "b.h5")
    spice(tmp_path / "c.h5")
    with h5py.File(tmp_path / "c.h5", "a") as handle:
        handle.create_group("zzz")
    assert "molecule zzz: has no atomic_numbers" in refused(tmp_path / "c.h5")
    spice(tmp_path / "d.h5")
    with h5py.File(tmp_path / "d.h5", "a") as handle:
        del handle["water/dft_total_energy"]
        handle["water/dft_total_energy"] = np.zeros(2)
    assert "dft_total_energy has shape (2,), (3,) expected" in refused(tmp_path / "d.h5")


def test_a_missing_file_is_named(tmp_path):
    assert "no such file" in refused(tmp_path / "none.npz")


def test_units_that_the_format_does_not_have_are_noticed(tmp_path):
    npz(tmp_path / "a.npz", E=np.full(3, ENERGY))
    with pytest.raises(UserError, match="energies look like eV, not kcal/mol.*set data.units.energy to eV"):
        list(readers.checked(tmp_path / "a.npz", iter(read(tmp_path / "a.npz")), SETTINGS))


def test_large_steps_say_nothing_about_the_sign_of_forces():
    """Molecular dynamics at 600 K: the work along a step of half an ångström may have either sign."""
    far = [records.Record("", "", "", NUMBERS, WATER * (1 + k % 2), k % 2, -FORCES) for k in range(20)]
    near = [records.Record("", "", "", NUMBERS, WATER * (1 + k % 2 / 50), k % 2, -FORCES) for k in range(20)]
    assert np.isnan(plausibility.work_ratio(far)) and np.isfinite(plausibility.work_ratio(near))


def test_labels_that_do_not_fit_each_other_are_no_other_unit():
    rng = np.random.default_rng(0)
    noise = [
        records.Record(
            "", "", "", NUMBERS, WATER + rng.normal(scale=0.02, size=(3, 3)), rng.normal(), rng.normal(size=(3, 3))
        )
        for _ in range(400)
    ]
    assert np.isnan(plausibility.work_ratio(noise))


def test_forces_that_are_words_say_nothing_about_units():
    words = [records.Record("", "", "", NUMBERS, WATER, ENERGY + k, np.full((3, 3), "x")) for k in range(20)]
    assert np.isnan(plausibility.work_ratio(words))
    with pytest.raises(ValueError, match="does not have three numbers per atom"):
        records.label_of(words[0], True)


def test_every_format_is_a_module_and_an_entry():
    folder = Path(readers.__file__).parent
    formats = {p.stem for p in folder.glob("*.py") if "def recognises(" in p.read_text(encoding="utf-8")}
    assert formats == set(readers.FORMATS) >= set(MAKERS)
    for name, module in readers.FORMATS.items():
        assert module.__name__ == f"{readers.__name__}.{name}"
        assert callable(getattr(module, "units", None)) or set(module.UNITS) == {"energy", "length", "forces"}


def test_a_reader_reads_no_further_than_asked(tmp_path):
    path = tmp_path / "a.extxyz"
    path.write_text(XYZ.format(energy=ENERGY) * 2 + "damaged\n")
    assert len(list(islice(readers.iterate(path, "x", SETTINGS), 2))) == 2
    assert "frame 2 (line 11): expected the number of atoms" in refused(path)


needs_mirror = pytest.mark.skipif(not MIRROR.is_dir(), reason="no mirror of public datasets beside the repository")


@needs_mirror
@pytest.mark.parametrize(
    ("name", "count", "atoms", "energy", "force"),
    [
        ("rmd17-npz/rmd17_aspirin_train_01.npz", 1000, 21, -406273.74559918 * KCAL, -24.48955372 * KCAL),
        ("botnet_acac/train_300K.xyz", 500, 15, -9391.45554428476, 1.47339228),
    ],
)
def test_real_files(name, count, atoms, energy, force):
    path = MIRROR / name
    found = list(readers.checked(path, readers.iterate(path, "x", SETTINGS), SETTINGS))
    assert len(found) == count and all(len(r.numbers) == atoms for r in found)
    assert found[0].energy == pytest.approx(energy, rel=1e-12)
    assert found[0].forces[0, 0] == pytest.approx(force, rel=1e-9)


@needs_mirror
def test_all_real_files_pass_the_check_of_units():
    paths = [p for p in sorted(MIRROR.glob("*/*")) if p.suffix in (".xyz", ".npz")]
    assert paths
    for path in paths:
        assert next(readers.checked(path, readers.iterate(path, "x", SETTINGS), SETTINGS)).energy < 0
