"""Radius refinement (RR): spectral rewiring of the test graph (Kreiman & Krishnapriyan 2026, section 3.1).

For every test structure, pick the candidate radius whose radius graph has the Laplacian spectrum nearest
to the average training spectrum, and run the unchanged model on the neighbour list of that radius. As
in the released code only the neighbour list changes: the envelope of the model keeps the trained cutoff,
so radii above it change nothing and radii below it cut edges abruptly.
"""

from dataclasses import dataclass

import numpy as np

from mlipshift.errors import UserError
from mlipshift.spectra import mean_spectrum, padded_distance, spectra


@dataclass(frozen=True)
class Choice:
    """RR of S structures with k radii.

    published, fallback [S] Å: chosen radius as published, and with the guaranteed fallback;
    distance [S, k]; at_trained [S]: distance at the trained cutoff; reason [S]: why the fallback kept the
    trained cutoff, "" where it refined.
    """

    radii: np.ndarray
    published: np.ndarray
    fallback: np.ndarray
    distance: np.ndarray
    at_trained: np.ndarray
    reason: list


def choose(train, test, trained_cutoff, radii, variant="published", sigma=1.0):
    """Choice for all structures of `test` (Frames) against `train` (Frames).

    The average training spectrum is taken at the trained cutoff. The fallback keeps the trained cutoff
    unless all of these hold: the structure is not larger than the largest training structure (zero padding
    compares sizes wrongly), its distance at the trained cutoff exceeds the training mean by more than
    `sigma` standard deviations (it is out of distribution), and the chosen radius is below the trained
    cutoff (above it the model does not change). Raises UserError for radii that are not positive.
    """
    radii = np.asarray(radii, dtype=float)
    if len(radii) == 0 or (radii <= 0).any():
        raise UserError(f"refine.radii_A is {radii.tolist()}; give one or more positive radii in Å")
    known = [spectra(train[k][1], [trained_cutoff], variant)[0] for k in range(len(train))]
    reference = mean_spectrum(known)
    usual = np.array([padded_distance(v, reference) for v in known])
    limit = usual.mean() + sigma * usual.std()
    largest = train.sizes.max()
    distance = np.empty((len(test), len(radii)))
    at_trained = np.empty(len(test))
    for k in range(len(test)):
        *rows, own = spectra(test[k][1], [*radii, trained_cutoff], variant)
        distance[k] = [padded_distance(v, reference) for v in rows]
        at_trained[k] = padded_distance(own, reference)
    published = radii[distance.argmin(1)]
    reason = []
    for size, own, radius in zip(test.sizes, at_trained, published):
        if size > largest:
            reason.append("larger than the largest training structure")
        elif own <= limit:
            reason.append("in distribution at the trained cutoff")
        elif radius >= trained_cutoff:
            reason.append("chosen radius is not below the trained cutoff")
        else:
            reason.append("")
    fallback = np.where([r == "" for r in reason], published, trained_cutoff)
    return Choice(radii, published, fallback, distance, at_trained, reason)
