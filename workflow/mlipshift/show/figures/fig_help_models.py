"""Mean error of every model in every held-out group, a table with colours."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mlipshift.show import help_groups, samples, style
from mlipshift.show.style import INK

NEEDS = {"groups": ("group", "method", "model", "mean_meV_per_A", "n_structures")}


def draw(
    tables: Mapping[str, pd.DataFrame], title: str, about: Mapping[str, Any]
) -> tuple[Figure, dict[str, str]] | None:
    """(figure, facts of the caption); about: {"titles": {model: title}}."""
    table = tables["groups"]
    own = (table.method == table.model) | (table.method == "prior")
    table = table[own & np.isfinite(table.mean_meV_per_A.astype(float))]
    groups = help_groups.held_out(table.group)
    if not groups:
        raise samples.NothingToDraw("no held-out group has an error")
    names = [m for m in (*about["titles"], "prior") if m in set(table.method)]
    values = table.pivot_table(index="method", columns="group", values="mean_meV_per_A").reindex(names, columns=groups)
    height = 1.2 + 0.26 * len(names)
    figure, panels = style.canvas(height, 1, 1, left=1.9, right=0.15, top=1.0, bottom=0.2)
    panel = panels[0, 0]
    # one shade per factor of two, the eye compares rows of a column
    shade = np.log2(values.to_numpy() / 25).clip(0, 5) / 5
    panel.imshow(np.where(np.isfinite(shade), shade, np.nan), cmap="YlOrBr", vmin=0, vmax=1.35, aspect="auto")
    best = values.min()
    for y, name in enumerate(names):
        for x, group in enumerate(groups):
            if np.isfinite(value := values.loc[name, group]):
                weight = "bold" if value == best[group] else "normal"
                panel.text(x, y, f"{value:,.0f}", ha="center", va="center", size=7, weight=weight, color=INK)
    panel.set_xticks(range(len(groups)), [help_groups.title(g) for g in groups], rotation=35, ha="left")
    panel.set_yticks(range(len(names)), [help_groups.method(n, about["titles"]) for n in names])
    panel.tick_params(top=True, labeltop=True, bottom=False, labelbottom=False, length=0)
    panel.spines[:].set_visible(False)
    style.head(figure, title, "Force MAE of held-out structures, meV/Å")
    counted = table.groupby("group").n_structures.max()
    sizes = ", ".join(f"{help_groups.title(g).lower()} {counted[g]:.0f}" for g in groups)
    return figure, {"sizes": sizes}
