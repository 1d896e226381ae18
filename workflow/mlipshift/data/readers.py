"""Readers of structure files: any of the formats below in, one Record at a time in eV, Å, eV/Å out.

| format | recognised by | labels and units |
|---|---|---|
| extended XYZ, also .xz and .gz | text | keys and units of the configuration |
| NPZ of MD17, rMD17, MD22 | zip | `E`, `F`, `R`, `z` or rMD17's long names; kcal/mol, kcal/mol/Å, Å |
| SPICE 1.1.4 and 2.0.1 | HDF5, `conformations` | Hartree, Hartree/Bohr (a gradient), Bohr |
| ANI-1x | HDF5, `coordinates` | `wb97x_dz.*`; Hartree, Hartree/Å, Å |
| OC20 S2EF | LMDB, a file or a folder of them | `y`, `force`; eV, eV/Å, Å |
| MPtrj | JSON | `uncorrected_total_energy`, `force`; eV, eV/Å, Å |
| imported dataset of this workflow | HDF5, attribute `format` | eV, eV/Å, Å |
| any other that ASE reads: .traj, .db, .pdb, ... | ASE, by name and content | of the calculator; eV, eV/Å, Å |

All stream: memory does not grow with the number of structures, compressed NPZ members included. Of a damaged,
foreign, truncated or empty file a UserError of one line says so.
"""

import gzip
import io
import lzma
import pickle
import zipfile
import zlib
from collections import Counter, OrderedDict, defaultdict
from contextlib import contextmanager
from functools import lru_cache
from itertools import islice
from pathlib import Path

import h5py
import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, chemical_symbols
from ase.io import iread, read
from ase.io.formats import filetype, ioformats

from mlipshift.base.errors import UserError, shortened
from mlipshift.base.frames import DATASET_FORMAT, Dataset
from mlipshift.base.log import log
from mlipshift.base.units import BOHR, ENERGY, EV, FORCES, LENGTH
from mlipshift.data.records import SAMPLE, Record, check_units

ROWS = 256  # structures of one molecule that are read at a time
NPZ_KEYS = (
    {"energy": "E", "forces": "F", "positions": "R", "numbers": "z"},
    {"energy": "energies", "forces": "forces", "positions": "coords", "numbers": "nuclear_charges"},
)
UNITS = {
    "npz": {"energy": "kcal/mol", "length": "Angstrom", "forces": "kcal/mol/Angstrom"},
    "spice": {"energy": "Hartree", "length": "Bohr", "forces": "Hartree/Bohr"},
    "ani1x": {"energy": "Hartree", "length": "Angstrom", "forces": "Hartree/Angstrom"},
    "oc20": {"energy": "eV", "length": "Angstrom", "forces": "eV/Angstrom"},
    "mptrj": {"energy": "eV", "length": "Angstrom", "forces": "eV/Angstrom"},
    "dataset": {"energy": "eV", "length": "Angstrom", "forces": "eV/Angstrom"},
    "ase": {"energy": "eV", "length": "Angstrom", "forces": "eV/Angstrom"},
}
ASE_KEYS = {"energy": "energy", "forces": "forces"}
DAMAGE = (OSError, EOFError, ValueError, KeyError, lzma.LZMAError, zlib.error, zipfile.BadZipFile, RuntimeError)


def recognise(path):
    """Name of the format of a file or folder, one of UNITS or "extxyz".

    Raises UserError if the file is missing, or is an HDF5 or zip file of another kind.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path}: no such file; correct the path in the configuration or put the file there")
    if path.is_dir() or path.suffix == ".lmdb":
        return "oc20"
    with open(path, "rb") as handle:
        head = handle.read(32)
    if head[16:20] == b"\xde\xc0\xef\xbe":
        return "oc20"
    if head.startswith(b"PK"):
        return "npz"
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return _kind_of_hdf5(path)
    with _told(path), _stream(path) as handle:
        first = handle.read(4096).lstrip()
    if first.startswith(b"{"):
        return "mptrj"
    # a number of atoms in the first line is extended XYZ, whatever the file is called
    return "extxyz" if first.partition(b"\n")[0].strip().isdigit() or not _ase_format(path) else "ase"


def _ase_format(path):
    """ASE's name of the format of a file; None for extended XYZ, the unknown, and .dat, which says nothing."""
    if Path(path).suffix == ".dat":
        return None
    try:
        name = filetype(str(path))
    except Exception:  # of a damaged or empty file, any kind
        return None
    return name if name in ioformats and name != "extxyz" else None


