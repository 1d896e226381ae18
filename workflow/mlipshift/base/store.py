"""Stores: HDF5 files of one kind that are whole or not there, written and read in blocks of structures.

Equal content gives equal bytes, however it was appended. Memory does not grow with the number of structures.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mlipshift.base.errors import UserError
from mlipshift.base.files import Sink, replacing

BLOCK = 1024  # structures that are written or read at a time
ATOMS = 2**20  # atoms that end a block of fewer structures
CHUNK = 1024  # rows of an HDF5 chunk
OFFSETS = "offsets"  # of the blocks of rows that belong to one structure; 0 is the first


@contextmanager
def created(path: Path | str, kind: str, **attributes: str | int) -> Iterator[tuple[h5py.File, Callable[[], None]]]:
    """(HDF5 handle of a new store, function that raises OSError if the disk has been full so far).

    kind: what `opened` asks for; attributes: further ones of the file.
    """
    with replacing(path) as part, Sink(part) as sink:
        with h5py.File(sink, "w", track_order=True) as handle:
            handle.attrs["format"] = kind
            handle.attrs.update(attributes)
            yield handle, sink.check
        sink.check()


@contextmanager
def opened(path: Path | str, kind: str) -> Iterator[h5py.File]:
    """HDF5 handle of a store of one kind; whatever is wrong with the file is a UserError."""
    if not Path(path).exists():
        raise UserError(f"{path}: file is missing; run the rule that makes it")
    try:
        with h5py.File(path, "r") as handle:
            found = handle.attrs.get("format", "nothing")
            if found != kind:
                raise UserError(f"{path}: holds {found}, expected {kind}")
            yield handle
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        raise UserError(f"{path}: not a readable HDF5 store ({error}); delete it and run again") from error


@contextmanager
def writer(
    path: Path | str,
    kind: str,
    flush: Callable[[h5py.File, list], None],
    **attributes: str | int,
) -> Iterator[Callable[[Any], None]]:
    """append(item) of a new store, which calls flush(handle, items) for every whole block and once for the rest.

    An item is a row with `numbers` [n], or a tuple that begins with one.
    """
    with created(path, kind, **attributes) as (handle, check):
        waiting, atoms = [], 0

        def append(item):
            nonlocal atoms
            waiting.append(item)
            atoms += len((item if isinstance(item, dict) else item[0])["numbers"])
            if len(waiting) == BLOCK or atoms >= ATOMS:  # as in whole_blocks
                flush(handle, waiting)
                check()
                waiting.clear()
                atoms = 0

        flush(handle, [])  # an empty store has its datasets too
        yield append
        if waiting:
            flush(handle, waiting)


def whole_blocks(sizes: Sequence[int] | np.ndarray) -> list[int]:
    """Ends of the whole blocks of structures of `sizes` atoms: BLOCK of them, or fewer with at least ATOMS atoms."""
    ends, start, total = [], 0, np.concatenate([[0], np.cumsum(sizes)])
    while start < len(sizes):
        end = min(start + BLOCK, int(np.searchsorted(total, total[start] + ATOMS)))
        if end > len(sizes):
            break
        ends.append(end)
        start = end
    return ends


def blocks(handle: h5py.File) -> Iterator[tuple[int, int]]:
    """Yield (first structure, that after the last) of the blocks of a store: whole ones, and the rest."""
    start, total = 0, len(handle[OFFSETS]) - 1
    while start < total:
        sizes = np.diff(handle[OFFSETS][start : start + BLOCK + 1])
        end = start + next(iter(whole_blocks(sizes)), len(sizes))
        yield start, end
        start = end


def append(handle: h5py.File, arrays: dict[str, np.ndarray]) -> None:
    """Append arrays [rows, ...] to the datasets of their names; offsets go on from the last one there."""
    if OFFSETS in handle:
        arrays = arrays | {OFFSETS: arrays[OFFSETS][1:] + handle[OFFSETS][-1]}
    for name, values in arrays.items():
        if name not in handle:
            text = values.dtype == object
            handle.create_dataset(
                name,
                shape=(0, *values.shape[1:]),
                maxshape=(None, *values.shape[1:]),
                chunks=(CHUNK, *values.shape[1:]),
                dtype=h5py.string_dtype() if text else values.dtype,
                # what a chunk holds beyond the last row is written too
                fillvalue=None if text else 0,
                track_times=False,
            )
        data = handle[name]
        rows = len(data)
        data.resize(rows + len(values), axis=0)
        data[rows:] = values


def put(handle: h5py.File, name: str, values: np.ndarray) -> None:
    """Write an array of numbers or of str as a dataset that does not grow."""
    kind = {"dtype": h5py.string_dtype()} if values.dtype == object else {}
    handle.create_dataset(name, data=values, track_times=False, **kind)


def get(handle: h5py.File, name: str, rows: slice = slice(None)) -> np.ndarray:
    """Rows of a dataset; text as an object array of str."""
    data = handle[name]
    return data.asstr()[rows].astype(object) if h5py.check_string_dtype(data.dtype) else data[rows]


def structures(
    handle: h5py.File, names: Iterable[str], per_atom: Iterable[str], start: int = 0, stop: int | None = None
) -> dict[str, np.ndarray]:
    """{name: array} of the structures `start` to `stop`, and their offsets from 0.

    per_atom: names whose rows are atoms, not structures.
    """
    offsets = handle[OFFSETS][start : None if stop is None else stop + 1]
    atoms = slice(offsets[0], offsets[-1])
    arrays = {n: get(handle, n, atoms if n in per_atom else slice(start, stop)) for n in names}
    return arrays | {OFFSETS: offsets - offsets[0]}
