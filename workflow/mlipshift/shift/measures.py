"""The three axes of distribution shift, each measured against the training structures.

features       unseen elements, composition distance, number of atoms
force norm     mean over atoms of the force norm, of whichever labels there are: those of the prior and predicted
               ones can be had for any structure, reference forces need the calculation that a model is to save
connectivity   spectrum of the normalised Laplacian of the radius graph: the fraction of eigenvalues in [0.9, 1.1]
               (first version of the paper), the zero-padded distance to the average training spectrum (second
               version) and to the nearest one, and the Wasserstein distance to both, which compares sizes rightly

The nearest training structure of any structure is the nearest one but itself: a test structure that is drawn as the
training structures were has the same distribution of distances as they have, and whether it is of a molecule that
occurs in training is part of how far it lies. Without the other geometries of its own molecule, a training structure
would be further from the rest than a new molecule is.

Structures come in blocks and memory does not grow with their number: a `Training` (training.py) keeps averages, and of
the single training structures a sample. Without training structures, number of atoms, force norms and the fraction of
eigenvalues are what can be measured.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.spatial.distance import cdist

from mlipshift.base.averages import mean_norm
from mlipshift.base.errors import UserError
from mlipshift.base.frames import Frames, Labels
from mlipshift.base.predictions import Predictions
from mlipshift.catalogue.criteria import CRITERIA
from mlipshift.shift.spectra import padded, padded_distance, window_fraction
from mlipshift.shift.training import Spectra, Training, composition, spectra_of

BLOCK = 256  # structures whose distances to the sample are in memory at a time
LABELS = ("prior", "predicted", "reference")
# columns of `measure`: all but what only a model's own representation tells
MEASURED = tuple(key for key, criterion in CRITERIA.items() if criterion.axis != "representation")
# those of them that need no training structures
UNTRAINED = ("n_atoms", *(f"{kind}_force_norm_eV_per_A" for kind in LABELS), "window_fraction")


def force_norm(labels: Labels) -> np.ndarray:
    """Mean over atoms of the force norm of Labels [S] (eV/Å), NaN without labels."""
    return mean_norm(labels.forces, labels.offsets)


def measure(
    how: Spectra,
    training: Training | None,
    frames: Frames,
    norms: dict[str, np.ndarray] | None = None,
    own: bool = False,
) -> dict[str, np.ndarray]:
    """Shift measures {column: [S]} of Frames, and without training structures those that need none.

    norms: {kind of LABELS: force_norm [S] eV/Å} of whichever labels there are. The composition distance is the
    Manhattan distance of element fractions to the nearest structure of the training sample. own: `frames` are training
    structures, none of which is the nearest one of itself; NaN if there is no other.
    """
    values = spectra_of(frames, how)
    measures = {
        "n_atoms": frames.sizes.astype(float),
        **{f"{kind}_force_norm_eV_per_A": found for kind, found in (norms or {}).items()},
        "window_fraction": window_fraction(values),
    }
    if training is not None:
        skipped = np.array([training.place.get(name, -1) if own else -1 for name in frames.ids], dtype=np.intp)
        measures |= _distances(training, frames, values, skipped)
    return {name: measures[name] for name in MEASURED if name in measures}


def _distances(training, frames, values, skipped):
    """Measures of frames and their spectra that are distances from training structures; skipped as in `nearest`."""
    fractions = composition(frames)
    # elements that do not occur in training are as good as one
    merged = lambda table: np.c_[table[:, training.seen], table[:, ~training.seen].sum(1)]
    known, _ = padded(training.known, max(map(len, values)))
    return {
        "unseen_element_fraction": fractions[:, ~training.seen].sum(1),
        "composition_distance": nearest(merged(fractions), merged(training.fractions), skipped, "cityblock"),
        "spectrum_padded_distance": padded_distance(values, training.mean),
        "spectrum_padded_nearest": nearest(padded(values, known.shape[1])[0], known, skipped, "sqeuclidean"),
        "spectrum_wasserstein": training.centre.distance(values),
        "spectrum_wasserstein_nearest": training.spectra.nearest(values, skipped),
    }


def nearest(rows: np.ndarray, known: np.ndarray, skipped: np.ndarray, metric: str = "euclidean") -> np.ndarray:
    """Distance [S] of every row [S, k] to the nearest known one [T, k], NaN if there is none.

    skipped [S]: number of the known one that does not count, the structure itself; -1 for none. metric: of scipy's
    cdist. In blocks of rows, so that memory grows with T alone.
    """
    out = np.full(len(rows), np.nan)
    for start in range(0, len(rows), BLOCK):
        block = slice(start, start + BLOCK)
        distance = cdist(rows[block], known, metric)
        own = np.flatnonzero(skipped[block] >= 0)
        distance[own, skipped[block][own]] = np.inf
        distance[~np.isfinite(distance)] = np.inf
        out[block] = distance.min(axis=1, initial=np.inf)
    return np.where(np.isfinite(out), out, np.nan)


def _norms(kind, path):
    """Yield (id, mean force norm) of every structure of a store of labels, or of predictions, at the last step."""
    if kind == "predicted":
        found = Predictions.load(path)
        blocks = [Labels(found.ids, found.offsets, found.energy[-1], found.forces[-1], found.ok)]
    else:
        blocks = Labels.blocks(path)
    for labels in blocks:
        yield from zip(labels.ids, force_norm(labels))


def _those_of(ids, stream, path):
    """Norms of `ids` out of a stream that has them in this order, and may have others in between."""
    found = []
    for name in ids:
        norm = next((norm for other, norm in stream if other == name), None)
        if norm is None:
            raise UserError(f"{path}: no label of structure {name} in its place; run the rule that makes it again")
        found.append(norm)
    return np.array(found)


def of_store(
    path: Path, labels: dict[str, Path], how: Spectra, training: Training | None, own: bool
) -> Iterator[tuple[Frames, dict[str, np.ndarray]]]:
    """Yield (Frames, `measure` of them) of the blocks of a store.

    labels: {kind of LABELS: store of labels, of predictions for "predicted"}, in the order of the frames and perhaps
    of others in between. Raises UserError if a structure has no label in its place.
    """
    streams = {kind: _norms(kind, store) for kind, store in labels.items()}
    for frames in Frames.blocks(path):
        norms = {kind: _those_of(frames.ids, stream, labels[kind]) for kind, stream in streams.items()}
        yield frames, measure(how, training, frames, norms, own)