def iterate(path, name, settings, wanted=None, skipped=None):
    """Yield a Record for every structure of a file, in the order of the file.

    name: first part of the ids of structures that have none of their own. settings: section `data` of the
    configuration (keys, units, trust_pickles). wanted: predicate of the id; other structures are left out, unread
    where the format allows it. skipped: Counter that gets, under "no label", the number of structures that the
    format holds without a label of the level that is read. Raises UserError for what the user must mend.
    """
    wanted = wanted or (lambda _: True)
    kind = recognise(path)
    selective = {
        "spice": lambda: _spice(path, wanted),
        "ani1x": lambda: _ani1x(path, wanted, skipped),
        "mptrj": lambda: _mptrj(path, wanted),
    }
    if kind in selective:
        yield from selective[kind]()
        return
    count = 0
    for record in {
        "extxyz": lambda: _extxyz(path, name, settings),
        "npz": lambda: _npz(path, name),
        "oc20": lambda: _oc20(path, settings["trust_pickles"]),
        "dataset": lambda: _dataset(path),
        "ase": lambda: _ase(path, name),
    }[kind]():
        count += 1
        if wanted(record.id):
            yield record
    if not count:
        raise UserError(f"{path}: no structure in it; put some there or leave it out of the configuration")


def checked(path, records, settings):
    """The records of a file, of which the first SAMPLE have been looked at for their units.

    Raises UserError as records.check_units.
    """
    first, kind = list(islice(records, SAMPLE)), recognise(path)
    check_units(path, first, UNITS.get(kind, settings["units"]), kind not in UNITS)
    while first:
        yield first.pop(0)
    yield from records


def molecules(path, settings):
    """Yield (name, SMILES) of the molecules of a file, SMILES empty where it has none; SPICE without its labels.

    A molecule may come more than once.
    """
    if recognise(path) != "spice":
        yield from ((record.molecule, record.smiles) for record in iterate(path, "molecules", settings))
        return
    with _hdf5(path) as handle:
        for name, group in _groups(handle):
            yield name, _text(group, "smiles")


def mol_of(smiles):
    """RDKit molecule with all its hydrogens as written, unsanitised if RDKit doubts its valences; None if it fails."""
    from rdkit import Chem, RDLogger

    RDLogger.DisableLog("rdApp.*")  # what cannot be read is told by the caller
    parameters = Chem.SmilesParserParams()
    parameters.removeHs = False
    mol = Chem.MolFromSmiles(smiles, parameters)
    if mol is None:
        parameters.sanitize = False
        mol = Chem.MolFromSmiles(smiles, parameters)
    return mol


@lru_cache(maxsize=8)
def charge_of(smiles):
    """Sum of the formal charges of a SMILES. Raises ValueError if RDKit cannot read it."""
    mol = mol_of(smiles)
    if mol is None or not smiles:
        raise ValueError(f"its SMILES cannot be read ({smiles[:60]!r})")
    return sum(atom.GetFormalCharge() for atom in mol.GetAtoms())


@contextmanager
def _told(path):
    """Turn what libraries raise for a damaged file into one line."""
    try:
        yield
    except UnicodeDecodeError:
        raise UserError(
            f"{path}: not a text file, and of no binary format that is read here; see data.files in the manual"
        ) from None
    except PermissionError:
        raise
    except DAMAGE as error:
        raise UserError(
            f"{path}: damaged or truncated ({type(error).__name__}: {error}); fetch the file again"
        ) from error


def _stream(path):
    """Binary handle of a file, decompressed by its first bytes."""
    with open(path, "rb") as handle:
        head = handle.read(6)
    if head == b"\xfd7zXZ\x00":
        return lzma.open(path)
    return gzip.open(path) if head[:2] == b"\x1f\x8b" else open(path, "rb")


def _converted(value, factor):
    """A label in other units; what is no number stays, to be shown to the user."""
    array = np.asarray(value)
    return array.astype(float) * factor if array.dtype.kind in "fiu" else value


