"""Numbers in words, and what may be said of a paired difference."""

from collections.abc import Mapping

import numpy as np

from mlipshift.base.text import count, several
from mlipshift.evaluate import statistics

MEAN, LOW, HIGH = statistics.MEAN
ALONE = "†"  # behind an interval over the structures of a single molecule, which is too narrow
FEW = 20  # structures below which a share is a count
RESOLUTION = 0.05  # meV/Å, half a unit of the last digit shown
VERBS = {
    "lower": "lowers",
    "higher": "raises",
    "unclear": "does not measurably change",
    "same": "does not change",
}
COMPARES = {
    "lower": "is more accurate than",
    "higher": "is less accurate than",
    "unclear": "cannot be told apart from",
    "same": "is as accurate as",
}


def number(value: float | None, sign: bool = False) -> str:
    """'1,194', '131.0' or '−4.2' with a true minus sign; '–' for a missing value."""
    if value is None or not np.isfinite(value):
        return "–"
    text = f"{abs(value):,.{0 if abs(value) >= 999.95 else 1}f}"
    if text == "0.0":
        return text
    return f"{'−' if value < 0 else '+' if sign else ''}{text}"


def share(value: float, number_of: float = np.inf) -> str:
    """'23 %' or '0.4 %' of a fraction, '3 of 13' of less than FEW structures; '–' for a missing value."""
    if not np.isfinite(value):
        return "–"
    if number_of < FEW:
        return f"{count(value * number_of)} of {count(number_of)}"
    return f"{100 * value:.1f} %" if 0 < abs(value) < 0.0995 else f"{100 * value:.0f} %"


def portion(value: float, number_of: float) -> str:
    """'23 % of the structures', or '3 of 13 structures' of few."""
    return share(value, number_of) + (" structures" if number_of < FEW else " of the structures")


def duration(seconds: float) -> str:
    """'0.0032 s', '0.95 s', '42 s', '13 min' or '2.1 h'."""
    if not np.isfinite(seconds):
        return "–"
    if seconds < 90:
        return f"{seconds:.2g} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def bracket(low: float, high: float, sign: bool = False) -> str:
    """'[a, b]', or 'no interval' where the table has none."""
    if not (np.isfinite(low) and np.isfinite(high)):
        return "no interval"
    return f"[{number(low, sign)}, {number(high, sign)}]"


def interval(row: Mapping[str, float], sign: bool = False, prefix: str = "") -> str:
    """`bracket` of a row of a table, with ALONE where all its structures are of one molecule; prefix of the columns."""
    text = bracket(row[prefix + LOW], row[prefix + HIGH], sign)
    return text + ALONE if row["n_molecules"] == 1 and text.startswith("[") else text


def error_of(row: Mapping[str, float]) -> str:
    """'72.4 meV/Å [61.3, 88.0]' of a row of the summary."""
    return f"{number(row[MEAN])} meV/Å {interval(row)}"


def sample(row: Mapping[str, float]) -> str:
    """'174 structures of 43 molecules, 3 seeds' of a row of the summary or of the paired table."""
    seeds = row["n_seeds"]
    text = f"{count(row['n_structures'])} structures of {several(count(row['n_molecules']), 'molecule')}"
    if np.isfinite(seeds) and seeds > 0:
        text += f", {several(count(seeds), 'seed')}"
    return text


def verdict(row: Mapping[str, float]) -> str:
    """'lower', 'higher', 'same', or 'unclear' where the 95 % interval holds zero or is missing.

    Differences that round to 0.0 meV/Å are none: they come from the order of summation.
    """
    low, high = row[LOW], row[HIGH]
    if max(abs(low), abs(high), abs(row["difference_meV_per_A"])) < RESOLUTION:
        return "same"
    return "lower" if high <= -RESOLUTION else "higher" if low >= RESOLUTION else "unclear"


def difference(row: Mapping[str, float]) -> str:
    """'+4.2 [+1.0, +7.3]' of a row of the paired table."""
    return f"{number(row['difference_meV_per_A'], True)} {interval(row, True)}"


def change(row: Mapping[str, float], sampled: bool = True) -> str:
    """'from X to Y meV/Å (paired difference D, 95 % interval [a, b]; sample)'."""
    return (
        f"from {number(row['baseline_mean_meV_per_A'])} to {number(row['method_mean_meV_per_A'])} meV/Å"
        f" (paired difference {number(row['difference_meV_per_A'], True)},"
        f" 95 % interval {interval(row, True)}" + (f"; {sample(row)})" if sampled else ")")
    )
