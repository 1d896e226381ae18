"""NPZ of MD17, rMD17 and MD22: one molecule a file; kcal/mol, kcal/mol/Å, Å."""

import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mlipshift.base.errors import UserError
from mlipshift.base.units import ENERGY, FORCES
from mlipshift.data.readers.beginning import Beginning
from mlipshift.data.readers.common import ROWS, Request, converted, formula, selected, told
from mlipshift.data.records import Record

UNITS = {"energy": "kcal/mol", "length": "Angstrom", "forces": "kcal/mol/Angstrom"}
KEYS = (
    {"energy": "E", "forces": "F", "positions": "R", "numbers": "z"},
    {"energy": "energies", "forces": "forces", "positions": "coords", "numbers": "nuclear_charges"},
)


def recognises(beginning: Beginning) -> bool:
    """Whether it is a zip file."""
    return beginning.bytes.startswith(b"PK")


def read(path: Path | str, request: Request) -> Iterator[Record]:
    """Yield the wanted structures of a file; compressed members are streamed, too."""
    yield from selected(path, _structures(path, request.name), request.wanted)


def _structures(path, name):
    with told(path), zipfile.ZipFile(path) as archive:
        members = {m.removesuffix(".npy") for m in archive.namelist()}
        keys = next((k for k in KEYS if members.issuperset(k.values())), None)
        if keys is None:
            wanted = " or ".join(", ".join(k.values()) for k in KEYS)
            raise UserError(f"{path}: holds {', '.join(sorted(members))}; an NPZ file of MD17 has {wanted}")
        numbers, _ = _member(archive, path, keys["numbers"])
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
        molecule, index = formula(numbers), 0
        for energies, forces, positions in zip(*(arrays[k][0] for k in ("energy", "forces", "positions"))):
            for energy, force, position in zip(energies.reshape(-1), forces, positions):
                yield Record(
                    id=f"{name}/{Path(path).stem}/{index:05d}",
                    where=f"{path}, structure {index}",
                    molecule=molecule,
                    numbers=numbers,
                    positions=position.astype(float),
                    energy=converted(energy, ENERGY["kcal/mol"]),
                    forces=converted(force, FORCES["kcal/mol/Angstrom"]),
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
