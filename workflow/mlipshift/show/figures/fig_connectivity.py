"""Force MAE by fraction of Laplacian eigenvalues in [0.9, 1.1] over the training density."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from mlipshift.show.figures import binned

NEEDS = binned.NEEDS


def draw(tables: Mapping[str, pd.DataFrame], title: str) -> tuple[Figure, dict[str, str]]:
    """(figure, facts of the caption)."""
    return binned.draw_axis(tables, title, "window_fraction", "Fraction of the eigenvalues in [0.9, 1.1]", unit="")