def _formula(numbers):
    """Hill formula of atomic numbers, X for what is none."""
    return Atoms([z if 0 <= z < len(chemical_symbols) else 0 for z in map(int, numbers)]).get_chemical_formula()


# extended XYZ


def _extxyz(path, name, settings):
    keys, units = settings["keys"], settings["units"]
    with _told(path), _stream(path) as binary, io.TextIOWrapper(binary, encoding="utf-8") as handle:
        line, index = 0, 0
        while first := handle.readline():
            line += 1
            where = f"{path}, frame {index} (line {line})"
            if not first.strip():
                # empty lines may end a file, and only end it
                if any(rest.strip() for rest in handle):
                    raise UserError(f"{where}: expected the number of atoms, found ''; mend the file")
                break
            if not first.split()[0].isdecimal() or len(first.split()) > 1:
                raise UserError(f"{where}: expected the number of atoms, found {first[:40].rstrip()!r}; mend the file")
            count = int(first)
            lines = list(islice(handle, count + 1))
            if len(lines) < count + 1:
                found = max(len(lines) - 1, 0)
                raise UserError(f"{where}: the file ends after {found} of {count} atoms; fetch it again")
            yield _atoms_record(_xyz_atoms(first + "".join(lines), where), path, name, where, index, keys, units)
            line += count + 1
            index += 1


def _xyz_atoms(text, where):
    try:
        return read(io.StringIO(text), format="extxyz")
    except Exception as error:  # ASE raises many kinds for a damaged frame
        raise UserError(f"{where}: damaged, {error}; fetch the file again or mend the frame") from error


def _ase(path, name):
    kind, index = _ase_format(path), 0
    frames = iread(str(path), index=":", format=kind)
    while True:
        where = f"{path}, structure {index}"
        try:
            atoms = next(frames)
        except StopIteration:
            return
        except Exception as error:  # ASE raises many kinds for a damaged file
            raise UserError(
                f"{where}: ASE cannot read it as {kind} ({shortened(error)}); mend it, or convert it to extended XYZ"
            ) from error
        yield _atoms_record(atoms, path, name, where, index, ASE_KEYS, UNITS["ase"])
        index += 1


def _atoms_record(atoms, path, name, where, index, keys, units):
    # ASE moves labels with its own names ("energy", "forces") into a calculator
    results = atoms.calc.results if atoms.calc else {}
    stem = Path(Path(path).name.removesuffix(".xz").removesuffix(".gz")).stem
    return Record(
        id=str(atoms.info.get("id", f"{name}/{stem}/{index:05d}")),
        where=where,
        molecule=str(atoms.info.get("molecule", atoms.get_chemical_formula())),
        numbers=atoms.numbers,
        positions=atoms.positions * LENGTH[units["length"]],
        energy=_converted(atoms.info.get(keys["energy"], results.get(keys["energy"])), ENERGY[units["energy"]]),
        forces=_converted(atoms.arrays.get(keys["forces"], results.get(keys["forces"])), FORCES[units["forces"]]),
        cell=np.array(atoms.cell) * LENGTH[units["length"]] if atoms.pbc.any() else np.zeros((3, 3)),
        pbc=atoms.pbc,
        charge=atoms.info.get("charge"),
        multiplicity=atoms.info.get("multiplicity"),
        names=(keys["energy"], keys["forces"]),
        found=tuple(sorted({*atoms.info, *atoms.arrays, *results})),
        smiles=str(atoms.info.get("smiles", "")),
    )


# NPZ of MD17, rMD17 and MD22


