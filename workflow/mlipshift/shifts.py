"""The three axes of distribution shift, each measured against the training structures.

features       unseen elements, composition distance, size
force norm     mean over atoms of the force norm, from reference labels or, without labels, from the prior
connectivity   spectrum of the normalised Laplacian of the radius graph
"""

import numpy as np

from mlipshift.spectra import (
    mean_spectrum,
    padded_distance,
    quantiles,
    spectra,
    wasserstein,
    window_fraction,
)

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
    element fractions to the nearest training structure (for a training structure: of another molecule).
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
    other = lambda f: f.molecule[:, None] != train.molecule[None, :]
    nearest = lambda table, mask: np.where(mask, table, np.inf).min(1)
    return {
        "unseen_element_fraction": tuple(c @ unseen for c in fractions),
        "composition_distance": tuple(
            nearest(np.abs(c[:, None] - fractions[0][None]).sum(-1), other(f) if f is train else True)
            for c, f in zip(fractions, both)
        ),
        "n_atoms": tuple(f.sizes.astype(float) for f in both),
        "prior_force_norm_eV_per_A": (force_norm(prior_train), force_norm(prior_test)),
        "window_fraction": tuple(np.array([window_fraction(v) for v in values]) for values in own),
        "spectrum_padded_distance": tuple(np.array([padded_distance(v, mean) for v in values]) for values in own),
        "spectrum_wasserstein": tuple(wasserstein(s, centre) for s in shape),
        "spectrum_wasserstein_nearest": tuple(
            nearest(wasserstein(s[:, None], shape[0][None]), other(f) if f is train else True)
            for s, f in zip(shape, both)
        ),
    }


def outside(train_values, values, side, sigma):
    """Boolean [S]: more than `sigma` training standard deviations from the training mean.

    side: "upper" counts only larger values, "both" either direction.
    """
    deviation = values - np.nanmean(train_values)
    if side == "both":
        deviation = np.abs(deviation)
    return deviation > sigma * np.nanstd(train_values)
