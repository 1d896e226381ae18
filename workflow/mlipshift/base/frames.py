"""The frame store: structures and labels as flat arrays with offsets in one HDF5 file.

Structures and labels live in different files, so that a rule that must not see reference labels
never receives them. The one exception is an imported dataset, which is an input of curation only.
Stores are written and can be read in blocks of BLOCK structures, with memory that does not grow with the
number of structures.
"""

from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path

import h5py
import numpy as np

from mlipshift.base.errors import UserError
from mlipshift.base.files import Sink, replacing

FORMAT = "mlipshift-frames-2"
LABELS_FORMAT = "mlipshift-labels-1"
PREDICTIONS_FORMAT = "mlipshift-predictions-1"
DATASET_FORMAT = "mlipshift-dataset-1"
BLOCK = 1024  # structures that are written or read at a time
CHUNK = 1024  # rows of an HDF5 chunk
PER_ATOM = ("numbers", "positions", "forces")


def offsets_of(counts):
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

    def __getitem__(self, k):
        """(numbers [n], positions [n, 3], charge, multiplicity) of structure k."""
        atoms = slice(self.offsets[k], self.offsets[k + 1])
        return self.numbers[atoms], self.positions[atoms], int(self.charge[k]), int(self.multiplicity[k])

    @property
    def sizes(self):
        """Number of atoms [S]."""
        return np.diff(self.offsets)

    def take(self, index):
        """Frames of an index array or boolean mask [S], in that order."""
        index = _numbers(index)
        atoms = atom_index(self.offsets, index)
        return replace(
            self,
            **{f.name: getattr(self, f.name)[index] for f in fields(self) if f.name not in ("offsets", *PER_ATOM)},
            **{name: getattr(self, name)[atoms] for name in PER_ATOM if hasattr(self, name)},
            offsets=offsets_of(self.sizes[index]),
        )

    def molecules_only(self, what):
        """These frames; UserError if one is periodic, with `what`: words on what cannot take it and how to mend it."""
        count = int(self.pbc.any(axis=1).sum())
        if count:
            first = self.ids[np.flatnonzero(self.pbc.any(axis=1))[0]]
            raise UserError(f"{count} structures are periodic, {first} for one, and {what}")
        return self

    def of_kind(self, prefix):
        """Boolean [S]: structures of the groups whose name starts with `prefix`, such as "ood_"."""
        return np.char.startswith(self.group.astype(str), prefix)

    @classmethod
    def build(cls, rows):
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
    def concatenate(cls, parts):
        """One store out of several, in order."""
        return cls(
            **{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls) if f.name != "offsets"},
            offsets=offsets_of(np.concatenate([p.sizes for p in parts])),
        )

    def save(self, path):
        """Write to HDF5; equal frames give equal bytes, those of a writer too."""
        with _create(path, FORMAT) as (handle, _):
            _append(handle, self.take([]))
            for start in range(0, len(self), BLOCK):
                _append(handle, self.take(np.arange(start, min(start + BLOCK, len(self)))))

    @classmethod
    def writer(cls, path):
        """Context manager that gives append(row) for dicts as in `build`; the store is whole or not there."""
        return _writer(path, FORMAT, lambda handle, rows: _append(handle, cls.build(rows)))

    @classmethod
    def load(cls, path):
        """Read a store. Raises UserError if the file is missing, damaged or of another kind."""
        with _open(path, FORMAT) as handle:
            return _read(cls, handle)

    @classmethod
    def blocks(cls, path, size=BLOCK, first=0, step=1):
        """Yield a store as Frames of `size` structures, the last one fewer; raises as `load`.

        first, step: number of the first block, and how many further on the next one is.
        """
        with _open(path, FORMAT) as handle:
            yield from _blocks(cls, handle, size, first, step)

    @staticmethod
    def number(path):
        """Number of structures of a store; raises as `load`."""
        with _open(path, FORMAT) as handle:
            return len(handle["ids"])


