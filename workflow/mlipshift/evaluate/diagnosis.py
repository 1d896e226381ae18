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
from mlipshift.base.rounding import classes, distinct, places, rounding
from mlipshift.catalogue.criteria import CRITERIA
from mlipshift.evaluate.statistics import INTERVAL, MEAN, TIE, Bootstrap, auroc, force_mae, rank_correlation, spearman
from mlipshift.shift.distribution import outside

BINS = 10  # per criterion
FEW = 10  # structures, below which no direction is chosen by them
TAIL = 0.99  # quantile at which the last bin starts to take what is beyond
# {criterion: (values of the training structures [T], of the test structures [S])}
Measures = dict[str, tuple[np.ndarray, np.ndarray]]


def errors_of(predictions: Predictions, reference: Labels) -> np.ndarray:
    """Force MAE [S] (meV/Å) at the last recorded step, NaN without a label or a prediction.

    predictions: Predictions; reference: Labels, both in the order of the frames.
    """
    return force_mae(predictions.forces[-1], reference.forces, reference.offsets)


DIRECTIONS = ("larger", "smaller", "either")


def directed(known: np.ndarray, values: np.ndarray, direction: str) -> np.ndarray:
    """A score [S] that grows with the error that is expected of `values` [S], in one of DIRECTIONS.

    "either": the distance from the mean of the training values `known` [T].
    """
    if direction == "either":
        return np.abs(values - np.nanmean(known)) if np.isfinite(known).any() else np.full(len(values), np.nan)
    return values if direction == "larger" else -values


def direction_of(side: str, known: np.ndarray, values: np.ndarray, errors: np.ndarray) -> tuple[str, int]:
    """(one of DIRECTIONS, number of structures that it rests on) of a criterion, by validation structures [S].

    The direction with the largest rank correlation there. None is left to choose where only larger values are a shift
    (side "upper"); without FEW validation structures that differ it is the value itself, and rests on none.
    """
    use = np.isfinite(values) & np.isfinite(errors)
    if side == "upper" or use.sum() < FEW:
        return "larger", 0
    codes, whole = classes(errors[use]), np.ones(int(use.sum()))
    found = {
        name: rank_correlation(classes(score), codes, whole)
        for name in DIRECTIONS
        if np.isfinite(score := directed(known, values[use], name)).all()
    }
    if not np.isfinite(found["larger"]):
        return "larger", 0
    return max(found, key=lambda name: np.nan_to_num(found[name], nan=-2)), int(use.sum())


RANKS = ["axis", "criterion", "needs_labels", "direction", "n_validation", "n_structures", "n_molecules"]
RANKS += ["spearman", "ci_low", "ci_high", "auroc", "auroc_ci_low", "auroc_ci_high"]


def ranks(
    measures: Measures,
    errors: np.ndarray,
    molecules: np.ndarray,
    resamples: int,
    seed: int,
    clusters: np.ndarray | None = None,
    validation: np.ndarray | None = None,
) -> list[dict]:
    """Rows of how well every criterion, used as it would be, predicts the error; the best one first.

    errors, molecules [S]; clusters [S]: what the intervals resample, the molecules if not given. validation [S]: the
    structures that say in which direction a criterion is used; the others are those it is judged by. Where there are
    no others with an error, all are judged, and no direction is chosen.
    """
    clusters = molecules if clusters is None else clusters
    errors = np.where(errors < TIE, 0.0, errors)  # as of symmetric crystals: of rounding, which has no order
    asked = np.zeros(len(errors), dtype=bool) if validation is None else validation
    if not np.isfinite(errors[~asked]).any():
        asked = np.zeros(len(errors), dtype=bool)
    rows = []
    for name, (known, values) in measures.items():
        criterion = CRITERIA[name]
        direction, number = direction_of(criterion.side, known, values[asked], errors[asked])
        score = directed(known, values, direction)
        use = np.isfinite(score) & np.isfinite(errors) & ~asked
        row = {"axis": criterion.axis, "criterion": name, "needs_labels": name.startswith("reference_")}
        row |= {"direction": direction, "n_validation": number}
        row |= {"n_structures": int(use.sum()), "n_molecules": len(set(molecules[use]))}
        found = dict.fromkeys(RANKS[7:], np.nan)
        if use.sum() > 1 and classes(score[use]).any():
            side = (score[use], errors[use], clusters[use], resamples, seed)
            found = dict(zip(found, (*spearman(*side), *auroc(*side))))
        rows.append(row | found)
    # constant criteria last; what has no direction of its own and none chosen is as good by either sign
    free = lambda row: CRITERIA[row["criterion"]].side == "both" and not row["n_validation"]
    size = lambda row: abs(row["spearman"]) if free(row) else row["spearman"]
    return sorted(rows, key=lambda row: -np.nan_to_num(size(row), nan=-2))


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
        # what is known of no training structure has no inside
        use = np.isfinite(values) & np.isfinite(errors) & np.isfinite(known).any()
        away = outside(known, values, side, sigma) if use.any() else use
        row: dict[str, Any] = {"axis": axis, "criterion": name}
        for part, chosen in (("inside", use & ~away), ("outside", use & away)):
            row[f"n_{part}"] = int(chosen.sum())
            cells = _error_cells(errors[chosen], clusters[chosen], resamples, seed)
            row |= {f"{part}_{key}": value for key, value in cells.items()}
        inside = row["inside_mean_meV_per_A"]
        rows.append(row | {"ratio": row["outside_mean_meV_per_A"] / inside if inside > TIE else np.nan})
    return rows


