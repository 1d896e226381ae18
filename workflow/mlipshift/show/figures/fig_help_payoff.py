"""What help gains against how much worse than the prior the model was: the true ratio, and the expected one."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mlipshift.base.text import listed
from mlipshift.show import samples, style
from mlipshift.show.style import INK, MUTED, SERIES

NEEDS = {"payoff": ("run", "id", "group", "method", "model", "error_ratio", "gain_ratio", "expected_ratio")}
WAYS = {"corrected": "Corrected", "rescued": "Rescued", "ttt": "TTT", "other": "TTT of the two-head model, other runs"}
BINS = 12
ACROSS, UP = (0.05, 20.0), (0.05, 5.0)


def draw(
    tables: Mapping[str, pd.DataFrame], title: str, about: Mapping[str, Any]
) -> tuple[Figure, dict[str, str]] | None:
    """(figure, facts of the caption)."""
    table = tables["payoff"]
    way = table.method.astype(str).str.split("_").str[-1].where(table.run.isna(), "other")
    table = table.assign(way=way)[table.group.astype(str).str.startswith("ood_") & way.isin([*WAYS])]
    if not len(table):
        raise samples.NothingToDraw("no held-out structure has an error before and after help")
    margins = {"left": 0.7, "right": 0.15, "top": 0.75, "bottom": 0.95, "wspace": 0.35}
    figure, panels = style.canvas(3.6, 1, 2, **margins, sharey=True)
    names = ("a  True ratio", "b  Expected without a label")
    labels = ("Error before / error of the prior", "Expected error / that of the prior")
    for panel, column, name, label in zip(panels[0], ("error_ratio", "expected_ratio"), names, labels):
        _cloud(panel, table, column)
        panel.set_title(name, pad=4)
        panel.set_xlabel(label)
    panels[0, 0].set_ylabel("Error after / error before")
    style.head(figure, title, "Below 1 help improves; right of 1 the prior is the better of the two")
    found = [w for w in WAYS if w in set(table.way)]
    looks = {w: SERIES[k] for k, w in enumerate(WAYS)}
    handles = [Line2D([], [], color=looks[w][0], marker=looks[w][1], lw=1.4, ms=4, label=WAYS[w]) for w in found]
    style.legend(figure, handles, 0.32, 4)
    x, y = table.error_ratio.astype(float), table.gain_ratio.astype(float)
    beyond = int(((x < ACROSS[0]) | (x > ACROSS[1]) | (y < UP[0]) | (y > UP[1])).sum())
    facts = {
        "n_points": f"{len(table):,}",
        "n_structures": str(table.id.nunique()),
        "n_models": str(table.model.nunique()),
    }
    if runs := listed(sorted(set(table.run.dropna()))):
        facts["runs"] = runs
    return figure, facts | ({"beyond": str(beyond)} if beyond else {})


def _cloud(panel: Axes, table: pd.DataFrame, column: str) -> None:
    """Points and running medians of every way."""
    for k, way in enumerate(WAYS):
        colour, marker = SERIES[k]
        own = table[(table.way == way) & np.isfinite(table[column].astype(float))]
        if not len(own):
            continue
        x, y = own[column].astype(float).clip(*ACROSS), own.gain_ratio.astype(float).clip(*UP)
        panel.scatter(x, y, s=3, color=colour, alpha=0.18, lw=0, zorder=1)
        order = np.argsort(x.to_numpy())
        parts = [part for part in np.array_split(order, min(BINS, max(1, len(order) // 20))) if len(part)]
        middle = [(np.median(x.to_numpy()[part]), np.median(y.to_numpy()[part])) for part in parts]
        panel.plot(*zip(*middle), color=colour, marker=marker, ms=4, lw=1.4, zorder=3)
    panel.axhline(1, color=INK, lw=0.8)
    panel.axvline(1, color=MUTED, lw=0.8)
    panel.set_xscale("log")
    panel.set_yscale("log")
    panel.set_xlim(*ACROSS)
    panel.set_ylim(*UP)
    panel.set_xticks([0.1, 1, 10], ["0.1", "1", "10"])
    panel.set_yticks([0.1, 0.2, 0.5, 1, 2, 5], ["0.1", "0.2", "0.5", "1", "2", "5"])
    panel.minorticks_off()
