"""What is written comes back: charge, spin, cell, labels and ids, in every format and under every key of the field.

Or a line says what is missing: a format that cannot hold a charge or a spin has the default in it, and a warning.
"""

import json
import logging
import pickle
import zlib
from contextlib import contextmanager

import h5py
import lmdb
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.db import connect
from ase.io import write
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from mlipshift.base.frames import Dataset
from mlipshift.base.log import log
from mlipshift.base.units import BOHR, EV, KCAL
from mlipshift.data import readers
from mlipshift.data.records import label_of, row_of

ELEMENTS = (1, 6, 7, 8, 9, 16, 17, 26)
CHARGES = ("charge", "total_charge", "molecular_charge", "net_charge", "Total_Charge", "my_q")
SPINS = {  # key -> what it counts
    **dict.fromkeys(("multiplicity", "spin", "total_spin", "mult", "spin_multiplicity", "my_m"), "multiplicity"),
    **dict.fromkeys(("unpaired_electrons", "n_unpaired", "uhf", "my_u"), "unpaired_electrons"),
}
OWN = {
    "my_q": "charge",
    "my_m": "multiplicity",
    "my_u": "unpaired_electrons",
}  # names that the configuration has to say
GRID = 1.7 * np.stack(np.meshgrid(*[np.arange(3)] * 3), axis=-1).reshape(-1, 3)
number = st.floats(-1e4, 1e4, allow_nan=False).map(lambda x: round(x, 6))


