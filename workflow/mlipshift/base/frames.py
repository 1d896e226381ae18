"""The frame store: structures and labels as flat arrays with offsets, in HDF5 files (see store).

Structures and labels live in different files, so that a rule that must not see reference labels
never receives them. The one exception is an imported dataset, which is an input of curation only.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np

from mlipshift.base import store
from mlipshift.base.errors import UserError

FORMAT = "mlipshift-frames-2"
LABELS_FORMAT = "mlipshift-labels-1"
DATASET_FORMAT = "mlipshift-dataset-1"
PER_ATOM = ("numbers", "positions", "forces")
ELEMENTS = 119  # atomic numbers, 0 included


def offsets_of(counts: Sequence[int] | np.ndarray) -> np.ndarray:
    """Offsets [n + 1] of consecutive blocks of `counts` [n] rows."""
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


@dataclass(frozen=True)
class Frames:
    """Structures without labels. S structures, N atoms in all.

    ids [S] unique and stable; group, molecule [S] str; offsets [S + 1]; numbers [N];
    positions [N, 3] Å; charge [S] e; multiplicity [S] = 2S + 1; cell [S, 3, 3] Å, rows are lattice vectors, zero
    for molecules; pbc [S, 3] whether the structure is periodic along each of them.
    """

    ids: np.ndarray
    group: np.ndarray
    molecule: np.ndarray
    offsets: np.ndarray
    numbers: np.ndarray
    positions: np.ndarray
    charge: np.ndarray
    multiplicity: np.ndarray
    cell: np.ndarray
    pbc: np.ndarray

    def __len__(self):
        return len(self.ids)

    def __getitem__(self, k: int | np.integer) -> tuple[np.ndarray, np.ndarray, int, int]:
        """(numbers [n], positions [n, 3], charge, multiplicity) of structure k."""
        atoms = slice(self.offsets[k], self.offsets[k + 1])
        return self.numbers[atoms], self.positions[atoms], int(self.charge[k]), int(self.multiplicity[k])

    @property
    def sizes(self) -> np.ndarray:
        """Number of atoms [S]."""
        return np.diff(self.offsets)

    def take(self, index: Sequence[int] | np.ndarray) -> "Frames":
        """Frames of an index array or boolean mask [S], in that order."""
        index = _numbers(index)
        atoms = atom_index(self.offsets, index)
        return replace(
            self,
            **{f.name: getattr(self, f.name)[index] for f in fields(self) if f.name not in ("offsets", *PER_ATOM)},
            **{name: getattr(self, name)[atoms] for name in PER_ATOM if hasattr(self, name)},
            offsets=offsets_of(self.sizes[index]),
        )

    def molecules_only(self, what: str) -> "Frames":
        """These frames; UserError if one is periodic, with `what`: words on what cannot take it and how to mend it."""
        count = int(self.pbc.any(axis=1).sum())
        if count:
            first = self.ids[np.flatnonzero(self.pbc.any(axis=1))[0]]
            raise UserError(f"{count} structures are periodic, {first} for one, and {what}")
        return self

    def of_kind(self, prefix: str) -> np.ndarray:
        """Boolean [S]: structures of the groups whose name starts with `prefix`, such as "ood_"."""
        return np.char.startswith(self.group.astype(str), prefix)

    @classmethod
    def build(cls, rows: Iterable[dict]) -> "Frames":
        """Frames of dicts with the keys id, group, molecule, numbers, positions, charge, multiplicity.

        cell and pbc are for periodic structures only.
        """
        rows = list(rows)
        text = lambda key: np.array([str(r[key]) for r in rows], dtype=object)
        join = lambda key, shape, kind: np.concatenate(
            [np.empty(shape, kind)] + [np.asarray(r[key], dtype=kind).reshape(-1, *shape[1:]) for r in rows]
        )
        return cls(
            ids=text("id"),
            group=text("group"),
            molecule=text("molecule"),
            offsets=offsets_of([len(r["numbers"]) for r in rows]),
            numbers=join("numbers", (0,), np.uint8),
            positions=join("positions", (0, 3), np.float64),
            charge=np.array([r["charge"] for r in rows], dtype=np.int16),
            multiplicity=np.array([r["multiplicity"] for r in rows], dtype=np.int16),
            cell=np.array([r.get("cell", np.zeros((3, 3))) for r in rows], dtype=np.float64).reshape(-1, 3, 3),
            pbc=np.array([r.get("pbc", np.zeros(3)) for r in rows], dtype=bool).reshape(-1, 3),
        )

    @classmethod
    def concatenate(cls, parts: Sequence["Frames"]) -> "Frames":
        """One store out of several, in order."""
        return cls(
            **{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls) if f.name != "offsets"},
            offsets=offsets_of(np.concatenate([p.sizes for p in parts])),
        )

    def save(self, path: Path | str) -> None:
        """Write to HDF5; equal frames give equal bytes, those of a writer too."""
        with store.created(path, FORMAT) as (handle, _):
            _save(handle, self)

    @classmethod
    def writer(cls, path: Path | str) -> AbstractContextManager[Callable[[dict], None]]:
        """Context manager that gives append(row) for dicts as in `build`; the store is whole or not there."""
        return store.writer(path, FORMAT, lambda handle, rows: _append(handle, cls.build(rows)))

    @classmethod
    def load(cls, path: Path | str) -> "Frames":
        """Read a store. Raises UserError if the file is missing, damaged or of another kind."""
        with store.opened(path, FORMAT) as handle:
            return _read(cls, handle)

    @classmethod
    def blocks(cls, path: Path | str, size: int | None = None, first: int = 0, step: int = 1) -> Iterator["Frames"]:
        """Yield a store as Frames of `size` structures, the last one fewer, or of store.blocks; raises as `load`.

        first, step: number of the first block, and how many further on the next one is.
        """
        with store.opened(path, FORMAT) as handle:
            yield from _blocks(cls, handle, size, first, step)

    @staticmethod
    def number(path: Path | str) -> int:
        """Number of structures of a store; raises as `load`."""
        with store.opened(path, FORMAT) as handle:
            return len(handle["ids"])


@dataclass(frozen=True)
class Labels:
    """Energies and forces of one level for S structures in the order of their frames.

    ids [S]; offsets [S + 1]; energy [S] eV; forces [N, 3] eV/Å; ok [S]: whether a structure has forces, by which all
    methods learn and are compared. What is not known is NaN: the forces where not ok, and the energy, which may be
    missing where forces are known, and known where they are missing.
    """

    ids: np.ndarray
    offsets: np.ndarray
    energy: np.ndarray
    forces: np.ndarray
    ok: np.ndarray
    level: str = ""

    def __len__(self):
        return len(self.ids)

    def forces_of(self, k: int | np.integer) -> np.ndarray:
        """Forces [n, 3] of structure k."""
        return self.forces[self.offsets[k] : self.offsets[k + 1]]

    def take(self, index: Sequence[int] | np.ndarray) -> "Labels":
        """Labels of an index array or boolean mask [S]."""
        index = _numbers(index)
        return Labels(
            ids=self.ids[index],
            offsets=offsets_of(np.diff(self.offsets)[index]),
            energy=self.energy[index],
            forces=self.forces[atom_index(self.offsets, index)],
            ok=self.ok[index],
            level=self.level,
        )

    def select(self, ids: Iterable[str]) -> "Labels":
        """Labels of the structures `ids`, in that order. Raises UserError if one has none here."""
        row = {name: k for k, name in enumerate(self.ids)}
        missing = next((name for name in ids if name not in row), None)
        if missing is not None:
            raise UserError(f"{self.level} labels do not cover structure {missing}; run the labelling rule again")
        return self.take(np.array([row[name] for name in ids], dtype=np.int64))

    @classmethod
    def build(cls, frames: Frames, results: Iterable[tuple | None], level: str) -> "Labels":
        """Labels of `frames` from results: per structure (energy eV, forces [n, 3] eV/Å) or None for a failure.

        Either of the two may be NaN.
        """
        energy = np.full(len(frames), np.nan)
        forces = np.full((len(frames.numbers), 3), np.nan)
        ok = np.zeros(len(frames), dtype=bool)
        for k, result in enumerate(results):
            if result is not None:
                energy[k] = result[0]
                forces[frames.offsets[k] : frames.offsets[k + 1]] = result[1]
                ok[k] = np.isfinite(result[1]).all()
        return cls(frames.ids, frames.offsets, energy, forces, ok, level)

    @classmethod
    def concatenate(cls, parts: Sequence["Labels"]) -> "Labels":
        """One label set out of several of the same level, in order."""
        return cls(
            **{n: np.concatenate([getattr(p, n) for p in parts]) for n in ("ids", "energy", "forces", "ok")},
            offsets=offsets_of(np.concatenate([np.diff(p.offsets) for p in parts])),
            level=parts[0].level,
        )

    def save(self, path: Path | str) -> None:
        """Write to HDF5; equal labels give equal bytes."""
        with store.created(path, LABELS_FORMAT, level=self.level) as (handle, _):
            _save(handle, self)

    @classmethod
    def writer(cls, path: Path | str, level: str) -> AbstractContextManager[Callable[[tuple], None]]:
        """Context manager that gives append((row, result)): a row of Frames.build, its result as in `build`."""

        def flush(handle, items):
            frames = Frames.build(row for row, _ in items)
            _append(handle, cls.build(frames, [result for _, result in items], level))

        return store.writer(path, LABELS_FORMAT, flush, level=level)

    @classmethod
    @contextmanager
    def joiner(cls, path: Path | str, level: str) -> Iterator[Callable[["Labels"], None]]:
        """Context manager that gives append(labels), which puts Labels together to a store as `save` writes it."""
        with store.created(path, LABELS_FORMAT, level=level) as (handle, check):
            waiting = cls.build(Frames.build([]), [], level)
            _append(handle, waiting)

            def append(labels):
                nonlocal waiting
                waiting = cls.concatenate([waiting, labels])
                start = 0
                for end in store.whole_blocks(np.diff(waiting.offsets)):
                    _append(handle, waiting.take(np.arange(start, end)))
                    check()
                    start = end
                waiting = waiting.take(np.arange(start, len(waiting)))

            yield append
            if len(waiting):
                _append(handle, waiting)

    @classmethod
    def blocks(cls, path: Path | str, size: int | None = None) -> Iterator["Labels"]:
        """Yield a store as Labels of `size` structures, the last one fewer, or of store.blocks; raises as `load`."""
        with store.opened(path, LABELS_FORMAT) as handle:
            yield from _blocks(cls, handle, size)

    @classmethod
    def load(cls, path: Path | str, frames: Frames | None = None) -> "Labels":
        """Read labels; with `frames` given, raises UserError unless ids agree one by one."""
        with store.opened(path, LABELS_FORMAT) as handle:
            labels = _read(cls, handle)
        if frames is not None and not np.array_equal(labels.ids, frames.ids):
            raise UserError(
                f"{path}: labels do not belong to these frames (ids differ); re-run the rule that made them"
            )
        return labels


@dataclass(frozen=True)
class Dataset:
    """Imported structures with the labels of one level, and what the source says of their molecules.

    frames; labels, in the order of the frames; smiles, subset [S] str, empty where the source has none.
    """

    frames: Frames
    labels: Labels
    smiles: np.ndarray
    subset: np.ndarray

    @staticmethod
    def writer(path: Path | str, level: str) -> AbstractContextManager[Callable[[tuple], None]]:
        """Context manager that gives append((row, result, smiles, subset)), see Frames.build and Labels.build."""

        def flush(handle, items):
            frames = Frames.build(item[0] for item in items)
            _append(
                handle,
                frames,
                Labels.build(frames, [item[1] for item in items], level),
                smiles=np.array([item[2] for item in items], dtype=object),
                subset=np.array([item[3] for item in items], dtype=object),
            )

        return store.writer(path, DATASET_FORMAT, flush, level=level)

    @classmethod
    def blocks(cls, path: Path | str) -> Iterator["Dataset"]:
        """Yield Datasets of BLOCK structures; raises UserError as Frames.load."""
        with store.opened(path, DATASET_FORMAT) as handle:
            for rows in store.blocks(handle):
                texts = (store.get(handle, name, slice(*rows)) for name in ("smiles", "subset"))
                yield cls(_read(Frames, handle, *rows), _read(Labels, handle, *rows), *texts)


def _numbers(index):
    """Structure numbers of an index array or a boolean mask."""
    index = np.asarray(index)
    return np.flatnonzero(index) if index.dtype == bool else index.astype(np.int64)


def atom_index(offsets: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Row numbers of all atoms of the structures `index`, in order."""
    if len(index) == 0:
        return np.empty(0, dtype=np.int64)
    return np.concatenate([np.arange(offsets[k], offsets[k + 1]) for k in index])


