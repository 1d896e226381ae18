"""Errors and numbers of structures in bins of a measure of shift, and of the error itself."""

from typing import TYPE_CHECKING

import numpy as np

from mlipshift.base.frames import Labels
from mlipshift.base.rounding import distinct, places
from mlipshift.evaluate.comparisons import MITIGATIONS
from mlipshift.evaluate.errors import POOLED, Errors
from mlipshift.evaluate.statistics import MEAN
from mlipshift.shift import measures

if TYPE_CHECKING:
    import pandas as pd

COUNT = 8  # bins of a measure of shift
DENSITY_COUNT = 20  # bins of the training structures
ERROR_EDGES = (0, 25, 50, 100, 150, 200, 300, 400, 600, 800, np.inf)  # meV/Å

# {axis: (values of the test structures [S], of the training structures [T])} of the binned figures
Axes = dict[str, tuple[np.ndarray, np.ndarray]]


def bin_edges(values: np.ndarray, count: int = COUNT) -> np.ndarray:
    """Edges of at most `count` bins with about equally many of `values` [S] in each, rounded to two decimals."""
    edges = np.round(np.quantile(values, np.linspace(0, 1, count + 1)), 2)
    edges[0] = np.floor(100 * values.min()) / 100
    edges = np.unique(edges)
    if edges[-1] <= values.max():
        edges[-1] = np.nextafter(values.max(), np.inf)
    return edges if len(edges) > 1 else np.array([edges[0] - 0.5, edges[0] + 0.5])


def shift_values(reference: Labels, train_reference: Labels, shifts: "pd.DataFrame") -> Axes:
    """Axes of the binned figures; reference labels of the test and of the training structures.

    shifts: table of the measures of shift of all of them, group `train` those of the training structures.
    """
    is_train = (shifts["group"] == "train").to_numpy()
    window = shifts["window_fraction"].to_numpy()
    return {
        "force_norm": (measures.force_norm(reference), measures.force_norm(train_reference)),
        "window_fraction": (window[~is_train], window[is_train]),
    }


def most_improved(errors: Errors, method: str, baseline: str, share: float = 0.1) -> np.ndarray:
    """Boolean [S]: the share of the reported structures, no validation group, that `method` improves most."""
    gain = errors.mean(baseline) - errors.mean(method)
    gain[errors.frames.of_kind("val_") | ~np.isfinite(gain)] = -np.inf
    count = int(np.ceil(share * np.isfinite(gain).sum()))
    chosen = np.zeros(len(gain), dtype=bool)
    chosen[np.argsort(-gain, kind="stable")[:count]] = True
    return chosen & (gain > 0)


BINS = ["axis", "subset", "bin_left", "bin_right", "bin_mean", "method", "n_structures", "n_molecules", *MEAN]


def bins(errors: Errors, axes: Axes) -> list[dict]:
    """Errors binned along `axes`; in-distribution and held-out groups, no validation group; `bin_mean` of the axis.

    subset: "all", or "top10_METHOD", the tenth of the structures that METHOD of MITIGATIONS improves most, as in the
    b panels of the paper's figures; those are chosen by the errors that they show.
    """
    subsets = {"all": (~errors.frames.of_kind("val_"), COUNT)}
    for method, baseline in errors.known(MITIGATIONS):
        subsets[f"top10_{method}"] = (most_improved(errors, method, baseline), COUNT // 2)
    rows = []
    for axis, (values, _) in axes.items():
        for subset, (members, count) in subsets.items():
            valid = errors.common(members & np.isfinite(values))
            if not valid.any():
                continue
            edges = bin_edges(values[valid], count)
            place = np.full(len(values), -1)
            place[valid] = places(values[valid], edges)
            for k, (left, right) in enumerate(zip(edges, edges[1:])):
                inside = place == k
                for method in errors.final:
                    found = errors.summarise(errors.mean(method), inside)
                    if found:
                        rows.append(
                            {"axis": axis, "subset": subset, "bin_left": left, "bin_right": right, "method": method}
                            | {"bin_mean": values[inside].mean()}
                            | {c: found[c] for c in ("n_structures", "n_molecules", *MEAN)}
                        )
    return rows


TRAINING_DENSITY = ["axis", "bin_left", "bin_right", "density"]


def training_density(axes: Axes) -> list[dict]:
    """Normalised histogram of the training structures along `axes`; no row of an axis without a finite value."""
    rows = []
    for axis, (_, known) in axes.items():
        known = known[np.isfinite(known)]
        if not len(known):
            continue
        if len(same := distinct(known)) == 1:
            known = np.full(len(known), same[0])  # its range is no range of rounding
        height, edges = np.histogram(known, bins=DENSITY_COUNT, density=True)
        rows += [dict(zip(TRAINING_DENSITY, (axis, *row))) for row in zip(edges[:-1], edges[1:], height)]
    return rows


ERROR_BINS = ["method", "bin_left_meV_per_A", "bin_right_meV_per_A", "n_structures"]


def error_bins(errors: Errors) -> list[dict]:
    """Number of held-out structures per bin of the error, counted per seed and averaged; the last bin has no end.

    The same structures for all methods, see `Errors.common`.
    """
    chosen = errors.common(errors.groups()[POOLED])
    rows = []
    for method, values in errors.final.items():
        for left, right in zip(ERROR_EDGES[:-1], ERROR_EDGES[1:]):
            count = ((values >= left) & (values < right) & chosen).sum(1).mean()
            rows.append(dict(zip(ERROR_BINS, (method, left, None if np.isinf(right) else right, count))))
    return rows
