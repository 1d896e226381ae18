"""Radius refinement (RR): spectral rewiring of the test graph (Kreiman & Krishnapriyan 2026, section 3.1).

For every test structure, pick the candidate radius whose radius graph has the Laplacian spectrum nearest
to the average training spectrum, and run the unchanged model on the neighbour list of that radius. As
in the released code only the neighbour list changes: the envelope of the model keeps the trained cutoff,
so radii above it change nothing and radii below it cut edges abruptly.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mlipshift.base.errors import UserError
from mlipshift.base.frames import Frames
from mlipshift.base.rounding import rounding
from mlipshift.shift.distribution import beyond
from mlipshift.shift.spectra import mean_spectrum, padded_distance, spectra_of_many


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
    reason: list[str]


def choose(
    train: Frames,
    test: Frames,
    trained_cutoff: float,
    radii: Sequence[float],
    variant: str = "published",
    sigma: float = 1.0,
) -> Choice:
    """Choice for all structures of `test` against `train`; trained_cutoff and candidate radii in Å.

    The average training spectrum is taken at the trained cutoff. The fallback keeps the trained cutoff
    unless all of these hold: the structure is not larger than the largest training structure (zero padding
    compares sizes wrongly), its distance at the trained cutoff exceeds the training mean by more than
    `sigma` standard deviations (it is out of distribution), and the chosen radius is below the trained
    cutoff (above it the model does not change). Raises UserError for radii that are not positive.
    """
    radii = np.asarray(radii, dtype=float)
    if len(radii) == 0 or (radii <= 0).any():
        raise UserError(f"refine.radii_A is {radii.tolist()}; give one or more positive radii in Å")
    positions = [[frames[k][1] for k in range(len(frames))] for frames in (train, test)]
    known = [spectrum for (spectrum,) in spectra_of_many(positions[0], [trained_cutoff], variant)]
    reference = mean_spectrum(known)
    usual = padded_distance(known, reference)
    largest = train.sizes.max()
    found = spectra_of_many(positions[1], [*radii, trained_cutoff], variant)
    distance = np.array([padded_distance(values, reference) for values in found]).reshape(len(test), -1)
    distance, at_trained = distance[:, :-1], distance[:, -1]
    least = distance.min(1, keepdims=True)
    published = radii[(distance <= least + rounding(least)).argmax(1)]  # the first of equal ones
    away = beyond(at_trained, usual.mean(), usual.std(), "upper", sigma)
    reason = []
    for size, shifted, radius in zip(test.sizes, away, published):
        if size > largest:
            reason.append("larger than the largest training structure")
        elif not shifted:
            reason.append("in distribution at the trained cutoff")
        elif radius >= trained_cutoff:
            reason.append("chosen radius is not below the trained cutoff")
        else:
            reason.append("")
    fallback = np.where([r == "" for r in reason], published, trained_cutoff)
    return Choice(radii, published, fallback, distance, at_trained, reason)
