"""Diagnosis of one model: its force errors against how far structures lie from its training data.

Pure functions from arrays to the rows of tables. A structure without a reference label or without a prediction has
an error of NaN and counts where none is needed. Errors are force MAEs per structure in meV/Å; intervals are 95 %
bootstrap intervals over molecules, over structures where there is one molecule alone (`resampled`).
"""

from typing import Any

import numpy as np
from sklearn.decomposition import PCA

from mlipshift.base.frames import Labels
from mlipshift.base.predictions import Predictions
from mlipshift.catalogue.criteria import CRITERIA
from mlipshift.evaluate.statistics import INTERVAL, MEAN, Bootstrap, force_mae, spearman
from mlipshift.shift.distribution import outside

BINS = 10  # per criterion
TAIL = 0.99  # quantile at which the last bin starts to take what is beyond
# {criterion: (values of the training structures [T], of the test structures [S])}
Measures = dict[str, tuple[np.ndarray, np.ndarray]]


def errors_of(predictions: Predictions, reference: Labels) -> np.ndarray:
    """Force MAE [S] (meV/Å) at the last recorded step, NaN without a label or a prediction.

    predictions: Predictions; reference: Labels, both in the order of the frames.
    """
    return force_mae(predictions.forces[-1], reference.forces, reference.offsets)


def deviation(known: np.ndarray, values: np.ndarray, side: str) -> np.ndarray:
    """What grows with the distance of `values` [S] from training values `known` [T].

    The value itself where only larger ones are a shift ("upper"), its distance from the training mean otherwise.
    """
    return values if side == "upper" else np.abs(values - np.nanmean(known))


RANKS = ["axis", "criterion", "needs_labels", "n_structures", "n_molecules", "spearman", "ci_low", "ci_high"]


def ranks(
    measures: Measures,
    errors: np.ndarray,
    molecules: np.ndarray,
    resamples: int,
    seed: int,
    clusters: np.ndarray | None = None,
) -> list[dict]:
    """Rows of the rank correlation of the error with every criterion, the best predictor of it first.

    errors, molecules [S]; clusters [S]: what the intervals resample, the molecules if not given.
    """
    clusters = molecules if clusters is None else clusters
    rows = []
    for name, (known, values) in measures.items():
        axis, side = CRITERIA[name].axis, CRITERIA[name].side
        distance = deviation(known, values, side)
        use = np.isfinite(distance) & np.isfinite(errors)
        row = {"axis": axis, "criterion": name, "needs_labels": name.startswith("reference_")}
        row |= {"n_structures": int(use.sum()), "n_molecules": len(set(molecules[use]))}
        found = (np.nan,) * 3
        if use.sum() > 1:
            found = spearman(distance[use], errors[use], clusters[use], resamples, seed)
        rows.append(row | dict(zip(("spearman", "ci_low", "ci_high"), found)))
    # constant criteria last
    return sorted(rows, key=lambda row: -np.nan_to_num(row["spearman"], nan=-2))


def _error_cells(errors, clusters, resamples, seed):
    """Mean and interval of errors [S] that are all finite."""
    if not len(errors):
        return dict.fromkeys(MEAN, np.nan)
    interval = Bootstrap(clusters, resamples, seed).mean_interval(errors)
    return {"mean_meV_per_A": errors.mean(), **dict(zip(INTERVAL, interval))}


AXES = ["axis", "criterion"]
AXES += [c for part in ("inside", "outside") for c in (f"n_{part}", *(f"{part}_{name}" for name in MEAN))]
AXES += ["ratio"]


def in_and_out(
    measures: Measures,
    errors: np.ndarray,
    molecules: np.ndarray,
    sigma: float,
    resamples: int,
    seed: int,
    clusters: np.ndarray | None = None,
) -> list[dict]:
    """Rows of the error inside and outside the training distribution, judged by every criterion in turn.

    Arguments as in `ranks`; outside is beyond `sigma` training standard deviations (distribution.outside).
    """
    clusters = molecules if clusters is None else clusters
    rows = []
    for name, (known, values) in measures.items():
        axis, side = CRITERIA[name].axis, CRITERIA[name].side
        use = np.isfinite(values) & np.isfinite(errors)
        away = outside(known, values, side, sigma)
        row: dict[str, Any] = {"axis": axis, "criterion": name}
        for part, chosen in (("inside", use & ~away), ("outside", use & away)):
            row[f"n_{part}"] = int(chosen.sum())
            cells = _error_cells(errors[chosen], clusters[chosen], resamples, seed)
            row |= {f"{part}_{key}": value for key, value in cells.items()}
        rows.append(row | {"ratio": row["outside_mean_meV_per_A"] / row["inside_mean_meV_per_A"]})
    return rows


