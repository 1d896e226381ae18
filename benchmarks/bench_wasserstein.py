"""Exact 1-Wasserstein distances of spectra to the nearest of 2,000 and to the average, against SciPy pair by pair.

One core; spectra of 6 to 12, 20 to 40 and 50 to 100 eigenvalues. Both ways must agree to 1e-12. SciPy is timed on a
part of the pairs, since all of them take minutes.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
from common import best_of_both, line
from scipy.stats import wasserstein_distance

from mlipshift.shift.wasserstein import Known

KNOWN, ASKED, PART = 2000, 500, 2  # spectra, of the latter so many for SciPy


def main():
    rng = np.random.default_rng(0)
    for most in (12, 40, 100):
        draw = lambda n, most=most: [np.sort(rng.normal(1, 0.2, rng.integers(most // 2, most + 1))) for _ in range(n)]
        compare(most, draw(KNOWN), draw(ASKED))


def compare(most, known, asked):
    """Check that both ways agree and print their times for a spectrum."""
    none = np.full(len(asked), -1)
    pairwise = lambda: [min(wasserstein_distance(own, other) for other in known) for own in asked[:PART]]
    found = Known.of(known).nearest(asked, none)
    if np.abs(found[:PART] - pairwise()).max() > 1e-12:
        raise SystemExit(f"{most} eigenvalues: distances differ")
    fast, slow = best_of_both(lambda: Known.of(known).nearest(asked, none), pairwise, rounds=3)
    fast, slow = 1e3 * fast / len(asked), 1e3 * slow / PART
    name = f"nearest of {KNOWN} spectra, {most // 2}-{most}"
    line(name, f"{fast:.3f} ms", f"{slow:.0f} ms", slow / fast)


if __name__ == "__main__":
    main()
