"""Several estimates of the same forces, weighted by the error that each is expected to have.

What a model errs by is not known where there is no label, but signs of it are: the spread of an ensemble, the
residual of a prior head, the difference to the prior and to other models. On validation groups, whose labels are known,
log error = a + Σ b log(sign), b ≥ 0, is fitted for every estimate. Elsewhere it gives the expected error, and the
weights are its inverse to a power. They depend on the structure, so that the forces are not conservative; along a
trajectory they are to be kept.
"""

import itertools
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import numpy as np
from scipy.optimize import nnls

from mlipshift.base.averages import SOFT, component_mae

SMALLEST = 1e-4  # eV/Å; a sign or an error below it counts as that
FEW = 20  # structures of validation groups; of fewer nothing is fitted
PRIOR_SLOPE = 1.0  # of the ridge, in structures per unit of slope
POWERS = (1.0, 2.0, 4.0, 8.0)
FOLDS = 5

Signs = Mapping[str, np.ndarray]


def _logs(values):
    return np.log(np.maximum(values, SMALLEST))


@dataclass(frozen=True)
class ErrorModel:
    """Expected error of an estimate: exp(intercept + slopes · log(signs)), each sign within what was seen.

    names [k] of the signs; slopes [k]; low, high [k]: logarithms of the smallest and largest sign of the fit.
    """

    names: tuple[str, ...]
    intercept: float
    slopes: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    @classmethod
    def fit(cls, signs: Signs, errors: np.ndarray) -> Self:
        """That of errors [S] eV/Å and signs {name: [S] eV/Å}, all of them finite."""
        names = tuple(signs)
        x, y = np.stack([_logs(signs[n]) for n in names], axis=1).reshape(len(errors), -1), _logs(errors)
        mean = x.mean(axis=0)
        ridge = np.sqrt(PRIOR_SLOPE) * np.eye(len(names))
        slopes, _ = nnls(np.concatenate([x - mean, ridge]), np.concatenate([y - y.mean(), np.zeros(len(names))]))
        # of the mean error, not of the mean logarithm: half the variance of what is left
        left = y - y.mean() - (x - mean) @ slopes
        intercept = y.mean() + left.var() / 2 - mean @ slopes
        plain = lambda row: tuple(round(float(v), 6) for v in row)
        return cls(names, round(float(intercept), 6), plain(slopes), plain(x.min(axis=0)), plain(x.max(axis=0)))

    def __call__(self, signs: Signs) -> np.ndarray:
        """Expected error [S] (eV/Å); NaN where a sign is missing."""
        x = np.stack([_logs(np.asarray(signs[n], dtype=float)) for n in self.names], axis=1)
        known = np.isfinite(np.stack([signs[n] for n in self.names], axis=1)).all(axis=1)
        out = np.exp(self.intercept + np.clip(x, self.low, self.high) @ np.array(self.slopes))
        return np.where(known, out, np.nan)


@dataclass(frozen=True)
class Expectation:
    """Error models of one estimate, of all its signs first and of fewer after it, for structures that lack some."""

    models: tuple[ErrorModel, ...]

    @classmethod
    def fit(cls, signs: Signs, errors: np.ndarray) -> Self:
        """That of errors [S] (eV/Å, NaN where unknown) and signs {name: [S]}, NaN where a structure lacks one."""
        models = []
        names = [n for n, values in signs.items() if (np.isfinite(values) & np.isfinite(errors)).sum() >= FEW]
        for count in range(len(names), 0, -1):
            for chosen in itertools.combinations(names, count):
                known = np.isfinite(errors) & np.isfinite(np.stack([signs[n] for n in chosen])).all(axis=0)
                if known.sum() >= FEW:
                    models.append(ErrorModel.fit({n: signs[n][known] for n in chosen}, errors[known]))
        return cls(tuple(models))

    def __call__(self, signs: Signs, size: int) -> np.ndarray:
        """Expected error [S] (eV/Å) by the first model whose signs a structure has; NaN where none has."""
        out = np.full(size, np.nan)
        for model in self.models:
            if set(model.names) <= set(signs):
                out = np.where(np.isfinite(out), out, model(signs))
        return out


