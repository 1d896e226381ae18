"""Structures through a model: answers are checked, failures have a reason, what is done is kept.

A family that answers for many structures at once gets them in blocks of similar sizes, the same ones however often the
job was killed; what makes a block fail is found by asking for its structures one by one.
"""

import hashlib
import json
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from mlipshift.base.checkpoints import Checkpoints
from mlipshift.base.errors import UserError, shortened
from mlipshift.base.files import disk_is_full
from mlipshift.base.frames import Frames
from mlipshift.base.log import log, progress
from mlipshift.base.timing import CPU
from mlipshift.external.answer import Answer
from mlipshift.external.kept import Kept
from mlipshift.external.structure import Structure

Call = Callable[[Structure], Answer]
BLOCK = 512  # atoms that a model gets at once, if it takes many structures, and does not say how many itself
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
    """Answer of a model for a structure, checked.

    Raises ValueError for what cannot be an answer, and whatever the model raises.
    """
    return checked(model(structure), len(structure.numbers))


def checked(found: Any, n: int) -> Answer:
    """What a model has said of n atoms, as an Answer of plain numbers; ValueError for what cannot be one."""
    found = Answer.taken(found)
    total, forces = np.asarray(found.energy, dtype=float), np.array(found.forces, dtype=float)
    if total.size != 1:
        raise ValueError(f"its energy has the shape {total.shape}, not that of one number")
    if forces.shape != (n, 3):
        raise ValueError(f"its forces have the shape {forces.shape}, not ({n}, 3)")
    if np.isinf(total).any() or not np.isfinite(forces).all():
        raise ValueError("energy or forces are not finite")
    vector = None if found.embedding is None else np.asarray(found.embedding, dtype=float).ravel()
    features = None if found.features is None else np.asarray(found.features)
    spread = None if found.spread is None else np.asarray(found.spread, dtype=float)
    for what, rows in (("features", features), ("spread", spread)):
        if rows is not None and (len(rows) != n or rows.ndim != (2 if what == "features" else 1)):
            raise ValueError(f"its {what} have the shape {rows.shape}, for {n} atoms")
    return Answer(float(total.ravel()[0]), forces, vector, features, spread)


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


def predict(
    model: Call, frames: Frames, skip: set[str], kept: Checkpoints, name: str, features: bool = False
) -> Answers:
    """Answers of a model for all structures but those whose ids are in `skip`.

    kept: where answers are kept while the job runs, and taken from when it starts again; a failure is tried again.
    features: whether the features of the atoms stay, in single precision. Any exception of the model is a reason, but
    for a full disk, a UserError, and a lack of memory, which is one, too.
    """
    answers = _Kept(frames, kept, features)
    out = Answers(answers.rows)
    asked = [k for k in range(len(frames)) if frames.ids[k] not in skip]
    blocks = blocks_of(asked, frames.sizes, getattr(model, "block", BLOCK) if hasattr(model, "many") else 0)
    try:
        for k in progress((k for block in blocks for k in _answered(model, frames, block, answers)), len(asked), name):
            if k in out.answers:
                continue
            try:
                answers.add((k, ask(model, Structure.of(frames, k))))
            except Exception as error:
                _end_if_of_all(error, name, frames, k)
                log.info("%s", frames.ids[k], exc_info=True)
                out.reasons[k] = f"{type(error).__name__}: {shortened(error)}"
    except UserError:
        answers.flush()
        raise
    answers.flush()
    out.seconds, out.measured, out.resumed = answers.seconds, answers.measured, answers.resumed
    return out


def blocks_of(numbers: Sequence[int], sizes: np.ndarray, atoms: int) -> list[list[int]]:
    """Structures in blocks, each of its smallest ones that are left, so that the largest times their number is at most
    `atoms`; a larger one is alone. In order and one by one for atoms = 0.
    """
    if not atoms:
        return [[k] for k in numbers]
    out: list[list[int]] = []
    for k in sorted(numbers, key=lambda k: (sizes[k], k)):
        if not out or sizes[k] * (len(out[-1]) + 1) > atoms:
            out.append([])
        out[-1].append(k)
    return out


def _answered(model: Any, frames: Frames, block: list[int], answers: "_Kept") -> Iterator[int]:
    """The numbers of a block, once it is answered as far as it can be at once: what is left is asked for alone.

    Only a whole block is, so that a job which starts again gets the very same answers.
    """
    if len(block) > 1 and not any(k in answers.rows for k in block):
        structures = [Structure.of(frames, k) for k in block]
        try:
            found = [_or_none(one, s) for one, s in zip(model.many(structures), structures, strict=True)]
        except UserError:
            raise
        except Exception:
            log.info("%d structures from %s at once", len(block), frames.ids[block[0]], exc_info=True)
            found = []
        answers.add(*((k, one) for k, one in zip(block, found) if one is not None))
    yield from block


def _or_none(found, structure):
    """An answer, None if it cannot be one."""
    try:
        return checked(found, len(structure.numbers))
    except ValueError:
        return None


def _end_if_of_all(error, name, frames, k):
    """Raise what is no failure of one structure."""
    if isinstance(error, UserError) or disk_is_full(error):
        raise error
    if isinstance(error, MemoryError) or any(text in str(error).lower() for text in NO_MEMORY):
        raise UserError(
            f"{name}: no memory for {frames.ids[k]}, {frames.sizes[k]} atoms ({shortened(error)}); give the job more, "
            "or leave the structure out; what is predicted so far is kept"
        ) from error


# optional parts of an answer: whether it is of the atoms, and what it is kept as
OPTIONAL = {"embedding": (False, float), "features": (True, np.float32), "spread": (True, float)}


class _Kept(Kept):
    """Answers; with `features`, those of the atoms, too, in single precision."""

    def __init__(self, frames: Frames, kept: Checkpoints, features: bool) -> None:
        super().__init__(frames, kept)
        self.features = features

    def add(self, *rows: tuple[int, Answer]) -> None:
        super().add(*((k, answer._replace(features=self._stay(answer.features))) for k, answer in rows))

    def _stay(self, features):
        return features.astype(np.float32) if self.features and features is not None else None

    def to_arrays(self, rows: list[Answer]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Of what is optional, the answers that have it, one behind the other."""
        forces = np.concatenate([row.forces for row in rows])
        arrays = {"energy": np.array([row.energy for row in rows]), "forces": forces}
        for name, (of_atoms, dtype) in OPTIONAL.items():
            values = [getattr(row, name) for row in rows]
            there = [value if of_atoms else value[None] for value in values if value is not None]
            arrays[name] = np.concatenate(there).astype(dtype) if there else np.empty(0, dtype)
            arrays[f"has_{name}"] = np.array([value is not None for value in values])
        return arrays, {}

    def from_arrays(self, arrays: dict[str, np.ndarray], notes: dict[str, Any], sizes: np.ndarray) -> Iterator[Answer]:
        parts: dict[str, list[Any]] = {"forces": np.split(arrays["forces"], np.cumsum(sizes)[:-1])}
        for name, (of_atoms, _) in OPTIONAL.items():
            has = arrays[f"has_{name}"]
            each = iter(np.split(arrays[name], np.cumsum(sizes[has])[:-1]) if of_atoms else arrays[name])
            parts[name] = [next(each) if there else None for there in has]
        for row, energy in enumerate(arrays["energy"]):
            yield Answer(float(energy), **{name: column[row] for name, column in parts.items()})
