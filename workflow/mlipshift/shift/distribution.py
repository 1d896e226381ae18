"""What lies outside the training distribution, one structure and whole groups: standard deviations of a measure.

Values come in blocks and memory does not grow with their number: tallies of every group stay, values go to disk.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np

from mlipshift.base.rounding import rounding
from mlipshift.catalogue.criteria import CRITERIA

SWEEP = (0.5, 1.0, 2.0)  # standard deviations of the sweep
ROWS = 4096  # structures that are read from disk at a time
SUMMARY = ["axis", "criterion", "group", "n_structures", "mean"]
SUMMARY += ["training_mean", "training_standard_deviation", "fraction_outside"]
SWEPT = ["group", "criterion", "sigma", "fraction_outside"]


def spread(mean: float, deviation: float) -> float:
    """The standard deviation, zero where it is of the size of rounding: values that are all equal have none."""
    return 0.0 if deviation <= rounding(mean) else deviation


def beyond(values: np.ndarray, mean: float, deviation: float, side: str, sigma: float) -> np.ndarray:
    """Boolean [S]: more than `sigma` times `deviation` from `mean`, by more than rounding; NaN is not.

    side: "upper" counts only larger values, "both" either direction. Without a spread whatever is another value is
    outside.
    """
    distance = values - mean
    if side == "both":
        distance = np.abs(distance)
    return distance > sigma * spread(mean, deviation) + rounding(np.maximum(np.abs(values), abs(mean)))


def outside(train_values: np.ndarray, values: np.ndarray, side: str, sigma: float) -> np.ndarray:
    """Boolean [S]: more than `sigma` training standard deviations from the training mean; see `beyond`."""
    return beyond(values, np.nanmean(train_values), np.nanstd(train_values), side, sigma)


@dataclass
class Tally:
    """Number, mean and variance of finite numbers that come in blocks.

    n; mean; squares: sum of squared deviations from the mean.
    """

    n: int = 0
    mean: float = np.nan
    squares: float = np.nan

    def add(self, values: np.ndarray) -> None:
        """Take in a block [S]; NaN does not count. Chan, Golub and LeVeque 1983."""
        values = values[np.isfinite(values)]
        if not len(values):
            return
        mean, squares = values.mean(), np.square(values - values.mean()).sum()
        if not self.n:
            self.n, self.mean, self.squares = len(values), mean, squares
            return
        n, step = self.n + len(values), mean - self.mean
        self.squares += squares + step**2 * self.n * len(values) / n
        self.mean += step * len(values) / n
        self.n = n

    @property
    def deviation(self) -> float:
        """Standard deviation, of the whole and not of a sample; see `spread`."""
        return spread(self.mean, float(np.sqrt(self.squares / self.n))) if self.n else np.nan


@dataclass
class Groups:
    """Measures of shift by group, as they come in.

    criteria: their names, in order; spool: an open binary file for the values of every structure. Group `train`, the
    first one, is the distribution that the others are held against.
    """

    criteria: Sequence[str]
    spool: BinaryIO
    numbers: dict[str, int] = field(default_factory=lambda: {"train": 0})
    tallies: defaultdict = field(default_factory=lambda: defaultdict(Tally))

    def add(self, group: np.ndarray, values: np.ndarray) -> None:
        """Take in a block of S structures: their groups [S] and the value of every criterion [S, criteria]."""
        number = np.array([self.numbers.setdefault(name, len(self.numbers)) for name in group])
        for one in np.unique(number):
            for name, column in zip(self.criteria, values[number == one].T):
                self.tallies[one, name].add(column)
        np.column_stack([number, values]).tofile(self.spool)

    def _away(self, sigmas):
        """{(number of the group, criterion, sigma): structures outside the training distribution}."""
        away, width = defaultdict(int), 1 + len(self.criteria)
        self.spool.seek(0)
        while len(block := np.fromfile(self.spool, count=width * ROWS)):
            number, values = block[::width], block.reshape(-1, width)[:, 1:]
            for name, column in zip(self.criteria, values.T):
                known = self.tallies[0, name]
                for sigma in sigmas if known.n else ():
                    far = beyond(column, known.mean, known.deviation, CRITERIA[name].side, sigma)
                    for group, found in zip(*np.unique(number[far], return_counts=True)):
                        away[int(group), name, sigma] += int(found)
        return away

    def tables(self, sigma: float) -> tuple[list[dict], list[dict]]:
        """Rows of SUMMARY, outside beyond `sigma` training standard deviations, and of SWEPT, beyond those of SWEEP.

        Shares and training values are NaN where no training structure has a value. A criterion that no structure has
        a value of has no rows, and training none where there are no training structures.
        """
        away = self._away(sorted({sigma, *SWEEP}))
        summary, swept = [], []
        trained = any(self.tallies[0, name].n for name in self.criteria)
        numbers = {group: n for group, n in self.numbers.items() if n or trained}
        for name in self.criteria:
            known = self.tallies[0, name]
            if not any(self.tallies[number, name].n for number in numbers.values()):
                continue
            for group, number in numbers.items():
                found = self.tallies[number, name]
                total = found.n if known.n else 0
                share = lambda limit, n=total, key=(number, name): away[*key, limit] / n if n else np.nan
                row = (CRITERIA[name].axis, name, group, found.n, found.mean, known.mean, known.deviation, share(sigma))
                summary.append(dict(zip(SUMMARY, row)))
                swept += [dict(zip(SWEPT, (group, name, limit, share(limit)))) for limit in SWEEP]
        return summary, swept
