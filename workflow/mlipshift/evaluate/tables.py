"""All tables of the comparison of methods, with their columns."""

from typing import TYPE_CHECKING

from mlipshift.evaluate import bins, comparisons, gains
from mlipshift.evaluate.errors import Errors

if TYPE_CHECKING:
    import pandas as pd


def tables_of(
    errors: Errors, axes: bins.Axes, radii: "dict[str, pd.DataFrame]", prior_calls: dict[str, float]
) -> dict[str, tuple[list[str], list[dict]]]:
    """{table: (columns, rows)}, some of them perhaps without rows.

    axes: see bins.shift_values; radii: {strategy: DataFrame of the chosen radii}; prior_calls: {method: calls per
    predicted structure}. Raises UserError if it lacks a method.
    """
    summary = comparisons.summary(errors)
    return {
        "per_structure": (comparisons.PER_STRUCTURE, comparisons.per_structure(errors)),
        "summary": (comparisons.SUMMARY, summary),
        "paired": (comparisons.PAIRED, comparisons.paired(errors)),
        "bins": (bins.BINS, bins.bins(errors, axes)),
        "training_density": (bins.TRAINING_DENSITY, bins.training_density(axes)),
        "error_bins": (bins.ERROR_BINS, bins.error_bins(errors)),
        "steps": (comparisons.STEPS, comparisons.steps(errors)),
        "shift_axes": (comparisons.SHIFT_AXES, comparisons.shift_axes(summary)),
        "frontier": (comparisons.FRONTIER, comparisons.frontier(summary, prior_calls)),
        "gains": (gains.GAINS, gains.gains(errors)),
        "gain_correlation": (gains.GAIN_CORRELATION, gains.gain_correlation(errors)),
        "refinement": (comparisons.REFINEMENT, comparisons.refinement(errors, radii)),
    }
