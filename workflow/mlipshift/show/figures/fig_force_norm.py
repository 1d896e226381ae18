"""Force MAE by mean force norm over the training density."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from mlipshift.show.figures import binned

NEEDS = binned.NEEDS


def draw(tables: Mapping[str, pd.DataFrame], title: str) -> tuple[Figure, dict[str, str]]:
    """(figure, facts of the caption)."""
    label = "Mean norm of the reference forces (eV/Å)"
    return binned.draw_axis(tables, title, "force_norm", label, unit=" (Å/eV)")