@dataclass(frozen=True)
class Weighting:
    """Weights of estimates by their expected errors to the power −power."""

    expectations: Mapping[str, Expectation] = field(default_factory=dict)
    power: float = 2.0

    def expected(self, signs: Mapping[str, Signs], size: int) -> np.ndarray:
        """Expected errors [E, S] (eV/Å) of the estimates, in the order of `expectations`."""
        return np.stack([one(signs[name], size) for name, one in self.expectations.items()])

    def weights(self, expected: np.ndarray, available: np.ndarray) -> np.ndarray:
        """Weights [E, S] that add up to one, all NaN where no estimate has both a forecast and forces.

        expected [E, S] eV/Å; available [E, S]: whether the estimate has forces.
        """
        usable = np.isfinite(expected) & available
        raw = np.where(usable, np.where(usable, expected, 1.0) ** -self.power, 0.0)
        total = raw.sum(axis=0)
        return np.where(total > 0, raw / np.where(total > 0, total, 1.0), np.nan)


def combine(weights: np.ndarray, values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Forces [N, 3] of estimates `values` [E, N, 3] (eV/Å), NaN where missing; weights [E, S], offsets [S + 1]."""
    per_atom = np.repeat(weights, np.diff(offsets), axis=1)[..., None]
    parts = np.where(per_atom > 0, per_atom * np.where(np.isfinite(values), values, 0.0), 0.0)
    return np.where(np.isfinite(per_atom).all(axis=0), parts.sum(axis=0), np.nan)


def choose(
    signs: Mapping[str, Signs],
    forces: Mapping[str, np.ndarray],
    reference: np.ndarray,
    offsets: np.ndarray,
    clusters: np.ndarray,
) -> Weighting:
    """Weighting of estimates whose power has the least error in cross-validation over molecules.

    signs {estimate: {sign: [S]}}, forces {estimate: [N, 3]}, reference [N, 3] eV/Å: of validation structures; offsets
    [S + 1]; clusters [S]: their molecules.
    """
    names = list(forces)
    errors = {n: component_mae(forces[n], reference, offsets) for n in names}
    stack, size = np.stack([forces[n] for n in names]), len(clusters)
    available = np.stack([np.isfinite(errors[n]) for n in names])
    order = {c: k for k, c in enumerate(sorted(set(clusters)))}
    fold = np.array([order[c] % FOLDS for c in clusters])
    total = dict.fromkeys(POWERS, 0.0)
    for k in range(FOLDS):
        out, known = fold == k, {n: np.where(fold == k, np.nan, errors[n]) for n in names}
        trial = {n: Expectation.fit(signs[n], known[n]) for n in names}
        expected = Weighting(trial).expected(signs, size)
        for power in POWERS:
            weights = Weighting(trial, power).weights(expected, available)
            found = component_mae(combine(weights, stack, offsets), reference, offsets)[out]
            # relative to the best single estimate, so that a few wild structures do not decide
            best = np.nanmin(np.stack([errors[n] for n in names]), axis=0)[out]
            total[power] += float(np.nansum(np.log((found + SOFT) / (best + SOFT))))
    return Weighting({n: Expectation.fit(signs[n], errors[n]) for n in names}, min(POWERS, key=lambda p: total[p]))


def as_json(weighting: Weighting) -> dict[str, Any]:
    """What JSON can hold of a weighting, for `from_json`."""
    return {
        "power": weighting.power,
        "estimates": {name: [asdict(model) for model in one.models] for name, one in weighting.expectations.items()},
    }


def from_json(content: Mapping[str, Any]) -> Weighting:
    """The weighting that `as_json` made this of."""
    models = {name: [_error_model(row) for row in rows] for name, rows in content["estimates"].items()}
    return Weighting({name: Expectation(tuple(rows)) for name, rows in models.items()}, content["power"])


def _error_model(row: Mapping[str, Any]) -> ErrorModel:
    lists = {key: tuple(row[key]) for key in ("names", "slopes", "low", "high")}
    return ErrorModel(intercept=row["intercept"], **lists)
