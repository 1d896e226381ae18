"""Structures through a model, one by one: answers are checked, failures have a reason, what is done is kept."""

import hashlib
import json
import sys
import sysconfig
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mlipshift.base.checkpoints import Checkpoints
from mlipshift.base.errors import UserError, shortened
from mlipshift.base.files import disk_is_full
from mlipshift.base.frames import Frames
from mlipshift.base.log import log, progress
from mlipshift.base.timing import CPU, Stopwatch
from mlipshift.external.structure import Structure


class Answer(NamedTuple):
    """energy eV, NaN if the model has none; forces [n, 3] eV/Å; embedding [d] or None.

    spread [n] eV/Å of the members of an ensemble, root mean square of their forces around the mean; None without.
    """

    energy: float
    forces: np.ndarray
    embedding: np.ndarray | None = None
    spread: np.ndarray | None = None

    @classmethod
    def of_members(
        cls, energies: Sequence[float], forces: Sequence[np.ndarray], embedding: np.ndarray | None = None
    ) -> "Answer":
        """The mean of the members of an ensemble, and their spread where there are several."""
        stack = np.stack([*forces])
        mean = stack.mean(axis=0)
        spread = np.sqrt(((stack - mean) ** 2).sum(axis=-1).mean(axis=0)) if len(stack) > 1 else None
        return cls(float(np.mean(energies)), mean, embedding, spread)


Call = Callable[[Structure], tuple]
KEPT_EVERY = 1.0, 0.02  # s, and as a share of the time so far: a kill costs no more than that and one structure
NO_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "cannot allocate memory")


@dataclass
class Answers:
    """What a model says of structures, by their number in the frames; reasons: {number: why there is no answer}.

    seconds: spent on the answers, by whichever job, `measured` as base.timing says; resumed: answers of a job that was
    killed.
    """

    answers: dict[int, Answer] = field(default_factory=dict)
    reasons: dict[int, str] = field(default_factory=dict)
    seconds: float = 0.0
    measured: str = CPU
    resumed: int = 0


def ask(model: Call, structure: Structure) -> Answer:
    """Answer of a model, which may be a tuple that begins as one, checked.

    Raises ValueError for what cannot be an answer, and whatever the model raises.
    """
    energy, forces, *more = model(structure)
    vector, spread = (*more, None, None)[:2]
    total, forces = np.asarray(energy, dtype=float), np.array(forces, dtype=float)
    n = len(structure.numbers)
    if total.size != 1:
        raise ValueError(f"its energy has the shape {total.shape}, not that of one number")
    if forces.shape != (n, 3):
        raise ValueError(f"its forces have the shape {forces.shape}, not ({n}, 3)")
    if np.isinf(total).any() or not np.isfinite(forces).all():
        raise ValueError("energy or forces are not finite")
    vector = None if vector is None else np.asarray(vector, dtype=float).ravel()
    return Answer(float(total.ravel()[0]), forces, vector, None if spread is None else np.asarray(spread, dtype=float))


def fingerprint(entry: Mapping[str, Any], files: Iterable[Path | str], excluded: Iterable[str]) -> bytes:
    """Digest of what predictions depend on beside their structures.

    entry: settings of the model; files: weights and what else it reads, by content; excluded: ids that it is not asked
    for. The code is in it, too: modules of one's own that are imported, and the versions of all packages.
    """
    settled = {Path(sysconfig.get_paths()[key]).resolve() for key in ("stdlib", "platstdlib", "purelib", "platlib")}
    sources = {Path(file).resolve() for m in list(sys.modules.values()) if (file := getattr(m, "__file__", None))}
    own = [p for p in sources if p.suffix == ".py" and p.is_file() and not settled & {*p.parents}]
    packages = sorted(f"{d.metadata['Name']} {d.version}" for d in metadata.distributions())
    digest = hashlib.sha256(json.dumps([dict(entry), sorted(excluded), packages], sort_keys=True).encode())
    for path in sorted({*own, *map(Path, files)}):
        with open(path, "rb") as handle:
            digest.update(hashlib.file_digest(handle, "sha256").digest())
    return digest.digest()