def _npz(path, name):
    with _told(path), zipfile.ZipFile(path) as archive:
        members = {m.removesuffix(".npy") for m in archive.namelist()}
        keys = next((k for k in NPZ_KEYS if members.issuperset(k.values())), None)
        if keys is None:
            wanted = " or ".join(", ".join(k.values()) for k in NPZ_KEYS)
            raise UserError(f"{path}: holds {', '.join(sorted(members))}; an NPZ file of MD17 has {wanted}")
        numbers, shape = _member(archive, path, keys["numbers"])
        numbers = np.concatenate([*numbers, np.empty(0)]).astype(int)
        arrays = {k: _member(archive, path, keys[k]) for k in ("energy", "forces", "positions")}
        count = arrays["positions"][1][0]
        expected = {"energy": [(count,), (count, 1)]} | dict.fromkeys(
            ("forces", "positions"), [(count, len(numbers), 3)]
        )
        for key, (_, found) in arrays.items():
            if found not in expected[key]:
                raise UserError(
                    f"{path}: {keys[key]} has shape {found}, {expected[key][0]} expected from {keys['positions']} and "
                    f"{keys['numbers']}; fetch the file again"
                )
        formula, index = _formula(numbers), 0
        for energies, forces, positions in zip(*(arrays[k][0] for k in ("energy", "forces", "positions"))):
            for energy, force, position in zip(energies.reshape(-1), forces, positions):
                yield Record(
                    id=f"{name}/{Path(path).stem}/{index:05d}",
                    where=f"{path}, structure {index}",
                    molecule=formula,
                    numbers=numbers,
                    positions=position.astype(float),
                    energy=_converted(energy, ENERGY["kcal/mol"]),
                    forces=_converted(force, FORCES["kcal/mol/Angstrom"]),
                    names=(keys["energy"], keys["forces"]),
                )
                index += 1


def _member(archive, path, key):
    """(generator of blocks of ROWS rows, shape) of an array of an NPZ file; numpy.load would read all of it."""
    handle = archive.open(f"{key}.npy")
    version = np.lib.format.read_magic(handle)
    header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if header is None:
        raise UserError(f"{path}: {key} is in version {version} of the NPY format; save the file again with NumPy")
    shape, by_column, dtype = header(handle)
    if dtype.hasobject:
        raise UserError(f"{path}: {key} holds Python objects, which could run any code; save it as plain numbers")
    if dtype.kind not in "fiu" or not shape:
        raise UserError(f"{path}: {key} is {dtype} of shape {shape}, not an array of numbers; save it as one")
    if by_column and len(shape) > 1:
        raise UserError(f"{path}: {key} is stored in Fortran order; save it again with numpy.ascontiguousarray")

    def blocks():
        size = dtype.itemsize * int(np.prod(shape[1:]))
        with handle:
            for start in range(0, shape[0], ROWS):
                rows = min(ROWS, shape[0] - start)
                data = handle.read(rows * size)
                if len(data) < rows * size:
                    raise EOFError(f"{key} ends after {start + len(data) // max(size, 1)} of {shape[0]} rows")
                yield np.frombuffer(data, dtype).reshape(rows, *shape[1:])

    return blocks(), shape


# HDF5: SPICE, ANI-1x, datasets of this workflow


@contextmanager
def _hdf5(path):
    with _told(path), h5py.File(path, "r") as handle:
        yield handle


def _kind_of_hdf5(path):
    with _hdf5(path) as handle:
        kind = handle.attrs.get("format")
        _, first = next(_groups(handle), ("", None))
        keys = set(first) if isinstance(first, h5py.Group) else set()
    if kind == DATASET_FORMAT:
        return "dataset"
    if "conformations" in keys:
        return "spice"
    if "coordinates" in keys:
        return "ani1x"
    found = kind or (", ".join(sorted(keys)[:6]) if keys else "nothing")
    raise UserError(
        f"{path}: HDF5 that is neither SPICE nor ANI-1x nor an imported dataset (found: {found}); correct the path"
    )


def _groups(handle, prefix=""):
    """(name, group) of every molecule; a slash in a name has made groups of groups."""
    for name in handle:
        item = handle[name]
        inner = isinstance(item, h5py.Group) and len(item) and all(isinstance(v, h5py.Group) for v in item.values())
        if inner:
            yield from _groups(item, f"{prefix}{name}/")
        else:
            yield prefix + name, item


def _text(group, key):
    """First text of a dataset of a group, empty if it has none."""
    if key not in group:
        return ""
    value = np.ravel(group[key][()])[0]
    return value.decode() if isinstance(value, bytes) else str(value)


def _hdf5_group(path, group, names):
    """(numbers [n], number of conformations, label arrays or None) of a molecule; names: positions, energy, forces.

    Raises UserError if the arrays do not fit each other.
    """
    where = f"{path}, molecule {group.name[1:]}"
    if not (isinstance(group, h5py.Group) and {"atomic_numbers", names[0]} <= set(group)):
        raise UserError(f"{where}: has no atomic_numbers and {names[0]}; fetch the file again")
    numbers = np.ravel(group["atomic_numbers"][()]).astype(int)
    positions, energy, forces = (group.get(name) for name in names)
    count = len(positions)
    shapes = (count, len(numbers), 3), (count,), (count, len(numbers), 3)
    for name, data, shape in zip(names, (positions, energy, forces), shapes):
        if data is not None and data.shape not in (shape, (*shape, 1)):
            raise UserError(f"{where}: {name} has shape {data.shape}, {shape} expected; fetch the file again")
    return numbers, count, (positions, energy, forces)


