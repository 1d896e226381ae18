"""What counts as equal: numbers that differ by rounding alone.

The same structure with its atoms in another order has the same spectrum but for the last bits, tables have eight
significant digits, and predictions are made in single precision. Whatever compares measured numbers does it here.
"""

import numpy as np

ABSOLUTE, RELATIVE = 1e-9, 1e-7


def rounding(values: np.ndarray | float) -> np.ndarray | float:
    """Differences up to which numbers of this size are equal, of the shape of `values`."""
    return ABSOLUTE + RELATIVE * np.abs(values)


def classes(values: np.ndarray) -> np.ndarray:
    """Numbers 0 to K - 1 [S], ascending with finite `values` [S]; the same one for values that are equal."""
    order = np.argsort(values, kind="stable")
    ascending = values[order]
    codes = np.empty(len(values), dtype=np.intp)
    codes[order] = np.cumsum(np.diff(ascending, prepend=ascending[:1]) > rounding(ascending))
    return codes


def distinct(values: np.ndarray) -> np.ndarray:
    """Ascending finite values, of those that are equal the least."""
    codes = classes(values)
    out = np.full(codes.max(initial=-1) + 1, np.inf)
    np.minimum.at(out, codes, values)
    return out


def places(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Number of the bin [S], between edges [K + 1], of values [S] that lie in one; equal ones are in the same."""
    return np.digitize(values + rounding(values), edges[1:-1])
