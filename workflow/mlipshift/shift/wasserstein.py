"""1-Wasserstein distances of spectra: exact, whatever the numbers of eigenvalues.

A spectrum of n eigenvalues is the distribution with the mass 1/n on each of them. Its quantile function is a staircase:
the k-th smallest eigenvalue between (k - 1)/n and k/n. The distance of two distributions on a line is the area between
their quantile functions (Villani, Topics in Optimal Transportation, 2003, theorem 2.18): the least mean shift of
eigenvalues that turns one into the other. It compares distributions, not eigenvalue by eigenvalue, so that structures
of different size can be compared: many copies of one molecule, far apart, have the distance 0 from it. It is a metric
in the unit of the eigenvalues, needs neither bins nor a bandwidth, and grows with how far eigenvalues are shifted,
which the overlap of two histograms does not.

A spectrum without eigenvalues counts as a single 0, which is what an isolated atom has in the robust variant.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from mlipshift.shift.eigenvalues import compiled

PARTS = 16  # of equal mass, whose means bound a distance from below


def flat(many: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """(values of S spectra one behind the other, ends [S] of each); an empty one is a single 0."""
    filled = [values if len(values) else np.zeros(1) for values in many]
    return np.concatenate([np.empty(0), *filled]), np.cumsum([len(values) for values in filled], dtype=np.intp)


@compiled
def _area(first, second, limit):
    """Area between the quantile functions of two ascending spectra; some number above `limit` if it is larger."""
    n, m = len(first), len(second)
    i, j, place, total = 0, 0, 0, 0.0
    limit *= n * m
    while i < n and total <= limit:
        # steps end at multiples of m and of n, in units of 1 / (n m)
        one, other = (i + 1) * m, (j + 1) * n
        step = min(one, other)
        total += (step - place) * abs(first[i] - second[j])
        i += one == step
        j += other == step
        place = step
    return total / (n * m)


@compiled
def _parts(values, ends, parts):
    """Set the integrals [S, PARTS] of the quantile functions over parts of equal mass."""
    start = 0
    for s in range(len(ends)):
        n = ends[s] - start
        for p in range(PARTS):
            parts[s, p] = 0.0
        # in units of 1 / (n PARTS)
        for k in range(n):
            place, end = k * PARTS, (k + 1) * PARTS
            while place < end:
                p = place // n
                step = min(end, (p + 1) * n)
                parts[s, p] += values[start + k] * (step - place) / (n * PARTS)
                place = step
        start = ends[s]


@compiled
def _nearest(values, ends, parts, known, known_ends, known_parts, skipped, out):
    """Set the distance [S] of every spectrum to the nearest known one but that of number `skipped` [S]."""
    bounds = np.empty(len(known_ends))
    start = 0
    for s in range(len(ends)):
        own, first = values[start : ends[s]], -1
        start = ends[s]
        for t in range(len(known_ends)):
            bounds[t] = np.inf
            if t != skipped[s]:
                bounds[t] = 0.0
                for p in range(PARTS):
                    bounds[t] += abs(parts[s, p] - known_parts[t, p])
                if first < 0 or bounds[t] < bounds[first]:
                    first = t
        best = np.inf
        for k in range(-1, len(known_ends)):
            # the most promising one goes first, so that most others need no look
            t = first if k < 0 else k
            if t < 0 or bounds[t] >= best:
                continue
            begin = known_ends[t - 1] if t else 0
            best = min(best, _area(own, known[begin : known_ends[t]], best))
        out[s] = best


@compiled
def _to_staircase(values, ends, steps, levels, integral, out):
    """Set the area [S] between every quantile function and one that has `levels` up to `steps` [M].

    integral [M + 1] of the latter up to every step. An eigenvalue stands for a piece of equal mass, on which the
    staircase is below it up to one place and above it from there on.
    """
    start = 0
    for s in range(len(ends)):
        n, total, place, before = ends[s] - start, 0.0, 0.0, 0.0
        for k in range(n):
            value, end = values[start + k], (k + 1) / n
            until = _integral(end, steps, levels, integral)
            above = np.searchsorted(levels, value)
            turn = min(max(steps[above - 1] if above else 0.0, place), end)
            middle = _integral(turn, steps, levels, integral)
            total += value * (turn - place) - (middle - before) + (until - middle) - value * (end - turn)
            place, before = end, until
        out[s] = max(total, 0.0)
        start = ends[s]


@compiled
def _integral(place, steps, levels, integral):
    """Integral of a staircase from 0 to `place`."""
    k = min(np.searchsorted(steps, place), len(steps) - 1)
    return integral[k] + levels[k] * (place - (steps[k - 1] if k else 0.0))


def distance(first: np.ndarray, second: np.ndarray) -> float:
    """1-Wasserstein distance of two ascending spectra [n], [m]."""
    return float(_area(*(flat([values])[0] for values in (first, second)), np.inf))


@dataclass(frozen=True)
class Known:
    """Spectra among which the nearest one is looked for: values, ends as from `flat`; parts [T, PARTS]."""

    values: np.ndarray
    ends: np.ndarray
    parts: np.ndarray

    @classmethod
    def of(cls, many: Sequence[np.ndarray]) -> Self:
        """Known of T ascending spectra."""
        values, ends = flat(many)
        parts = np.empty((len(ends), PARTS))
        _parts(values, ends, parts)
        return cls(values, ends, parts)

    def nearest(self, many: Sequence[np.ndarray], skipped: np.ndarray) -> np.ndarray:
        """Distance [S] of ascending spectra to the nearest known one, NaN if there is none.

        skipped [S]: number of the known one that does not count, -1 for none. The means over parts of equal mass differ
        by no more than the distance, so that most known spectra need no further look.
        """
        own, out = type(self).of(many), np.empty(len(many))
        pieces = ((k.values, k.ends, k.parts) for k in (own, self))
        _nearest(*next(pieces), *next(pieces), np.asarray(skipped, dtype=np.intp), out)
        return np.where(np.isfinite(out), out, np.nan)


@dataclass(frozen=True)
class Centre:
    """The average of many spectra, the mean of their quantile functions: a staircase with `levels` up to `steps` [M].

    Of all distributions it has the least mean squared 2-Wasserstein distance from them (Agueh and Carlier, SIAM J.
    Math. Anal. 2011, 43, 904).
    """

    steps: np.ndarray
    levels: np.ndarray

    def distance(self, many: Sequence[np.ndarray]) -> np.ndarray:
        """1-Wasserstein distance [S] of ascending spectra from it."""
        values, ends = flat(many)
        integral = np.concatenate([[0.0], np.cumsum(self.levels * np.diff(self.steps, prepend=0.0))])
        out = np.empty(len(ends))
        _to_staircase(values, ends, self.steps, self.levels, integral, out)
        return out


class Mean:
    """The mean of quantile functions that come in blocks: memory grows with the numbers of eigenvalues that occur."""

    def __init__(self) -> None:
        self.count = 0
        self.sums: dict[int, np.ndarray] = {}

    def add(self, many: Sequence[np.ndarray]) -> None:
        """Take in a block of ascending spectra."""
        for values in many:
            values = values if len(values) else np.zeros(1)
            if len(values) in self.sums:
                self.sums[len(values)] += values
            else:
                self.sums[len(values)] = values.copy()
        self.count += len(many)

    def centre(self) -> Centre:
        """The mean of all so far, of one spectrum at least."""
        stairs = {n: np.arange(1, n + 1) / n for n in self.sums}
        steps = np.unique(np.concatenate([*stairs.values()]))
        levels = np.zeros(len(steps))
        for n, total in self.sums.items():
            levels += total[np.searchsorted(stairs[n], steps)]
        return Centre(steps, np.maximum.accumulate(levels / self.count))