def _spice(path, wanted):
    """SPICE, Eastman et al. 2023 (doi 10.1038/s41597-022-01882-6): a group per molecule.

    Its files give a gradient, so the force is minus it. The charge is that of the SMILES.
    """
    names = ("conformations", "dft_total_energy", "dft_total_gradient")
    with _hdf5(path) as handle:
        for name, group in _groups(handle):
            numbers, count, arrays = _hdf5_group(path, group, names)
            smiles, subset, problem, charge = _text(group, "smiles"), _text(group, "subset"), "", None
            try:
                charge = charge_of(smiles)
            except ValueError as error:
                problem = str(error)
            for start in range(0, count, ROWS):
                rows = [None if a is None else a[start : start + ROWS].astype(float) for a in arrays]
                for k in range(len(rows[0])):
                    here = f"{name}/{start + k}"
                    if not wanted(here):
                        continue
                    yield Record(
                        id=here,
                        where=f"{path}, molecule {name}, conformation {start + k}",
                        molecule=name,
                        numbers=numbers,
                        positions=rows[0][k] * BOHR,
                        energy=None if rows[1] is None else float(rows[1][k].item()) * EV,
                        forces=None if rows[2] is None else -rows[2][k] * FORCES["Hartree/Bohr"],
                        charge=charge,
                        names=names[1:],
                        smiles=smiles,
                        subset=subset,
                        problem=problem,
                    )


def _ani1x(path, wanted, skipped):
    """ANI-1x, Smith et al. 2020 (doi 10.1038/s41597-020-0473-z): a group per formula, neutral singlets.

    Rows without ωB97X/6-31G(d) energy or forces are NaN there; they are counted and left out.
    """
    names = ("coordinates", "wb97x_dz.energy", "wb97x_dz.forces")
    skipped = Counter() if skipped is None else skipped
    before = skipped["no label"]
    with _hdf5(path) as handle:
        for name, group in _groups(handle):
            numbers, count, arrays = _hdf5_group(path, group, names)
            if any(a is None for a in arrays):
                skipped["no label"] += count
                continue
            for start in range(0, count, ROWS):
                rows = [a[start : start + ROWS].astype(float) for a in arrays]
                energies = rows[1].reshape(-1)
                labelled = np.isfinite(energies) & np.isfinite(rows[2]).all(axis=(1, 2))
                skipped["no label"] += int((~labelled).sum())
                for k in np.flatnonzero(labelled):
                    here = f"{name}/{start + k}"
                    if not wanted(here):
                        continue
                    yield Record(
                        id=here,
                        where=f"{path}, formula {name}, structure {start + k}",
                        molecule=name,
                        numbers=numbers,
                        positions=rows[0][k],
                        energy=energies[k] * EV,
                        forces=rows[2][k] * FORCES["Hartree/Angstrom"],
                        names=names[1:],
                    )
    if skipped["no label"] > before:
        log.info("%s: %d structures have no %s label", path, skipped["no label"] - before, names[1].split(".")[0])


def _dataset(path):
    for block in Dataset.blocks(path):
        frames, labels = block.frames, block.labels
        for k in range(len(frames)):
            numbers, positions, charge, multiplicity = frames[k]
            yield Record(
                id=frames.ids[k],
                where=f"{path}, structure {frames.ids[k]}",
                molecule=frames.molecule[k],
                numbers=numbers,
                positions=positions,
                energy=labels.energy[k] if labels.ok[k] else None,
                forces=labels.forces_of(k) if labels.ok[k] else None,
                cell=frames.cell[k],
                pbc=frames.pbc[k],
                charge=charge,
                multiplicity=multiplicity,
                smiles=block.smiles[k],
                subset=block.subset[k],
            )


# OC20 S2EF


class _Graph:
    """Stands for PyG's Data and its storages, whose attributes are all that is needed."""


