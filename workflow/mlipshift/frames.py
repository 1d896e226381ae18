"""The frame store: structures and labels as flat arrays with offsets in one HDF5 file.

Structures and labels live in different files, so that a rule that must not see reference labels
never receives them.
"""

from dataclasses import dataclass, fields, replace
from pathlib import Path

import h5py
import numpy as np

from mlipshift.errors import UserError

FORMAT = "mlipshift-frames-1"
LABELS_FORMAT = "mlipshift-labels-1"
PREDICTIONS_FORMAT = "mlipshift-predictions-1"


def offsets_of(counts):
    """Offsets [n + 1] of consecutive blocks of `counts` [n] rows."""
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


@dataclass(frozen=True)
class Frames:
    """Structures without labels. S structures, N atoms in all.

    ids [S] unique and stable; group, molecule [S] str; offsets [S + 1]; numbers [N];
    positions [N, 3] Å; charge [S] e; multiplicity [S] = 2S + 1.
    """

    ids: np.ndarray
    group: np.ndarray
    molecule: np.ndarray
    offsets: np.ndarray
    numbers: np.ndarray
    positions: np.ndarray
    charge: np.ndarray
    multiplicity: np.ndarray

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
            **{name: getattr(self, name)[index] for name in ("ids", "group", "molecule", "charge", "multiplicity")},
            **{name: getattr(self, name)[atoms] for name in ("numbers", "positions")},
            offsets=offsets_of(self.sizes[index]),
        )

    def of_kind(self, prefix):
        """Boolean [S]: structures of the groups whose name starts with `prefix`, such as "ood_"."""
        return np.char.startswith(self.group.astype(str), prefix)

    @classmethod
    def build(cls, rows):
        """Frames of dicts with the keys id, group, molecule, numbers, positions, charge, multiplicity."""
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
        )

    @classmethod
    def concatenate(cls, parts):
        """One store out of several, in order."""
        return cls(
            **{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls) if f.name != "offsets"},
            offsets=offsets_of(np.concatenate([p.sizes for p in parts])),
        )

    def save(self, path):
        """Write to HDF5; equal frames give equal bytes."""
        with _create(path, FORMAT) as handle:
            for f in fields(self):
                _put(handle, f.name, getattr(self, f.name))

    @classmethod
    def load(cls, path):
        """Read a store. Raises UserError if the file is missing, damaged or of another kind."""
        with _open(path, FORMAT) as handle:
            return cls(**{f.name: _get(handle, f.name) for f in fields(cls)})


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
        with _create(path, LABELS_FORMAT) as handle:
            handle.attrs["level"] = self.level
            for name in ("ids", "offsets", "energy", "forces", "ok"):
                _put(handle, name, getattr(self, name))

    @classmethod
    def load(cls, path, frames=None):
        """Read labels; with `frames` given, raises UserError unless ids agree one by one."""
        with _open(path, LABELS_FORMAT) as handle:
            labels = cls(
                **{n: _get(handle, n) for n in ("ids", "offsets", "energy", "forces", "ok")},
                level=str(handle.attrs["level"]),
            )
        if frames is not None and not np.array_equal(labels.ids, frames.ids):
            raise UserError(
                f"{path}: labels do not belong to these frames (ids differ); re-run the rule that made them"
            )
        return labels


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
        with _create(path, PREDICTIONS_FORMAT) as handle:
            handle.attrs["method"], handle.attrs["seed"] = self.method, self.seed
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


def _create(path, kind):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    handle = h5py.File(path, "w", track_order=True)
    handle.attrs["format"] = kind
    return handle


def _put(handle, name, values):
    if values.dtype == object:
        handle.create_dataset(name, data=values, dtype=h5py.string_dtype(), track_times=False)
    else:
        handle.create_dataset(name, data=values, track_times=False)


def _get(handle, name):
    data = handle[name]
    return data.asstr()[:].astype(object) if h5py.check_string_dtype(data.dtype) else data[:]


def _open(path, kind):
    if not Path(path).exists():
        raise UserError(f"{path}: file is missing; run the rule that makes it")
    try:
        handle = h5py.File(path, "r")
    except OSError as error:
        raise UserError(f"{path}: not a readable HDF5 file ({error}); delete it and run again") from error
    found = handle.attrs.get("format", "nothing")
    if found != kind:
        handle.close()
        raise UserError(f"{path}: holds {found}, expected {kind}")
    return handle
