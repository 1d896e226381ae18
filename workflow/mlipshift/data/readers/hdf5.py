"""What the formats in HDF5 share: a group per molecule, arrays that fit each other."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

from mlipshift.base.errors import UserError
from mlipshift.data.readers.common import told
from mlipshift.data.readers.units import spelled


@contextmanager
def opened(path: Path | str) -> Iterator[h5py.File]:
    """Handle of a file. Raises UserError if it is damaged."""
    with told(path), h5py.File(path, "r") as handle:
        yield handle


def groups(handle: h5py.Group, prefix: str = "") -> Iterator[tuple[str, h5py.Group]]:
    """(name, group) of every molecule; a slash in a name has made groups of groups."""
    for name in handle:
        item = handle[name]
        inner = isinstance(item, h5py.Group) and len(item) and all(isinstance(v, h5py.Group) for v in item.values())
        if inner:
            yield from groups(item, f"{prefix}{name}/")
        else:
            yield prefix + name, item


def text(group: h5py.Group, key: str) -> str:
    """First text of a dataset of a group, empty if it has none."""
    if key not in group:
        return ""
    value = np.ravel(group[key][()])[0]
    return value.decode() if isinstance(value, bytes) else str(value)


def arrays_of(
    path: Path | str, group: h5py.Group, names: tuple[str, str, str], units: Mapping[str, str]
) -> tuple[np.ndarray, int, tuple[h5py.Dataset, h5py.Dataset | None, h5py.Dataset | None]]:
    """(numbers [n], number of conformations, label arrays or None) of a molecule; names: positions, energy, forces.

    units: {"length", "energy", "forces"} of the format. Raises UserError if the arrays do not fit each other, or say
    that they have other units.
    """
    where = f"{path}, molecule {group.name[1:]}"
    if not (isinstance(group, h5py.Group) and {"atomic_numbers", names[0]} <= set(group)):
        raise UserError(f"{where}: has no atomic_numbers and {names[0]}; fetch the file again")
    numbers = np.ravel(group["atomic_numbers"][()]).astype(int)
    positions, energy, forces = (group.get(name) for name in names)
    if positions is None:
        raise UserError(f"{where}: {names[0]} cannot be opened; fetch the file again")
    count = len(positions)
    for name, data, kind in zip(names, (positions, energy, forces), ("length", "energy", "forces")):
        said = spelled(data.attrs.get("units", ""), kind, f"{where}, {name}") if data is not None else None
        if said and said != units[kind]:
            raise UserError(f"{where}: {name} says that it is in {said}, not in {units[kind]}; convert the file")
    shapes = (count, len(numbers), 3), (count,), (count, len(numbers), 3)
    for name, data, shape in zip(names, (positions, energy, forces), shapes):
        if data is not None and data.shape not in (shape, (*shape, 1)):
            raise UserError(f"{where}: {name} has shape {data.shape}, {shape} expected; fetch the file again")
    return numbers, count, (positions, energy, forces)