@st.composite
def structure(draw, kind, neutral):
    """{numbers, positions Å, cell Å, pbc, charge, multiplicity, energy eV, forces eV/Å} that no check refuses."""
    count = draw(st.integers(1, 6))
    numbers = np.array(draw(st.lists(st.sampled_from(ELEMENTS), min_size=count, max_size=count)))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    charge = 0 if neutral else draw(st.integers(-2, 2))
    electrons = int(numbers.sum()) - charge
    assume(electrons > 0 and not (neutral and electrons % 2))
    multiplicity = 1 + electrons % 2 + (0 if neutral else 2 * draw(st.integers(0, min(2, electrons // 2))))
    periodic = draw(st.booleans()) if kind == "both" else kind == "crystal"
    return {
        "numbers": numbers,
        "positions": np.round(rng.permutation(GRID)[:count] + rng.uniform(-0.1, 0.1, (count, 3)), 4),
        "cell": np.round(np.diag(rng.uniform(7, 9, 3)) + rng.uniform(-1, 1, (3, 3)), 4) * periodic,
        "pbc": np.array([periodic] * 3),
        "charge": charge,
        "multiplicity": multiplicity,
        "energy": draw(number),
        "forces": np.round(rng.normal(scale=5, size=(count, 3)), 4),
        "id": draw(st.from_regex(r"\A[0-9A-Za-z_]{1,6}\Z")),
    }


def atoms_of(frame, **info):
    atoms = Atoms(frame["numbers"], frame["positions"], cell=frame["cell"], pbc=frame["pbc"])
    atoms.info.update(info)
    return atoms


def labelled(frame, **info):
    atoms = atoms_of(frame, **info)
    atoms.calc = SinglePointCalculator(atoms, energy=frame["energy"], forces=frame["forces"])
    return atoms


def state(frame, keys):
    charge, spin = keys
    unpaired = SPINS[spin] == "unpaired_electrons"
    return {charge: frame["charge"], spin: frame["multiplicity"] - unpaired}


# format -> function that writes frames to a path


def extxyz(path, frames, keys):
    images = []
    for frame in frames:
        atoms = atoms_of(frame, REF_energy=frame["energy"], id=frame["id"], **state(frame, keys))
        atoms.arrays["REF_forces"] = frame["forces"]
        images.append(atoms)
    write(path, images, format="extxyz")


def atomic_charges(path, frames, keys):
    """Charges and moments of the atoms, which add up."""
    images = []
    for frame in frames:
        atoms, first = atoms_of(frame), np.arange(len(frame["numbers"])) == 0
        atoms.set_initial_charges(first * frame["charge"])
        atoms.set_initial_magnetic_moments(first * (frame["multiplicity"] - 1.0))
        if path.suffix == ".traj":
            atoms.calc = SinglePointCalculator(atoms, energy=frame["energy"], forces=frame["forces"])
        else:
            atoms.info["REF_energy"], atoms.arrays["REF_forces"] = frame["energy"], frame["forces"]
        images.append(atoms)
    write(path, images)


def traj(path, frames, keys):
    write(path, [labelled(frame, id=frame["id"], **state(frame, keys)) for frame in frames])


def calculator(path, frames, keys):
    """Charge and spin among the parameters of the calculator."""
    images = []
    for frame in frames:
        atoms = labelled(frame)
        atoms.calc.parameters = {"charge": frame["charge"], "mult": frame["multiplicity"], "method": "x"}
        images.append(atoms)
    write(path, images)


def database(path, frames, keys):
    """Key-value pairs, or data where ASE reserves the name."""
    with connect(path) as table:
        for k, frame in enumerate(frames):
            values = state(frame, keys)
            pairs = {key: value for key, value in values.items() if key.lower() not in ("charge", "spin") and k % 2}
            table.write(labelled(frame), pairs, data={**values, "x": [1, 2]})


def schnetpack(path, frames, keys):
    """Labels in the data, units in the metadata."""
    with connect(path) as table:
        units = {"REF_energy": "Hartree", "REF_forces": "Hartree/Bohr"}
        table.metadata = {"_distance_unit": "Bohr", "_property_unit_dict": units}
        for frame in frames:
            atoms = atoms_of({**frame, "positions": frame["positions"] / BOHR, "cell": frame["cell"] / BOHR})
            labels = {"REF_energy": np.array([frame["energy"] / EV]), "REF_forces": frame["forces"] / EV * BOHR}
            table.write(atoms, data={**labels, **state(frame, keys)})


def aselmdb(path, frames, keys):
    with lmdb.open(str(path), subdir=False, map_size=2**24) as env, env.begin(write=True) as table:
        for k, frame in enumerate(frames, 1):
            row = {name: np.asarray(frame[name]).tolist() for name in ("numbers", "positions", "cell", "pbc", "forces")}
            row |= {"energy": frame["energy"], "data": state(frame, keys), "key_value_pairs": {}, "unique_id": str(k)}
            row |= {"ctime": 1.0, "mtime": 1.0, "user": "x", "calculator": "unknown", "calculator_parameters": {}}
            table.put(str(k).encode(), zlib.compress(json.dumps(row).encode()))
        table.put(b"nextid", zlib.compress(json.dumps(len(frames) + 1).encode()))


def npz(path, frames, keys, energy=KCAL, **more):
    most = max(len(frame["numbers"]) for frame in frames)
    pad = lambda array: np.concatenate([array, np.zeros((most - len(array), *array.shape[1:]), array.dtype)])
    states = [state(frame, keys) for frame in frames]
    arrays = {
        "R": np.stack([pad(frame["positions"]) for frame in frames]),
        "F": np.stack([pad(frame["forces"]) for frame in frames]) / energy,
        "E": np.array([[frame["energy"]] for frame in frames]) / energy,
        "z": np.stack([pad(frame["numbers"]) for frame in frames]),
        "cell": np.stack([frame["cell"] for frame in frames]),
        "id": np.array([frame["id"] for frame in frames]),
        **{key: np.array([values[key] for values in states]) for key in states[0]},
    }
    np.savez(path, **arrays, **more)


def sgdml(path, frames, keys):
    """One molecule, whose first lattice holds for all, in units that the file says."""
    first = frames[0]
    rng = np.random.default_rng(0)
    for frame in frames[1:]:
        frame.update({k: first[k] for k in ("numbers", "cell", "pbc", "charge", "multiplicity")})
        frame["positions"] = first["positions"] + rng.normal(scale=0.01, size=first["positions"].shape)
        frame["forces"] = rng.normal(size=first["forces"].shape)
    arrays = {name: np.stack([frame[name] for frame in frames]) for name in ("positions", "forces")}
    np.savez(
        path,
        R=arrays["positions"] / BOHR,
        F=arrays["forces"] / EV * BOHR,
        E=np.array([frame["energy"] for frame in frames]) / EV,
        z=first["numbers"],
        e_unit="Ha",
        r_unit=np.array(b"bohr"),
        **({"lattice": first["cell"].T / BOHR} if first["pbc"].any() else {}),
        **{key: np.array(value) for key, value in state(first, keys).items()},
    )


def sdf(path, frames, keys):
    with open(path, "w") as handle:
        for k, frame in enumerate(frames):
            unpaired = frame["multiplicity"] - 1
            items = {"id": frame["id"], "REF_energy": frame["energy"]}
            items["REF_forces"] = " ".join(map(str, frame["forces"].ravel()))
            if unpaired not in (1, 2):  # a molfile has no other radical, and says nothing of a singlet
                items["multiplicity"] = frame["multiplicity"]
            handle.write(f"title {k}\n  test\n\n{len(frame['numbers']):3}  0  0  0  0  0            999 V2000\n")
            for position, symbol in zip(frame["positions"], Atoms(frame["numbers"]).symbols):
                handle.write("".join(f"{x:10.4f}" for x in position) + f" {symbol:3} 0  0  0  0  0  0\n")
            handle.write(f"M  CHG  1   1 {frame['charge']:3}\n" * bool(frame["charge"]))
            handle.write(f"M  RAD  1   1 {unpaired + 1:3}\n" * (unpaired in (1, 2)))
            handle.write("M  END\n" + "".join(f">  <{name}>\n{text}\n\n" for name, text in items.items()) + "$$$$\n")


def oc20(path, frames, keys):
    with lmdb.open(str(path), subdir=False, map_size=2**24) as env, env.begin(write=True) as table:
        for k, frame in enumerate(frames):
            graph = {"pos": frame["positions"], "atomic_numbers": frame["numbers"], "cell": frame["cell"][None]}
            graph |= {"y": frame["energy"], "force": frame["forces"], "charge": frame["charge"]}
            table.put(str(k).encode(), pickle.dumps({**graph, "spin": frame["multiplicity"], "sid": k}))


def imported(path, frames, keys):
    with Dataset.writer(path, "a level") as append:
        for frame in frames:
            append(({**frame, "group": "g", "molecule": "m"}, (frame["energy"], frame["forces"]), "", ""))


def qm7x(path, frames, keys):
    with h5py.File(path, "w") as handle:
        for k, frame in enumerate(frames):
            group = handle.create_group(f"{k}/Geom-m{k}-i1-c1-opt")
            group["atNUM"], group["atXYZ"] = frame["numbers"], frame["positions"]
            group["ePBE0+MBD"], group["totFOR"] = np.array([frame["energy"]]), frame["forces"]


def mptrj(path, frames, keys):
    content = {}
    for k, frame in enumerate(frames):
        symbols = Atoms(frame["numbers"]).symbols
        sites = [{"species": [{"element": s}], "xyz": list(p)} for s, p in zip(symbols, frame["positions"])]
        lattice = {"matrix": frame["cell"].tolist()}
        entry = {"structure": {"lattice": lattice, "sites": sites, "charge": frame["charge"]}}
        content[f"mp-{k}"] = {
            "0": {**entry, "uncorrected_total_energy": frame["energy"], "force": frame["forces"].tolist()}
        }
    path.write_text(json.dumps(content))


def bare(path, frames, keys):
    """What ASE writes without a calculator: of these formats one structure."""
    write(path, atoms_of(frames[0]))


STATE, ALL = {"charge", "multiplicity"}, {"charge", "multiplicity", "labels", "id"}
# name of the file: what writes it, what it can hold; a crystal in it, a molecule, or (both) either
FORMATS = {
    "a.extxyz": (extxyz, ALL, "both"),
    "charges.extxyz": (atomic_charges, STATE | {"labels"}, "both"),
    "a.traj": (traj, ALL, "both"),
    "a.db": (database, STATE | {"labels"}, "both"),
    "a.json": (database, STATE | {"labels"}, "both"),
    "parameters.traj": (calculator, STATE | {"labels"}, "both"),
    "parameters.db": (calculator, STATE | {"labels"}, "both"),
    "schnetpack.db": (schnetpack, STATE | {"labels"}, "both"),
    "a.aselmdb": (aselmdb, STATE | {"labels"}, "both"),
    "a.npz": (npz, ALL, "both"),
    "sgdml.npz": (sgdml, STATE | {"labels"}, "both"),
    "a.sdf": (sdf, ALL, "molecule"),
    "a.lmdb": (oc20, STATE | {"labels"}, "crystal"),
    "a.h5": (imported, ALL, "both"),
    "qm7x.hdf5": (qm7x, {"labels", "neutral"}, "molecule"),
    "mptrj.json": (mptrj, {"charge", "labels"}, "crystal"),
    "a.pdb": (bare, set(), "molecule"),
    "a.gen": (bare, set(), "molecule"),
    "POSCAR": (bare, set(), "crystal"),
}


@contextmanager
def heard():
    """List of the warnings that come meanwhile."""
    lines = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    log.addHandler(handler)
    log.propagate = False  # thousands of lines
    try:
        yield lines
    finally:
        log.removeHandler(handler)
        log.propagate = True


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_written_comes_back_or_is_said_to_be_missing(name, request, tmp_path_factory):
    maker, holds, kind = FORMATS[name]

    @settings(
        max_examples=request.config.getoption("--examples"),
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(
        st.lists(structure(kind, "neutral" in holds), min_size=1, max_size=3, unique_by=lambda frame: frame["id"]),
        st.tuples(st.sampled_from(CHARGES), st.sampled_from(sorted(SPINS))),
    )
    def round_trip(frames, keys):
        path = tmp_path_factory.mktemp("trip") / name
        maker(path, frames, keys)
        named = {OWN[key]: key for key in keys if key in OWN}
        data = {"keys": {"energy": "REF_energy", "forces": "REF_forces", **named}, "units": {}, "trust_pickles": True}
        with heard() as lines:
            found = list(readers.iterate(path, "train", data))
        compare(frames[: len(found)], found, holds)
        assert len(found) == (1 if maker is bare else len(frames))
        for what in STATE - holds if "neutral" not in holds and kind != "crystal" else ():
            assert any(f"no {what}" in line for line in lines), f"nothing was said of {what}"

    round_trip()


def compare(frames, found, holds):
    for frame, record in zip(frames, found):
        row = row_of(record, "train")
        assert row["numbers"].tolist() == frame["numbers"].tolist() and row["pbc"].tolist() == frame["pbc"].tolist()
        # a PDB file has three decimals
        np.testing.assert_allclose(row["positions"], frame["positions"], atol=6e-4)
        np.testing.assert_allclose(row["cell"], frame["cell"], atol=1e-3)
        for what in STATE & holds:
            assert row[what] == frame[what]
        if "id" in holds:
            assert row["id"] == frame["id"]
        if "labels" in holds:
            energy, forces = label_of(record, True)
            assert energy == pytest.approx(frame["energy"], rel=1e-9, abs=1e-9)
            np.testing.assert_allclose(forces, frame["forces"], atol=1e-7)
        else:
            assert record.energy is None and record.forces is None