class _Unpickler(pickle.Unpickler):
    """Unpickler that knows tensors, arrays, plain containers and PyG's Data, and refuses everything else."""

    GRAPHS = {
        "torch_geometric.data.data": {"Data", "DataEdgeAttr", "DataTensorAttr"},
        "torch_geometric.data.storage": {"BaseStorage", "GlobalStorage", "NodeStorage", "EdgeStorage"},
    }
    NUMPY = {"_reconstruct", "scalar", "ndarray", "dtype", "_frombuffer"}

    def find_class(self, module, name):
        if name in self.GRAPHS.get(module, ()):
            return _Graph
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("collections", "defaultdict"):
            return defaultdict
        if module == "builtins" and name in ("dict", "list", "set", "tuple", "int", "float", "bool", "str"):
            return super().find_class(module, name)
        if (module, name) == ("_codecs", "encode") or (module.split(".")[0] == "numpy" and name in self.NUMPY):
            return super().find_class(module, name)
        if module == "numpy.dtypes" and name.endswith("DType"):
            return super().find_class(module, name)
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return super().find_class(module, name)
        if (module, name) == ("torch.storage", "_load_from_bytes"):
            return _storage_of
        raise pickle.UnpicklingError(f"{module}.{name} is not among the classes that OC20 needs")


def _storage_of(data):
    """torch.storage._load_from_bytes, which would unpickle anything, with PyTorch's own restrictions."""
    import torch

    return torch.load(io.BytesIO(data), weights_only=True)


def _oc20(path, trusted):
    """OC20 S2EF, Chanussot et al. 2021 (doi 10.1021/acscatal.0c04525): pickled PyG graphs in LMDB.

    pbc is true along all three vectors, as in the plane-wave calculations: the vacuum above the slab is part of the
    cell, and the files themselves do not say. Energies `y` are as they stand in the file: adsorption energies in the
    published test sets. The published validation sets are extended XYZ (.extxyz.xz) instead, with total energies.
    """
    if not trusted:
        raise UserError(
            f"{path}: its structures are Python pickles, which can run any code; if you trust whoever made the file, "
            "set data.trust_pickles to true (what is not a tensor, an array or a PyG graph is refused then, too)"
        )
    path = Path(path)
    files = [path]
    if path.is_dir() and not (path / "data.mdb").exists():
        files = sorted(path.glob("*.lmdb"))
        if not files:
            raise UserError(f"{path}: no .lmdb file in this folder; correct the path or fetch the data again")
    for file in files:
        yield from _lmdb(file)


def _lmdb(path):
    import lmdb

    try:
        with lmdb.open(str(path), subdir=path.is_dir(), readonly=True, lock=False, readahead=False) as store:
            pages, size = store.info()["last_pgno"] + 1, store.stat()["psize"]
            if (path / "data.mdb" if path.is_dir() else path).stat().st_size < pages * size:
                raise UserError(f"{path}: the file is shorter than its {pages} pages; fetch it again")
            with store.begin() as transaction:
                entries = store.stat()["entries"]
                length = transaction.get(b"length")
                count = entries if length is None else pickle_of(length, f"{path}, entry length")
                if not isinstance(count, int):
                    raise UserError(f"{path}: its length is {type(count).__name__}, no whole number; fetch it again")
                for k in range(count):
                    where = f"{path}, entry {k}"
                    value = transaction.get(str(k).encode())
                    if value is None:
                        raise UserError(f"{where}: missing, {count} were announced; this is no OC20 file, or damaged")
                    graph = pickle_of(value, where)
                    try:
                        record = _oc20_record(graph, path, where, k)
                    except (ValueError, TypeError, IndexError, RuntimeError) as error:
                        raise UserError(f"{where}: its values are no OC20 structure ({error})") from error
                    yield record
    except lmdb.Error as error:
        raise UserError(f"{path}: not a readable LMDB file ({error}); fetch it again") from error


def pickle_of(data, where):
    """What a pickle of tensors, arrays and PyG graphs holds. Raises UserError naming anything else in it."""
    try:
        return _Unpickler(io.BytesIO(data)).load()
    except Exception as error:  # unpickling raises any kind
        raise UserError(
            f"{where}: refused or damaged pickle ({error}); only files of tensors, arrays and PyG graphs are read"
        ) from error


