"""NPZ: one molecule a file as MD17, rMD17, MD22 and sGDML have it, or atomic numbers for each structure as PhysNet.

kcal/mol, kcal/mol/Å and Å as in MD17, unless the file says its own (`e_unit`, `r_unit` of sGDML) or data.units does.
Structures of several molecules are padded: atomic numbers below 1 are no atoms. A lattice makes them periodic.
"""

import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np

from mlipshift.base.errors import UserError
from mlipshift.base.units import ENERGY, FORCES, LENGTH
from mlipshift.data.readers.beginning import Beginning
from mlipshift.data.readers.common import ROWS, Request, converted, selected, told
from mlipshift.data.readers.state import may_say, state_of, tell_unread
from mlipshift.data.readers.units import KCAL, settled, spelled, stated
from mlipshift.data.records import Record

# what stands for what: MD17 and sGDML have the first names, rMD17 the second
NAMES = {
    "energy": ("E", "energies", "energy"),
    "forces": ("F", "forces"),
    "positions": ("R", "coords", "coordinates", "positions"),
    "numbers": ("z", "nuclear_charges", "Z", "atomic_numbers", "numbers"),
}
CARRIED = {"energy": "e_unit", "length": "r_unit", "forces": "f_unit"}
SHORT = {"Q": "charge", "S": "unpaired_electrons"}  # of PhysNet and SpookyNet
CELLS = {"lattice": (3, 3), "cell": (3, 3), "pbc": (3,)}  # shapes; the vectors of sGDML's lattice are its columns
TEXTS = ("id", "molecule", "smiles", "subset")


@dataclass(frozen=True)
class _Array:
    """An array of a file: blocks of ROWS rows, and its shape."""

    blocks: Iterator[np.ndarray]
    shape: tuple[int, ...]


@dataclass(frozen=True)
class _Layout:
    """What holds for all structures of a file.

    names: {"energy", "forces", "positions", "numbers"}: array that has it; units; numbers: None where each structure
    has its own; values: {array: what it says of all structures}.
    """

    path: Path | str
    names: Mapping[str, str]
    units: Mapping[str, str]
    numbers: np.ndarray | None
    values: dict[str, Any]


def units(path: Path | str, settings: dict) -> tuple[dict[str, str], bool]:
    """(units {"energy", "length", "forces"} of a file, whether the configuration can say them)."""
    with told(path), zipfile.ZipFile(path) as archive:
        return _units(archive, path, settings), True


def recognises(beginning: Beginning) -> bool:
    """Whether it is a zip file."""
    return beginning.bytes.startswith(b"PK")


def read(path: Path | str, request: Request) -> Iterator[Record]:
    """Yield the wanted structures of a file; compressed members are streamed, too."""
    yield from selected(path, _structures(path, request), request.wanted)


def _structures(path, request):
    with told(path), zipfile.ZipFile(path) as archive:
        members = _members(archive)
        names = _roles(path, members, request.keys)
        own = _units(archive, path, request.settings)
        if stated(request.settings) and own != KCAL:
            request.notes.say("units", f"read in {', '.join(own.values())}, not in the kcal/mol and Å of MD17")
        arrays = {role: _array(archive, path, name) for role, name in names.items()}
        numbers = None
        if len(arrays["numbers"].shape) == 1:
            numbers = np.concatenate([*arrays.pop("numbers").blocks, np.empty(0)]).astype(int)
        count = arrays["positions"].shape[0]
        _check_shapes(path, names, arrays, numbers)
        others = sorted(members - {*names.values(), *CARRIED.values()})
        values, columns = _others(archive, path, others, count, request.keys)
        layout, molecule = _Layout(path, names, own, numbers, values), ""
        for index, (row, more) in enumerate(zip(_rows(arrays, count), _rows(columns, count))):
            record = _record(index, row, more, layout, molecule, request)
            molecule = record.molecule if numbers is not None else ""
            yield record


def _record(index, row, more, layout, molecule, request):
    """The record of a structure; molecule: its name where it is that of the structure before."""
    values = layout.values | {name: value[0] if np.shape(value) == (1,) else value for name, value in more.items()}
    length = LENGTH[layout.units["length"]]
    numbers, atoms, problem = layout.numbers, slice(None), ""
    if numbers is None:
        atoms = row["numbers"] > 0
        numbers = row["numbers"][atoms].astype(int)
        if "N" in values and values["N"] != len(numbers):
            problem = f"N says {values['N']} atoms, {layout.names['numbers']} has {len(numbers)}"
    cell, pbc = _cell(values, length)
    sums = {kind: {name: float(values[name])} for name, kind in SHORT.items() if np.isscalar(values.get(name))}
    state = state_of(values, numbers, request.keys, sums, bool(pbc.any()))
    tell_unread(state, values, layout.units, request.notes)
    texts = {name: str(values.get(request.keys.get(name) or name, "")) for name in TEXTS}
    positions = row["positions"][atoms].astype(float) * length
    named = molecule or request.molecules.name(numbers, positions, texts["smiles"], bool(pbc.any()))
    energy, forces = row.get("energy"), row.get("forces")
    return Record(
        id=texts["id"] or f"{request.name}/{index:05d}",
        where=f"{layout.path}, structure {index}",
        molecule=texts["molecule"] or named,
        numbers=numbers,
        positions=positions,
        energy=None if energy is None else converted(np.ravel(energy)[0], ENERGY[layout.units["energy"]]),
        forces=None if forces is None else converted(forces[atoms], FORCES[layout.units["forces"]]),
        cell=cell,
        pbc=pbc,
        charge=state.charge,
        multiplicity=state.multiplicity,
        names=tuple(layout.names.get(role) or request.keys.get(role) or role for role in ("energy", "forces")),
        found=tuple(sorted({*layout.names.values(), *values})),
        smiles=texts["smiles"],
        subset=texts["subset"],
        problem=problem or state.problem,
    )