def edges_of(values: np.ndarray) -> np.ndarray:
    """Edges [K + 1] of at most BINS bins of values [S]; the last bin takes the largest 1 % and what lies there."""
    values = values[np.isfinite(values)]
    if not len(values):
        return np.empty(0)
    found = distinct(values)
    if len(found) == 1:
        return found[0] + np.array([-0.5, 0.5])
    if len(found) <= BINS:
        # one bin for each of a few values
        middle = (found[1:] + found[:-1]) / 2
        first, last = (found[1] - found[0]) / 2, (found[-1] - found[-2]) / 2
        return np.concatenate([[found[0] - first], middle, [found[-1] + last]])
    low, high = found[0], np.quantile(values, TAIL)
    edges = np.linspace(low, high if high > low + rounding(low) else found[-1], BINS + 1)
    edges[-1] = values.max()
    return edges


BINNED = ["axis", "criterion", "bin_left", "bin_right", "mean", "n_training", "training_density", "n_test"]
BINNED += ["n_structures", "n_molecules", "n_resampled", *MEAN]


def binned(
    measures: Measures,
    errors: np.ndarray,
    molecules: np.ndarray,
    resamples: int,
    seed: int,
    clusters: np.ndarray | None = None,
) -> list[dict]:
    """Rows of the error binned along every criterion, with the density of the training structures.

    Arguments as in `ranks`. A bin without any structure has no row; mean: of the criterion over its structures with an
    error. training_density integrates to one over the training structures with a finite value.
    """
    clusters = molecules if clusters is None else clusters
    rows = []
    for name, (known, values) in measures.items():
        known = known[np.isfinite(known)]
        edges = edges_of(np.concatenate([known, values]))
        if not len(edges):
            continue
        counts = np.bincount(places(known, edges), minlength=len(edges) - 1)
        finite = np.isfinite(values)
        place = np.where(finite, places(np.where(finite, values, edges[0]), edges), -1)
        for k, (left, right) in enumerate(zip(edges, edges[1:])):
            here = place == k
            use = here & np.isfinite(errors)
            if not counts[k] and not here.any():
                continue
            row = {"axis": CRITERIA[name].axis, "criterion": name, "bin_left": left, "bin_right": right}
            row |= {
                "mean": values[use].mean() if use.any() else np.nan,
                "n_training": int(counts[k]),
                "training_density": counts[k] / max(len(known), 1) / (right - left),
                "n_test": int(here.sum()),
                "n_structures": int(use.sum()),
                "n_molecules": len(set(molecules[use])),
                "n_resampled": len(set(clusters[use])),
            }
            rows.append(row | _error_cells(errors[use], clusters[use], resamples, seed))
    return rows


GROUPS = ["group", "n_structures", "n_molecules", "window_fraction_mean", "window_fraction_standard_deviation"]
GROUPS += ["window_fraction_outside", "n_errors", *MEAN, "median_meV_per_A"]


def share_outside(known: np.ndarray, values: np.ndarray, sigma: float) -> float:
    """Share of values [S] outside those of training structures [T] on either side, NaN where none of these is known."""
    return float(outside(known, values, "both", sigma).mean()) if np.isfinite(known).any() else np.nan


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
                "window_fraction_outside": share_outside(known, fraction[chosen], sigma),
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
