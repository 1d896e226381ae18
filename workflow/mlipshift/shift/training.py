"""What the measures of shift know of the training structures: averages of all, a sample of the single ones, a file.

The file is all that a run needs that has no training structures of its own: statistics of a public training set can be
handed on where the structures cannot, or where there are too many.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np

from mlipshift.base import store
from mlipshift.base.errors import UserError
from mlipshift.base.frames import ELEMENTS, Frames
from mlipshift.shift import periodic
from mlipshift.shift.spectra import CAP, mean_spectrum, spectra_of_many
from mlipshift.shift.wasserstein import Centre, Known, Mean, flat

FORMAT = "mlipshift-training-1"
CONTENT = ("sizes", "numbers", "positions", "cell")  # of the structures, in the checksum


@dataclass(frozen=True)
class Spectra:
    """How graphs and spectra are made: cutoff Å, variant "published" or "robust"."""

    cutoff: float
    variant: str


def composition(frames: Frames) -> np.ndarray:
    """Element fractions [S, ELEMENTS] of every structure."""
    owner = np.repeat(np.arange(len(frames)), frames.sizes)
    counts = np.bincount(owner * ELEMENTS + frames.numbers, minlength=len(frames) * ELEMENTS)
    return counts.reshape(len(frames), ELEMENTS) / frames.sizes[:, None]


def spectra_of(frames: Frames, how: Spectra) -> list[np.ndarray]:
    """Spectra of S structures, molecules and periodic ones."""
    crystals = np.asarray(frames.pbc.any(axis=1))
    molecules = iter(spectra_of_many([frames[k][1] for k in np.flatnonzero(~crystals)], [how.cutoff], how.variant))
    crystal = lambda k: periodic.spectrum(frames[k][1], frames.cell[k], frames.pbc[k], how.cutoff, how.variant, CAP)
    return [crystal(k) if crystals[k] else next(molecules)[0] for k in range(len(frames))]


@dataclass(frozen=True)
class Training:
    """What is known of the training structures.

    how their spectra are made; number of them and checksum (SHA-256) of their CONTENT; seen [ELEMENTS]
    whether an element occurs; mean [L] average zero-padded spectrum; centre: average distribution of eigenvalues. Of T
    sampled structures: place of an id among them; fractions [T, ELEMENTS]; known: list of spectra; spectra: the same
    for Wasserstein distances.
    """

    how: Spectra
    number: int
    checksum: str
    seen: np.ndarray
    mean: np.ndarray
    centre: Centre
    place: dict[str, int] = field(repr=False)
    fractions: np.ndarray
    known: list[np.ndarray]
    spectra: Known

    @classmethod
    def of(cls, blocks: Iterable[Frames], how: Spectra, sample: int, seed: int = 0) -> Self | None:
        """Training of an iterable of Frames; `sample` structures at most, drawn with `seed`, stand for the single ones.

        All of them do where there are no more than that. None without a structure.
        """
        rng, sums = np.random.default_rng(seed), [hashlib.sha256() for _ in CONTENT]
        seen, count, centre = np.zeros(ELEMENTS, dtype=bool), 0, Mean()
        total, chosen = np.empty(0), []
        for frames in blocks:
            own = spectra_of(frames, how)
            for content, name in zip(sums, CONTENT):
                content.update(np.ascontiguousarray(getattr(frames, name)).data)
            seen |= np.bincount(frames.numbers, minlength=ELEMENTS) > 0
            here = mean_spectrum(own) * len(own)
            length = max(len(total), len(here))
            total = np.pad(total, (0, length - len(total))) + np.pad(here, (0, length - len(here)))
            centre.add(own)
            # the smallest of as many random numbers as there are structures, in the order of the structures
            items = zip(rng.random(len(frames)), range(count, count + len(frames)), range(len(frames)))
            fractions = composition(frames)
            # copies, since a row would keep its whole block alive
            chosen += [(r, n, frames.ids[k], fractions[k].copy(), own[k]) for r, n, k in items]
            if len(chosen) > sample:
                chosen = sorted(chosen, key=lambda item: item[0])[:sample]
            count += len(frames)
        if not count:
            return None
        chosen.sort(key=lambda item: item[1])
        known = [item[4] for item in chosen]
        return cls(
            how,
            count,
            hashlib.sha256(b"".join(content.digest() for content in sums)).hexdigest(),
            seen,
            total / count,
            centre.centre(),
            {item[2]: k for k, item in enumerate(chosen)},
            np.array([item[3] for item in chosen]),
            known,
            Known.of(known),
        )


@dataclass(frozen=True)
class Statistics:
    """A Training as it is handed on; name: of the data; measured: {measure: values [T] of the sampled structures}."""

    name: str
    training: Training
    measured: Mapping[str, np.ndarray]

    def save(self, path: Path | str) -> None:
        """Write to HDF5; equal statistics give equal bytes."""
        one = self.training
        with store.created(path, FORMAT, name=self.name, number=one.number, checksum=one.checksum) as (handle, _):
            handle.attrs.update({"cutoff_A": one.how.cutoff, "variant": one.how.variant})
            for name, values in {"seen": one.seen, "mean": one.mean, "fractions": one.fractions}.items():
                store.put(handle, name, values)
            store.put(handle, "ids", np.array(list(one.place), dtype=object))
            store.put(handle, "centre_steps", one.centre.steps)
            store.put(handle, "centre_levels", one.centre.levels)
            store.put(handle, "sizes", np.array([len(values) for values in one.known]))
            store.put(handle, "eigenvalues", flat([v for v in one.known if len(v)])[0])
            store.put(handle, "measures", np.array(list(self.measured), dtype=object))
            store.put(handle, "values", np.array(list(self.measured.values())))

    @classmethod
    def load(cls, path: Path | str, how: Spectra) -> Self:
        """Read. Raises UserError for another kind of file, and for spectra that were made otherwise than `how`."""
        if not Path(path).exists():
            raise UserError(f"{path}: no such file; correct data.training_statistics or put the file there")
        with store.opened(path, FORMAT) as handle:
            about = dict(handle.attrs)
            get = {name: store.get(handle, name) for name in handle}
        made = Spectra(float(about["cutoff_A"]), str(about["variant"]))
        if made != how:
            raise UserError(
                f"{path}: its spectra are {made.variant} at {made.cutoff:g} Å, those of this run {how.variant} at"
                f" {how.cutoff:g} Å; set spectra.variant and spectra.cutoff_A as they are there"
            )
        known = np.split(get["eigenvalues"], np.cumsum(get["sizes"])[:-1])
        training = Training(
            how,
            int(about["number"]),
            str(about["checksum"]),
            get["seen"],
            get["mean"],
            Centre(get["centre_steps"], get["centre_levels"]),
            {name: k for k, name in enumerate(get["ids"])},
            get["fractions"],
            known,
            Known.of(known),
        )
        return cls(str(about["name"]), training, dict(zip(get["measures"], get["values"])))


def about(path: Path | str) -> str:
    """A sentence on the training data that a file of statistics stands for."""
    with store.opened(path, FORMAT) as handle:
        known, sample = dict(handle.attrs), len(handle["ids"])
    return (
        f"Training data are known by their statistics alone: {known['number']} structures of {known['name']}"
        f" (SHA-256 {str(known['checksum'])[:12]}…), {sample} of which stand for the single ones."
    )
