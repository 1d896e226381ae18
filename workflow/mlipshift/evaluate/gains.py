"""What test-time training gains, beside the error of the prior that it is trained on."""

import numpy as np

from mlipshift.evaluate import statistics
from mlipshift.evaluate.comparisons import ADAPTATIONS
from mlipshift.evaluate.errors import Errors

GAINS = ["id", "group", "molecule", "method", "baseline"]
GAINS += ["prior_error_meV_per_A", "before_meV_per_A", "after_meV_per_A"]
INSTEAD = ("joint_corrected", "delta")  # what the same prior calls would have given
GAINS += [f"{key}_meV_per_A" for key in INSTEAD]


def gains(errors: Errors) -> list[dict]:
    """Errors of the prior, before and after TTT and of INSTEAD, per reported structure; seeds averaged.

    That of a method that was not run is missing.
    """
    f, prior = errors.frames, errors.mean("prior")
    instead = [errors.mean(key) if key in errors.final else np.full(len(f), np.nan) for key in INSTEAD]
    rows = []
    for method, baseline in errors.known(ADAPTATIONS):
        before, after = errors.mean(baseline), errors.mean(method)
        columns = (prior, before, after, *instead)
        keep = ~f.of_kind("val_") & np.isfinite(prior) & np.isfinite(before) & np.isfinite(after)
        rows += [
            dict(zip(GAINS, (f.ids[k], f.group[k], f.molecule[k], method, baseline, *(v[k] for v in columns))))
            for k in np.flatnonzero(keep)
        ]
    return rows


GAIN_CORRELATION = ["method", "group", "of", "with", "n_structures", "n_molecules", "spearman", "ci_low", "ci_high"]


def gain_correlation(errors: Errors) -> list[dict]:
    """Rank correlation, per group of three structures or more, of TTT's gain with the prior's error and that before."""
    f, prior = errors.frames, errors.mean("prior")
    rows = []
    for method, baseline in errors.known(ADAPTATIONS):
        before, after = errors.mean(baseline), errors.mean(method)
        for group, chosen in errors.groups().items():
            keep = chosen & np.isfinite(prior) & np.isfinite(before) & np.isfinite(after)
            if keep.sum() < 3:
                continue
            clusters = statistics.resampled(f.molecule[keep], f.ids[keep])[1]
            pairs = [
                ("gain", "prior_error", before - after, prior),
                ("gain", "error_before", before - after, before),
                ("error_after", "prior_error", after, prior),
            ]
            for of, other, first, second in pairs:
                found = statistics.spearman(first[keep], second[keep], clusters, errors.resamples, errors.seed)
                sizes = (int(keep.sum()), len(set(f.molecule[keep])))
                rows.append(dict(zip(GAIN_CORRELATION, (method, group, of, other, *sizes, *found))))
    return rows