def edges_of(values: np.ndarray) -> np.ndarray:
    """Edges [K + 1] of at most BINS bins of values [S]; the last bin takes the largest 1 % and what lies there."""
    values = values[np.isfinite(values)]
    if not len(values):
        return np.empty(0)
    distinct = np.unique(values)
    if len(distinct) == 1:
        return distinct[0] + np.array([-0.5, 0.5])
    if len(distinct) <= BINS and np.array_equal(distinct, np.round(distinct)):
        # one bin for each of a few numbers of atoms
        middle = (distinct[1:] + distinct[:-1]) / 2
        first, last = (distinct[1] - distinct[0]) / 2, (distinct[-1] - distinct[-2]) / 2
        return np.concatenate([[distinct[0] - first], middle, [distinct[-1] + last]])
    low, high = values.min(), np.quantile(values, TAIL)
    edges = np.linspace(low, high if high > low else values.max(), BINS + 1)
    edges[-1] = values.max()
    return edges


BINNED = ["axis", "criterion", "bin_left", "bin_right", "n_training", "training_density", "n_test", "n_structures"]
BINNED += ["n_molecules", "n_resampled", *MEAN]


def binned(
    measures: Measures,
    errors: np.ndarray,
    molecules: np.ndarray,
    resamples: int,
    seed: int,
    clusters: np.ndarray | None = None,
) -> list[dict]:
    """Rows of the error binned along every criterion, with the density of the training structures.

    Arguments as in `ranks`. training_density integrates to one over the training structures with a finite value.
    """
    clusters = molecules if clusters is None else clusters
    rows = []
    for name, (known, values) in measures.items():
        axis = CRITERIA[name].axis
        known = known[np.isfinite(known)]
        edges = edges_of(np.concatenate([known, values]))
        if not len(edges):
            continue
        place = np.digitize(values, edges[1:-1])
        counts = np.histogram(known, edges)[0]
        for k, (left, right) in enumerate(zip(edges, edges[1:])):
            here = (place == k) & np.isfinite(values)
            use = here & np.isfinite(errors)
            rows.append(
                {
                    "axis": axis,
                    "criterion": name,
                    "bin_left": left,
                    "bin_right": right,
                    "n_training": int(counts[k]),
                    "training_density": counts[k] / max(len(known), 1) / (right - left),
                    "n_test": int(here.sum()),
                    "n_structures": int(use.sum()),
                    "n_molecules": len(set(molecules[use])),
                    "n_resampled": len(set(clusters[use])),
                    **_error_cells(errors[use], clusters[use], resamples, seed),
                }
            )
    return rows


GROUPS = ["group", "n_structures", "n_molecules", "window_fraction_mean", "window_fraction_standard_deviation"]
GROUPS += ["window_fraction_outside", "n_errors", *MEAN, "median_meV_per_A"]


def by_group(
    groups: np.ndarray,
    molecules: np.ndarray,
    fraction: np.ndarray,
    known: np.ndarray,
    errors: np.ndarray,
    sigma: float,
    resamples: int,
    seed: int,
    clusters: np.ndarray | None = None,
) -> list[dict]:
    """Rows per dataset: eigenvalues in [0.9, 1.1], and the error where there is one.

    groups, molecules, fraction (of the eigenvalues), errors [S] of training and test structures together; known [T]
    fraction of the training structures; clusters as in `ranks`.
    """
    clusters = molecules if clusters is None else clusters
    rows = []
    for group in dict.fromkeys(groups):
        chosen = groups == group
        use = chosen & np.isfinite(errors)
        rows.append(
            {
                "group": group,
                "n_structures": int(chosen.sum()),
                "n_molecules": len(set(molecules[chosen])),
                "window_fraction_mean": fraction[chosen].mean(),
                "window_fraction_standard_deviation": fraction[chosen].std(),
                "window_fraction_outside": outside(known, fraction[chosen], "both", sigma).mean(),
                "n_errors": int(use.sum()),
                **_error_cells(errors[use], clusters[use], resamples, seed),
                "median_meV_per_A": np.median(errors[use]) if use.any() else np.nan,
            }
        )
    return rows


def embedding_map(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(coordinates [T, 2], coordinates [S, 2], explained variance [2]) of representations [T, d] and [S, d].

    Principal components of both together (scikit-learn, full SVD: the same numbers every time); a missing second
    component is zero. Rows that are not finite stay NaN and take no part.
    """
    both = np.concatenate([train, test])
    finite = np.isfinite(both).all(axis=1)
    out, explained = np.full((len(both), 2), np.nan), np.zeros(2)
    if finite.sum() > 1:
        count = min(2, both.shape[1], int(finite.sum()))
        reduction = PCA(count, svd_solver="full")
        out[finite] = 0.0
        out[finite, :count] = reduction.fit_transform(both[finite])
        explained[:count] = np.nan_to_num(reduction.explained_variance_ratio_)
    return out[: len(train)], out[len(train) :], explained