@dataclass(frozen=True)
class Labels:
    """Energies and forces of one level for S structures in the order of their frames.

    ids [S]; offsets [S + 1]; energy [S] eV; forces [N, 3] eV/Å; ok [S]: False where labelling failed
    (energy and forces are then NaN).
    """

    ids: np.ndarray
    offsets: np.ndarray
    energy: np.ndarray
    forces: np.ndarray
    ok: np.ndarray
    level: str = ""

    def __len__(self):
        return len(self.ids)

    def forces_of(self, k):
        """Forces [n, 3] of structure k."""
        return self.forces[self.offsets[k] : self.offsets[k + 1]]

    def take(self, index):
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

    def select(self, ids):
        """Labels of the structures `ids`, in that order. Raises UserError if one has none here."""
        row = {name: k for k, name in enumerate(self.ids)}
        missing = next((name for name in ids if name not in row), None)
        if missing is not None:
            raise UserError(f"{self.level} labels do not cover structure {missing}; run the labelling rule again")
        return self.take(np.array([row[name] for name in ids], dtype=np.int64))

    @classmethod
    def build(cls, frames, results, level):
        """Labels of `frames` from results: per structure (energy, forces [n, 3]) or None for a failure."""
        energy = np.full(len(frames), np.nan)
        forces = np.full((len(frames.numbers), 3), np.nan)
        for k, result in enumerate(results):
            if result is not None:
                energy[k] = result[0]
                forces[frames.offsets[k] : frames.offsets[k + 1]] = result[1]
        return cls(frames.ids, frames.offsets, energy, forces, np.isfinite(energy), level)

    @classmethod
    def concatenate(cls, parts):
        """One label set out of several of the same level, in order."""
        return cls(
            **{n: np.concatenate([getattr(p, n) for p in parts]) for n in ("ids", "energy", "forces", "ok")},
            offsets=offsets_of(np.concatenate([np.diff(p.offsets) for p in parts])),
            level=parts[0].level,
        )

    def save(self, path):
        """Write to HDF5; equal labels give equal bytes."""
        with _create(path, LABELS_FORMAT, level=self.level) as (handle, _):
            _append(handle, self.take([]))
            for start in range(0, len(self), BLOCK):
                _append(handle, self.take(np.arange(start, min(start + BLOCK, len(self)))))

    @classmethod
    def writer(cls, path, level):
        """Context manager that gives append((row, result)): a row of Frames.build, its result as in `build`."""
        return _writer(path, LABELS_FORMAT, lambda handle, items: _append(handle, cls._of(items, level)), level=level)

    @classmethod
    def _of(cls, items, level):
        """Labels of (row of Frames.build, result) pairs."""
        return cls.build(Frames.build(row for row, _ in items), [result for _, result in items], level)

    @classmethod
    @contextmanager
    def joiner(cls, path, level):
        """Context manager that gives append(labels), which puts Labels together to a store as `save` writes it."""
        with _create(path, LABELS_FORMAT, level=level) as (handle, check):
            waiting = cls.build(Frames.build([]), [], level)
            _append(handle, waiting)

            def append(labels):
                nonlocal waiting
                waiting = cls.concatenate([waiting, labels])
                while len(waiting) >= BLOCK:
                    _append(handle, waiting.take(np.arange(BLOCK)))
                    check()
                    waiting = waiting.take(np.arange(BLOCK, len(waiting)))

            yield append
            if len(waiting):
                _append(handle, waiting)

    @classmethod
    def blocks(cls, path, size=BLOCK):
        """Yield a store as Labels of `size` structures, the last one fewer; raises as `load`."""
        with _open(path, LABELS_FORMAT) as handle:
            yield from _blocks(cls, handle, size)

    @classmethod
    def load(cls, path, frames=None):
        """Read labels; with `frames` given, raises UserError unless ids agree one by one."""
        with _open(path, LABELS_FORMAT) as handle:
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
    def writer(path, level):
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

        return _writer(path, DATASET_FORMAT, flush, level=level)

    @classmethod
    def blocks(cls, path):
        """Yield Datasets of BLOCK structures; raises UserError as Frames.load."""
        with _open(path, DATASET_FORMAT) as handle:
            for start in range(0, len(handle["ids"]), BLOCK):
                rows = slice(start, start + BLOCK)
                yield cls(
                    _read(Frames, handle, start, start + BLOCK),
                    _read(Labels, handle, start, start + BLOCK),
                    *(_get(handle, name, rows) for name in ("smiles", "subset")),
                )


