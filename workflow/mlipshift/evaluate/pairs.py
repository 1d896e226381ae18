"""Rows of tables that are drawn as molecules."""

from typing import Any

import numpy as np

from mlipshift.base.geometry import symbol
from mlipshift.catalogue.pairs import PAIR


def pair(numbers: np.ndarray, positions: np.ndarray, i: int, j: int) -> dict[str, Any]:
    """Columns PAIR of the atoms i and j of a structure; numbers [n], positions [n, 3] Å."""
    elements = (symbol(int(numbers[k])) for k in (i, j))
    return dict(zip(PAIR, (i, j, *elements, *positions[i], *positions[j])))
