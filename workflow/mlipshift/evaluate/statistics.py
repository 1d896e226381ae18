"""Errors per structure, paired comparisons and bootstrap intervals.

Geometries of one molecule are not independent, so intervals come from resampling molecules and not structures; where
all are of one molecule, structures are resampled (`resampled`). Seeds are averaged per structure before anything is
compared.
"""

from collections.abc import Callable, Iterable

import numpy as np

from mlipshift.base.averages import component_mae
from mlipshift.base.rounding import classes

CHEMICAL_ACCURACY = 43  # meV/Å, 1 kcal/mol/Å rounded down
TARGET = 25.0  # meV/Å, the paper's threshold
INTERVAL = ["ci_low_meV_per_A", "ci_high_meV_per_A"]
MEAN = ["mean_meV_per_A", *INTERVAL]
TIE = 1e-3  # meV/Å; smaller differences are rounding of single precision, neither better nor worse


def force_mae(predicted: np.ndarray, reference: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Mean absolute error per force component and structure [..., S] (meV/Å); NaN where either is missing.

    predicted [..., N, 3], reference [N, 3] eV/Å; offsets [S + 1].
    """
    return 1000 * component_mae(predicted, reference, offsets)


def resampled(molecules: np.ndarray, ids: np.ndarray) -> tuple[str, np.ndarray]:
    """(what the intervals resample, "molecules" or "structures"; names of that [S]) for S structures.

    Geometries of one molecule are not independent, and an interval over them is too narrow; but the only one there is
    where all are of one molecule.
    """
    return ("molecules", molecules) if len(set(molecules)) > 1 else ("structures", ids)


class Bootstrap:
    """Cluster bootstrap: the same `resamples` of molecules for every statistic of one set of structures."""

    def __init__(self, clusters: Iterable, resamples: int, seed: int) -> None:
        names, self.owner = np.unique(np.asarray(clusters, dtype=str), return_inverse=True)
        self.clusters = len(names)
        rng = np.random.default_rng(seed)
        picks = rng.integers(self.clusters, size=(resamples, self.clusters))
        self.weights = np.zeros((resamples, self.clusters))
        np.add.at(self.weights, (np.arange(resamples)[:, None], picks), 1.0)

    def mean_interval(self, values: np.ndarray, level: float = 0.95) -> tuple[float, float]:
        """(low, high) of the mean over structures of values [S]; (NaN, NaN) for a single cluster."""
        if self.clusters < 2:
            return np.nan, np.nan
        total = np.bincount(self.owner, values, self.clusters)
        count = np.bincount(self.owner, minlength=self.clusters)
        means = (self.weights @ total) / (self.weights @ count)
        tail = (1 - level) / 2
        low, high = np.quantile(means, [tail, 1 - tail])
        return float(low), float(high)


SUMMARY = [*MEAN, "median_meV_per_A", "q25_meV_per_A", "q75_meV_per_A", "below_25_meV_per_A", "below_43_meV_per_A"]


def summary(values: np.ndarray, molecules: np.ndarray, ids: np.ndarray, resamples: int, seed: int) -> dict[str, float]:
    """Distribution of the errors of one method in one group: numbers of structures and molecules, and SUMMARY.

    values [S] meV/Å, molecules and ids [S].
    """
    low, high = Bootstrap(resampled(molecules, ids)[1], resamples, seed).mean_interval(values)
    q25, median, q75 = np.quantile(values, [0.25, 0.5, 0.75])
    return {
        "n_structures": len(values),
        "n_molecules": len(set(molecules)),
        "mean_meV_per_A": values.mean(),
        "ci_low_meV_per_A": low,
        "ci_high_meV_per_A": high,
        "median_meV_per_A": median,
        "q25_meV_per_A": q25,
        "q75_meV_per_A": q75,
        "below_25_meV_per_A": (values < TARGET).mean(),
        "below_43_meV_per_A": (values < CHEMICAL_ACCURACY).mean(),
    }


PAIRED = ["baseline_mean_meV_per_A", "method_mean_meV_per_A", "difference_meV_per_A", *INTERVAL]
PAIRED += ["median_relative_change", "fraction_improved", "fraction_worsened", "below_25_before", "below_25_after"]


def paired(
    method: np.ndarray, baseline: np.ndarray, molecules: np.ndarray, ids: np.ndarray, resamples: int, seed: int
) -> dict[str, float]:
    """Paired comparison of two methods on the same structures: numbers of structures and molecules, and PAIRED.

    method, baseline [S] meV/Å, molecules and ids [S].
    """
    difference = method - baseline
    low, high = Bootstrap(resampled(molecules, ids)[1], resamples, seed).mean_interval(difference)
    return {
        "n_structures": len(method),
        "n_molecules": len(set(molecules)),
        "baseline_mean_meV_per_A": baseline.mean(),
        "method_mean_meV_per_A": method.mean(),
        "difference_meV_per_A": difference.mean(),
        "ci_low_meV_per_A": low,
        "ci_high_meV_per_A": high,
        "median_relative_change": _median_change(method, baseline),
        "fraction_improved": (difference < -TIE).mean(),
        "fraction_worsened": (difference > TIE).mean(),
        "below_25_before": (baseline < TARGET).mean(),
        "below_25_after": (method < TARGET).mean(),
    }


def _median_change(method, baseline):
    """Median of method / baseline - 1; an error of zero before, as of a symmetric crystal, has no relative change."""
    known = baseline > TIE
    return np.median(method[known] / baseline[known] - 1) if known.any() else np.nan


WORST = 0.1  # share of the structures, those of the largest errors, that a measure is to find
Estimate = tuple[float, float, float]  # value, and the ends of its interval; NaN for what there is not


def _estimate(
    statistic: Callable[[np.ndarray], float], clusters: np.ndarray, resamples: int, seed: int, level: float
) -> Estimate:
    """A statistic(weights [S]) of all structures, and its interval over resampled clusters [S]."""
    whole = statistic(np.ones(len(clusters)))
    bootstrap = Bootstrap(clusters, resamples, seed)
    if bootstrap.clusters < 2:
        return whole, np.nan, np.nan
    found = np.array([statistic(counts[bootstrap.owner]) for counts in bootstrap.weights])
    found = found[np.isfinite(found)]
    tail = (1 - level) / 2
    low, high = np.quantile(found, [tail, 1 - tail]) if len(found) else (np.nan, np.nan)
    return whole, float(low), float(high)


def spearman(
    values: np.ndarray, errors: np.ndarray, clusters: np.ndarray, resamples: int, seed: int, level: float = 0.95
) -> Estimate:
    """(coefficient, low, high) of Spearman's rank correlation of values [S] and errors [S], all finite.

    Ties, equal but for rounding, have the mean of their ranks. The interval resamples clusters [S]; it is NaN for a
    single one, and all is NaN where either side is constant.
    """
    first, second = classes(values), classes(errors)
    return _estimate(lambda weights: rank_correlation(first, second, weights), clusters, resamples, seed, level)


def worst(errors: np.ndarray) -> np.ndarray:
    """Boolean [S]: the WORST part of finite errors [S], and what is as large as the least of these."""
    codes = classes(errors)
    count = int(np.ceil(WORST * len(codes)))
    return codes >= np.sort(codes)[len(codes) - count] if count else np.zeros(0, dtype=bool)


def auroc(
    values: np.ndarray, errors: np.ndarray, clusters: np.ndarray, resamples: int, seed: int, level: float = 0.95
) -> Estimate:
    """(area, low, high) under the receiver operating characteristic of values [S] that are to find the worst errors.

    The probability that a structure of `worst` has a larger value than another one, ties counted by half: 0.5 for a
    guess, 1 for a measure that puts all of them first. Arguments and interval as in `spearman`; all is NaN where the
    errors are constant.
    """
    codes, chosen = classes(values), worst(errors)
    return _estimate(lambda weights: _area(codes, chosen, weights), clusters, resamples, seed, level)


def _area(codes, chosen, weights):
    """Area of `auroc` of codes 0 to K - 1 [S], each structure taken `weights` [S] times."""
    size = codes.max(initial=-1) + 1
    found, rest = (np.bincount(codes[part], weights[part], size) for part in (chosen, ~chosen))
    total = found.sum() * rest.sum()
    return float(found @ (np.cumsum(rest) - rest / 2) / total) if total else np.nan


def rank_correlation(first: np.ndarray, second: np.ndarray, weights: np.ndarray) -> float:
    """Pearson correlation of the ranks of two codes of `classes` [S], each structure taken `weights` [S] times."""
    total = weights.sum()
    if not total:
        return np.nan
    x, y = (_ranks(codes, weights) for codes in (first, second))
    x, y = x - weights @ x / total, y - weights @ y / total
    scale = np.sqrt((weights @ x**2) * (weights @ y**2))
    return float((weights * x) @ y / scale) if scale > 1e-9 * total else np.nan


def _ranks(codes, weights):
    """Mean ranks [S], but for a constant, of codes 0 to K - 1 [S] taken `weights` [S] times."""
    mass = np.bincount(codes, weights)
    return (np.cumsum(mass) - mass / 2)[codes]