def _oc20_record(graph, path, where, index):
    content = vars(graph) if isinstance(graph, _Graph) else graph if isinstance(graph, dict) else {}
    # PyG 2 keeps the attributes in a storage, PyG 1 in the object itself
    store = content.get("_store")
    content = vars(store).get("_mapping", {}) if isinstance(store, _Graph) else content
    if content.get("pos") is None or content.get("atomic_numbers") is None:
        raise UserError(f"{where}: has no pos and atomic_numbers; this is no OC20 S2EF file")
    as_array = lambda key, *shape: None if content.get(key) is None else np.asarray(content[key]).reshape(*shape)
    cell, energy = as_array("cell", -1, 3, 3), as_array("y", -1)
    identity = [content.get(key) for key in ("sid", "fid")]
    sid, fid = (None if v is None else int(np.ravel(np.asarray(v))[0]) for v in identity)
    return Record(
        id=f"{path.stem}/{index:05d}" if sid is None else f"{sid}/{index if fid is None else fid}",
        where=where,
        molecule=path.stem if sid is None else str(sid),
        numbers=as_array("atomic_numbers", -1).astype(int),
        positions=as_array("pos", -1, 3).astype(float),
        energy=None if energy is None else float(energy[0]),
        forces=None if content.get("force") is None else as_array("force", -1, 3).astype(float),
        cell=np.zeros((3, 3)) if cell is None else cell[0].astype(float),
        pbc=np.ones(3, dtype=bool),
        names=("y", "force"),
        problem="" if cell is not None else "has no cell",
    )


# MPtrj


def _mptrj(path, wanted):
    """MPtrj, Deng et al. 2023 (doi 10.1038/s42256-023-00716-3): {mp_id: {frame_id: {structure: pymatgen, ...}}}.

    The energy is the uncorrected one, that of the forces. One frame is in memory at a time.
    """
    import ijson

    count = 0
    try:
        with _stream(path) as handle:
            frame, material, builder, depth = "", "", None, 0
            for event, value in ijson.basic_parse(handle, use_float=True):
                starts, ends = event in ("start_map", "start_array"), event in ("end_map", "end_array")
                depth -= ends
                if event == "map_key" and depth == 1:
                    material = value
                elif event == "map_key" and depth == 2:
                    frame = value
                    count += 1
                    builder = ijson.ObjectBuilder() if wanted(f"{material}/{frame}") else None
                elif builder is not None and depth >= 2:
                    builder.event(event, value)
                    if depth == 2 and not starts:
                        yield _mptrj_record(builder.value, path, material, frame)
                        builder = None
                depth += starts
    except (ijson.JSONError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: damaged or truncated JSON ({error}); fetch the file again") from error
    except (EOFError, lzma.LZMAError, zlib.error, OSError) as error:
        raise UserError(f"{path}: damaged or truncated ({error}); fetch the file again") from error
    if not count:
        raise UserError(f"{path}: no structure in it; an MPtrj file is {{mp_id: {{frame_id: {{structure, ...}}}}}}")


def _mptrj_record(frame, path, material, name):
    where, structure = f"{path}, {material}, frame {name}", frame.get("structure") if isinstance(frame, dict) else None
    try:
        matrix, sites = np.array(structure["lattice"]["matrix"], dtype=float).reshape(3, 3), structure["sites"]
        positions = np.array([site["xyz"] for site in sites], dtype=float).reshape(-1, 3)
        species = [site["species"] for site in sites]
        numbers = np.array([atomic_numbers.get(s[0]["element"], 0) for s in species], dtype=int)
        mixed = any(len(s) > 1 or s[0].get("occu", 1) != 1 for s in species)
        forces = None if frame.get("force") is None else np.array(frame["force"], dtype=float)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise UserError(f"{where}: has no pymatgen structure ({error!r}); this is no MPtrj file") from error
    return Record(
        id=f"{material}/{name}",
        where=where,
        molecule=material,
        numbers=numbers,
        positions=positions,
        energy=frame.get("uncorrected_total_energy"),
        forces=forces,
        cell=matrix,
        pbc=np.ones(3, dtype=bool),
        names=("uncorrected_total_energy", "force"),
        problem="has a site of several elements" if mixed else "" if numbers.all() else "has an unknown element",
    )
