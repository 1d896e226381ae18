"""Distribution of every measure of shift in the training set and in each group."""

from collections.abc import Mapping
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from mlipshift.base.rounding import distinct
from mlipshift.base.text import count, listed
from mlipshift.catalogue.criteria import CRITERIA
from mlipshift.catalogue.groups import GROUPS, group, ordered
from mlipshift.show import style
from mlipshift.show.criteria import AXES, short
from mlipshift.show.style import MUTED, PALE

NEEDS = {"shifts": ("id", "group")}
GAP = 0.62  # inches between rows of panels, two lines of a title among them
TITLE = 28  # letters of a line that fits over a panel


def draw(tables: Mapping[str, pd.DataFrame], title: str, about: Mapping[str, Any]) -> tuple[Figure, dict[str, str]]:
    """(figure, facts of the caption); about: {"sigma": half width of the band in training standard deviations}."""
    table, sigma = tables["shifts"], about["sigma"]
    measured = [c for c in CRITERIA if c in table.columns and table[c].notna().any()]
    names = [c for c in measured if len(distinct(table[c].dropna().to_numpy(dtype=float))) > 1] or measured
    groups = ordered(table.group, GROUPS)
    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    each = 0.3 + 0.145 * len(groups)
    height = 0.75 + rows * each + (rows - 1) * GAP + 0.65
    margins = {"left": 1.5, "right": 0.15, "top": 0.75, "bottom": 0.65, "wspace": 0.3, "hspace": GAP}
    figure, panels = style.canvas(height, rows, columns, **margins, sharey=True)
    for panel, name in zip(panels.flat, names):
        _distributions(panel, table, name, groups, sigma)
    for panel in panels.flat[len(names) :]:
        panel.set_visible(False)
    sizes = table.groupby("group").id.size()
    trained = sizes.get("train", 0)
    known = f"{count(trained)} training and " if trained else ""
    style.head(figure, title, f"n = {known}{count(len(table) - trained)} test structures")
    handles: list[Artist] = [
        Line2D([], [], color=MUTED, marker="o", ms=3.6, lw=0, label="Median"),
        Line2D([], [], color=MUTED, lw=4, alpha=0.55, label="Middle half"),
        Line2D([], [], color=MUTED, lw=0.8, label="5 % to 95 %"),
    ]
    if trained:
        handles.append(Patch(color=PALE, label=f"Within {sigma:g} σ of the training mean"))
    style.legend(figure, handles, 0.22, 4)
    facts = {"sigma": f"{sigma:g}"} if trained else {}
    facts |= {"sizes": "; ".join(f"{group(g)} {count(sizes[g])}" for g in groups)}
    same = [short(c).lower() for c in measured if c not in names]
    return figure, facts | ({"same": listed(same)} if same else {})


def _distributions(panel: Axes, table: pd.DataFrame, name: str, groups: list[str], sigma: float) -> None:
    """Median, middle half and 5 % to 95 % of one measure in every group, over the training band."""
    known = table[table.group == "train"][name].dropna()
    middle, spread = known.mean(), known.std(ddof=0)
    if len(known):
        panel.axvspan(middle - sigma * spread, middle + sigma * spread, color=PALE, alpha=0.6, lw=0)
    for y, key in enumerate(reversed(groups)):
        values = table[table.group == key][name].dropna()
        if not len(values):
            continue
        colour = MUTED if key == "train" else AXES[CRITERIA[name].axis].colour
        low, first, median, third, high = np.quantile(values, [0.05, 0.25, 0.5, 0.75, 0.95])
        panel.plot([low, high], [y, y], color=colour, lw=0.8)
        panel.plot([first, third], [y, y], color=colour, lw=4, alpha=0.55, solid_capstyle="butt")
        panel.plot(median, y, "o", ms=3.6, color=colour, mec="white", mew=0.4)
    panel.set_title(fill(short(name), TITLE, break_on_hyphens=False), pad=4, size=7.2)
    panel.xaxis.set_major_locator(MaxNLocator(3))
    panel.set_yticks(range(len(groups)), [group(g) for g in reversed(groups)])
    panel.set_ylim(-0.6, len(groups) - 0.4)
    panel.tick_params(axis="y", length=0)
