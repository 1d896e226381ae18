"""The weight of the residual correction on the validation groups, where alone it may be chosen.

A correction is linear in its weight: what it adds with one weight says what it adds with all others.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from mlipshift.base.frames import Labels
from mlipshift.base.predictions import Predictions
from mlipshift.catalogue.adaptation import CORRECTIONS
from mlipshift.evaluate import statistics
from mlipshift.evaluate.errors import Errors
from mlipshift.evaluate.statistics import MEAN

WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25)
CORRECTION_WEIGHTS = ["method", "weight", "used", "n_structures", "n_molecules", "n_seeds", *MEAN]


def correction_weights(errors: Errors, reference: Labels, paths: Iterable[Path], used: float) -> list[dict]:
    """Error of all validation groups by the weight of a correction: WEIGHTS and the one that was used.

    paths: files of predictions, those of the corrected models and of the same without correction among them. No row
    without validation groups, and none where the weight used, 0, hides what would have been added.
    """
    found: dict[str, dict[int, Predictions]] = {}
    for path in paths:
        one = Predictions.load(path, errors.frames)
        found.setdefault(one.method, {})[one.seed] = one
    chosen = errors.frames.of_kind("val_")
    rows = []
    for method, seeds in found.items():
        plain = found.get(method.removesuffix(f"_{CORRECTIONS['structure']}"), {})
        known = sorted(set(seeds) & set(plain))
        if seeds is plain or not known or not used:
            continue
        for weight in sorted({*WEIGHTS, used}):
            each = [_error(errors, reference, plain[s].forces[-1], seeds[s].forces[-1], weight / used) for s in known]
            summary = errors.summarise(np.mean(each, axis=0), chosen)
            if summary:
                row = {"method": method, "weight": weight, "used": weight == used, "n_seeds": len(known)}
                rows.append(row | {c: summary[c] for c in ("n_structures", "n_molecules", *MEAN)})
    return rows


def _error(errors, reference, plain, corrected, share):
    """Error [S] of a share of the way from the plain forces to the corrected ones."""
    forces = plain + share * (corrected - plain)
    return statistics.force_mae(forces, reference.forces, errors.frames.offsets)