@dataclass(frozen=True)
class Predictions:
    """Predictions of one method for S structures in the order of their frames, at T recorded steps.

    ids [S]; offsets [S + 1]; steps [T] (0 alone without adaptation); energy [T, S] eV;
    forces [T, N, 3] eV/Å; loss [T, S] prior loss in eV/Å, NaN if none; cutoff [S] Å;
    ok [S]: False where the method could not be applied and the value is missing (NaN).
    """

    ids: np.ndarray
    offsets: np.ndarray
    steps: np.ndarray
    energy: np.ndarray
    forces: np.ndarray
    loss: np.ndarray
    cutoff: np.ndarray
    ok: np.ndarray
    method: str = ""
    seed: int = -1

    _ARRAYS = ("ids", "offsets", "steps", "energy", "forces", "loss", "cutoff", "ok")

    @classmethod
    def build(cls, frames, rows, steps, cutoff, method, seed, loss=None):
        """Predictions from rows: per structure (energy [T], forces [T, n, 3]) or None where missing."""
        times = len(steps)
        energy = np.full((times, len(frames)), np.nan)
        forces = np.full((times, len(frames.numbers), 3), np.nan)
        for k, row in enumerate(rows):
            if row is not None:
                energy[:, k] = row[0]
                forces[:, frames.offsets[k] : frames.offsets[k + 1]] = row[1]
        return cls(
            ids=frames.ids,
            offsets=frames.offsets,
            steps=np.asarray(steps, dtype=np.int64),
            energy=energy,
            forces=forces,
            loss=np.full((times, len(frames)), np.nan) if loss is None else loss,
            cutoff=np.broadcast_to(np.asarray(cutoff, dtype=float), (len(frames),)).copy(),
            ok=np.array([row is not None for row in rows]),
            method=method,
            seed=seed,
        )

    def save(self, path):
        """Write to HDF5; equal predictions give equal bytes."""
        with _create(path, PREDICTIONS_FORMAT, method=self.method, seed=self.seed) as (handle, _):
            for name in self._ARRAYS:
                _put(handle, name, getattr(self, name))

    @classmethod
    def load(cls, path, frames=None):
        """Read predictions; with `frames` given, raises UserError unless ids agree one by one."""
        with _open(path, PREDICTIONS_FORMAT) as handle:
            out = cls(
                **{n: _get(handle, n) for n in cls._ARRAYS},
                method=str(handle.attrs["method"]),
                seed=int(handle.attrs["seed"]),
            )
        if frames is not None and not np.array_equal(out.ids, frames.ids):
            raise UserError(f"{path}: predictions are of other frames (ids differ); re-run the rule that made them")
        return out


def _numbers(index):
    """Structure numbers of an index array or a boolean mask."""
    index = np.asarray(index)
    return np.flatnonzero(index) if index.dtype == bool else index.astype(np.int64)


def atom_index(offsets, index):
    """Row numbers of all atoms of the structures `index`, in order."""
    if len(index) == 0:
        return np.empty(0, dtype=np.int64)
    return np.concatenate([np.arange(offsets[k], offsets[k + 1]) for k in index])


@contextmanager
def _create(path, kind, **attributes):
    """HDF5 handle of a new store, which is whole or not there. Raises OSError when the disk is full."""
    with replacing(path) as part, Sink(part) as sink:
        with h5py.File(sink, "w", track_order=True) as handle:
            handle.attrs["format"] = kind
            handle.attrs.update(attributes)
            yield handle, sink.check
        sink.check()


@contextmanager
def _writer(path, kind, flush, **attributes):
    """append(item), which calls flush(handle, items) for every BLOCK items and once for the rest."""
    with _create(path, kind, **attributes) as (handle, check):
        waiting = []

        def append(item):
            waiting.append(item)
            if len(waiting) == BLOCK:
                flush(handle, waiting)
                check()
                waiting.clear()

        flush(handle, [])  # an empty store has its datasets too
        yield append
        if waiting:
            flush(handle, waiting)


def _append(handle, *blocks, **columns):
    """Append the arrays of Frames or Labels, and others [S], to the datasets of a store."""
    arrays = {n: v for block in blocks for n, v in vars(block).items() if isinstance(v, np.ndarray)} | columns
    if "offsets" in handle:
        arrays["offsets"] = arrays["offsets"][1:] + handle["offsets"][-1]
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


def _read(cls, handle, start=0, stop=None):
    """Frames or Labels of the structures `start` to `stop` of a store."""
    offsets = handle["offsets"][start : None if stop is None else stop + 1]
    names = [f.name for f in fields(cls) if f.name not in ("offsets", "level")]
    per_atom = slice(offsets[0], offsets[-1])
    arrays = {n: _get(handle, n, per_atom if n in PER_ATOM else slice(start, stop)) for n in names}
    level = {"level": str(handle.attrs["level"])} if cls is Labels else {}
    return cls(**arrays, offsets=offsets - offsets[0], **level)


def _blocks(cls, handle, size, first=0, step=1):
    """Yield every step-th block of `size` structures of a store, from number `first`."""
    for start in range(first * size, len(handle["ids"]), step * size):
        yield _read(cls, handle, start, start + size)


def _put(handle, name, values):
    if values.dtype == object:
        handle.create_dataset(name, data=values, dtype=h5py.string_dtype(), track_times=False)
    else:
        handle.create_dataset(name, data=values, track_times=False)


def _get(handle, name, rows=slice(None)):
    data = handle[name]
    return data.asstr()[rows].astype(object) if h5py.check_string_dtype(data.dtype) else data[rows]


@contextmanager
def _open(path, kind):
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
