"""The three axes of distribution shift, each measured against the training structures.

features       unseen elements, composition distance, size
force norm     mean over atoms of the force norm, from reference labels or, without labels, from the prior
connectivity   spectrum of the normalised Laplacian of the radius graph
"""

import numpy as np
from scipy.spatial.distance import cdist

from mlipshift.spectra import (
    mean_spectrum,
    padded_distance,
    quantiles,
    spectra,
    wasserstein,
    window_fraction,
)

BLOCK = 256  # structures
# column of `measure` -> axis, and whether only larger values than in training are a shift
CRITERIA = {
    "unseen_element_fraction": ("features", "upper"),
    "composition_distance": ("features", "upper"),
    "n_atoms": ("features", "both"),
    "prior_force_norm_eV_per_A": ("force_norm", "both"),
    "window_fraction": ("connectivity", "both"),
    "spectrum_padded_distance": ("connectivity", "upper"),
    "spectrum_wasserstein": ("connectivity", "upper"),
    "spectrum_wasserstein_nearest": ("connectivity", "upper"),
}


def force_norm(labels):
    """Mean over atoms of the Euclidean force norm per structure [S] (eV/Å), NaN without labels."""
    norm = np.linalg.norm(labels.forces, axis=1)
    return np.add.reduceat(norm, labels.offsets[:-1]) / np.diff(labels.offsets)


def composition(frames, elements):
    """Element fractions [S, len(elements)] of every structure."""
    table = np.zeros((len(frames), len(elements)))
    for k in range(len(frames)):
        numbers = frames[k][0]
        table[k] = [(numbers == z).mean() for z in elements]
    return table


def measure(train, test, prior_train, prior_test, cutoff, variant):
    """Label-free shift measures of training and test structures.

    train, test: Frames; prior_*: Labels in the same order; cutoff in Å.
    Returns {column: (training values, test values)}. The composition distance is the Manhattan distance of
    element fractions to the nearest training structure. For a training structure the nearest is one of another
    molecule, or another geometry where there is one molecule alone.
    """
    elements = sorted({int(z) for f in (train, test) for z in f.numbers})
    seen = set(train.numbers.tolist())
    both = (train, test)
    fractions = [composition(f, elements) for f in both]
    unseen = np.array([z not in seen for z in elements], dtype=float)
    own = [[spectra(f[k][1], [cutoff], variant)[0] for k in range(len(f))] for f in both]
    mean = mean_spectrum(own[0])
    shape = [np.array([quantiles(v) for v in values]) for values in own]
    centre = shape[0].mean(0)
    names = train.molecule if len(set(train.molecule)) > 1 else train.ids
    nearest = lambda table: (_nearest(table[0], table[0], names, names), _nearest(table[1], table[0]))
    return {
        "unseen_element_fraction": tuple(c @ unseen for c in fractions),
        "composition_distance": nearest(fractions),
        "n_atoms": tuple(f.sizes.astype(float) for f in both),
        "prior_force_norm_eV_per_A": (force_norm(prior_train), force_norm(prior_test)),
        "window_fraction": tuple(np.array([window_fraction(v) for v in values]) for values in own),
        "spectrum_padded_distance": tuple(np.array([padded_distance(v, mean) for v in values]) for values in own),
        "spectrum_wasserstein": tuple(wasserstein(s, centre) for s in shape),
        # the 1-Wasserstein distance is the mean difference of quantiles
        "spectrum_wasserstein_nearest": tuple(d / shape[0].shape[1] for d in nearest(shape)),
    }


def _nearest(rows, known, names=None, known_names=None):
    """Manhattan distance [S] of every row [S, k] to the nearest known one [T, k] of another name; NaN if none is.

    In blocks of rows, so that memory grows with T alone.
    """
    out = np.full(len(rows), np.nan)
    for start in range(0, len(rows), BLOCK):
        block = slice(start, start + BLOCK)
        distance = cdist(rows[block], known, "cityblock")
        if names is not None:
            distance[names[block, None] == known_names[None, :]] = np.inf
        out[block] = distance.min(1)
    return np.where(np.isfinite(out), out, np.nan)


def outside(train_values, values, side, sigma):
    """Boolean [S]: more than `sigma` training standard deviations from the training mean.

    side: "upper" counts only larger values, "both" either direction.
    """
    deviation = values - np.nanmean(train_values)
    if side == "both":
        deviation = np.abs(deviation)
    return deviation > sigma * np.nanstd(train_values)