def predict(model: Call, frames: Frames, skip: set[str], kept: Checkpoints, name: str) -> Answers:
    """Answers of a model for all structures but those whose ids are in `skip`.

    kept: where answers are kept while the job runs, and taken from when it starts again; a failure is tried again. Any
    exception of the model is a reason, but for a full disk, a UserError, and a lack of memory, which is one, too.
    """
    out = Answers()
    answers = _Kept(out, frames, kept)
    try:
        for k in progress(range(len(frames)), len(frames), name):
            if k in out.answers or frames.ids[k] in skip:
                continue
            try:
                answers.add(k, ask(model, Structure.of(frames, k)))
            except Exception as error:
                _end_if_of_all(error, name, frames, k)
                log.info("%s", frames.ids[k], exc_info=True)
                out.reasons[k] = f"{type(error).__name__}: {shortened(error)}"
    except UserError:
        answers.flush()
        raise
    answers.flush()
    return out


def _end_if_of_all(error, name, frames, k):
    """Raise what is no failure of one structure."""
    if isinstance(error, UserError) or disk_is_full(error):
        raise error
    if isinstance(error, MemoryError) or any(text in str(error).lower() for text in NO_MEMORY):
        raise UserError(
            f"{name}: no memory for {frames.ids[k]}, {frames.sizes[k]} atoms ({shortened(error)}); give the job more, "
            "or leave the structure out; what is predicted so far is kept"
        ) from error


class _Kept:
    """Answers that are kept while the job runs, in parts of as many as there are in a little while."""

    def __init__(self, out, frames, kept):
        self.out, self.frames, self.kept = out, frames, kept
        self.part, self.waiting = _taken(out, frames, kept), []
        self.start = self.last = time.perf_counter()
        self.watch = Stopwatch()

    def add(self, k, answer):
        self.out.answers[k] = answer
        self.waiting.append(k)
        now = time.perf_counter()
        if now - self.last > max(KEPT_EVERY[0], KEPT_EVERY[1] * (now - self.start)):
            self.flush()

    def flush(self):
        seconds = self.watch.seconds
        if self.waiting:
            _keep(self.out, self.waiting, self.frames, self.kept, self.part, seconds)
            self.part, self.waiting = self.part + 1, []
        self.out.seconds, self.out.measured = self.out.seconds + seconds, self.watch.measured
        self.last, self.watch = time.perf_counter(), Stopwatch()


def _keep(out, numbers, frames, kept, part, seconds):
    """Keep the answers of some structures as one part."""
    rows = [out.answers[k] for k in numbers]
    vectors = [row.embedding for row in rows]
    width = max((0 if v is None else len(v) for v in vectors), default=0)
    spreads = [np.full(len(row.forces), np.nan) if row.spread is None else row.spread for row in rows]
    arrays = {
        "numbers": np.array(numbers, dtype=np.int64),
        "energy": np.array([row.energy for row in rows]),
        "forces": np.concatenate([row.forces for row in rows]),
        "embedding": np.array([np.full(width, np.nan) if v is None else v for v in vectors]).reshape(len(rows), width),
        "embedded": np.array([v is not None for v in vectors]),
        "spread": np.concatenate(spreads),
    }
    kept.save(part, frames, arrays, {"seconds": seconds})


def _taken(out, frames, kept):
    """Fill Answers with the parts that an earlier job has kept; the number of these."""
    part = 0
    while (found := kept.load(part, frames)) is not None:
        arrays, notes = found
        sizes = frames.sizes[arrays["numbers"]]
        forces, spreads = (np.split(arrays[name], np.cumsum(sizes)[:-1]) for name in ("forces", "spread"))
        for row, k in enumerate(arrays["numbers"]):
            vector = arrays["embedding"][row] if arrays["embedded"][row] else None
            spread = spreads[row] if np.isfinite(spreads[row]).all() else None
            out.answers[int(k)] = Answer(float(arrays["energy"][row]), forces[row], vector, spread)
        out.seconds += notes["seconds"]
        part += 1
    out.resumed = len(out.answers)
    return part