def _cell(values, length):
    """(cell [3, 3] Å, pbc [3]) of the values of a structure."""
    cell = values["lattice"].T if "lattice" in values else values.get("cell")
    if cell is None or not np.any(cell):
        return np.zeros((3, 3)), np.zeros(3, dtype=bool)
    return cell.astype(float) * length, np.broadcast_to(np.asarray(values.get("pbc", True), dtype=bool), 3)


def _roles(path, members, keys):
    """{"energy", "forces", "positions", "numbers"}: name of the array, energy and forces where there are any."""
    named = {role: keys[role] for role in ("energy", "forces") if keys.get(role) in members}
    found = {role: [name for name in NAMES[role] if name in members] for role in NAMES}
    for k in range(2):
        whole = {role: names[k] for role, names in NAMES.items()}
        if members.issuperset(whole.values()):
            return whole | named
    for role, names in found.items():
        if len(names) > 1 and role not in named:
            mend = f"say in data.keys.{role} which one" if role in ("energy", "forces") else "take one of them out"
            raise UserError(f"{path}: has {' and '.join(names)} for {role}; {mend}")
    if not (found["positions"] and found["numbers"]):
        wanted = " or ".join(", ".join(names[k] for names in NAMES.values()) for k in range(2))
        raise UserError(f"{path}: holds {', '.join(sorted(members))}; an NPZ file of MD17 has {wanted}")
    return {role: names[0] for role, names in found.items() if names} | named


def _units(archive, path, settings):
    members = _members(archive)
    carried = {
        kind: spelled(np.ravel(_content(archive, path, name))[0], kind, f"{path}, {name}")
        for kind, name in CARRIED.items()
        if name in members
    }
    return settled(path, settings, carried, KCAL)


def _check_shapes(path, names, arrays, numbers):
    """Raise UserError unless the arrays fit the positions and the atomic numbers."""
    found = arrays["positions"].shape
    atoms = found[1:2] if numbers is None else (len(numbers),)
    forces, energies = (found[0], *atoms, 3), [(found[0],), (found[0], 1)]
    expected = {"energy": energies, "numbers": [forces[:2]], "forces": [forces], "positions": [forces]}
    for role, array in arrays.items():
        if array.shape not in expected[role]:
            raise UserError(
                f"{path}: {names[role]} has shape {array.shape}, {expected[role][0]} expected from "
                f"{names['positions']} and {names['numbers']}; fetch the file again"
            )


def _others(archive, path, members, count, keys):
    """({array: what it says of all structures}, {array: _Array of a value for each}) of what else says something."""
    values, columns = {}, {}
    for name in members:
        handle, shape, _, dtype = _header(archive, path, name)
        handle.close()
        inner = CELLS.get(name, ())
        if dtype.hasobject or not (name in (*CELLS, *SHORT, "N", *TEXTS, *keys.values()) or may_say(name)):
            continue
        if shape in ((count, *inner), (count, *(inner or (1,)))):
            columns[name] = _array(archive, path, name)
        elif shape in (inner, (1, *inner)):
            values[name] = _content(archive, path, name).reshape(inner)[()]
        elif name in CELLS:
            raise UserError(f"{path}: {name} has shape {shape}, {inner} expected; mend the file")
    return values, columns


def _rows(arrays, count):
    """Yield {array: its row} for every structure."""
    if not arrays:
        yield from repeat({}, count)
    for blocks in zip(*(array.blocks for array in arrays.values())):
        for row in zip(*blocks):
            yield dict(zip(arrays, row))


def _members(archive):
    return {member.removesuffix(".npy") for member in archive.namelist()}


def _content(archive, path, key):
    """The whole of a small array."""
    _header(archive, path, key)[0].close()
    with archive.open(f"{key}.npy") as handle:
        return np.lib.format.read_array(handle, allow_pickle=False)


def _header(archive, path, key):
    """(handle that stands behind the header, shape, whether by column, type) of an array."""
    handle = archive.open(f"{key}.npy")
    version = np.lib.format.read_magic(handle)
    header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if header is None:
        raise UserError(f"{path}: {key} is in version {version} of the NPY format; save the file again with NumPy")
    return handle, *header(handle)


def _array(archive, path, key):
    """An array whose rows are read in blocks; numpy.load would read all of it."""
    handle, shape, by_column, dtype = _header(archive, path, key)
    if dtype.hasobject:
        raise UserError(f"{path}: {key} holds Python objects, which could run any code; save it as plain numbers")
    if key not in TEXTS and (dtype.kind not in "fiub" or not shape):
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

    return _Array(blocks(), shape)