def _append(handle: h5py.File, *blocks: Frames | Labels, **columns: np.ndarray) -> None:
    """Append Frames or Labels, and other arrays [S], to a store."""
    store.append(handle, {n: v for b in blocks for n, v in vars(b).items() if isinstance(v, np.ndarray)} | columns)


def _save(handle, whole):
    """Append Frames or Labels block by block, as a writer does."""
    _append(handle, whole.take([]))
    ends = store.whole_blocks(np.diff(whole.offsets))
    for start, end in pairwise(dict.fromkeys([0, *ends, len(whole)])):
        _append(handle, whole.take(np.arange(start, end)))


def _read(cls, handle, start=0, stop=None):
    """Frames or Labels of the structures `start` to `stop` of a store."""
    names = [f.name for f in fields(cls) if f.name not in ("offsets", "level")]
    level = {"level": str(handle.attrs["level"])} if cls is Labels else {}
    return cls(**store.structures(handle, names, PER_ATOM, start, stop), **level)


def _blocks(cls, handle, size, first=0, step=1):
    """Yield every step-th block of `size` structures of a store, from number `first`; without a size all blocks."""
    if size is None:
        yield from (_read(cls, handle, *rows) for rows in store.blocks(handle))
        return
    for start in range(first * size, len(handle["ids"]), step * size):
        yield _read(cls, handle, start, start + size)
