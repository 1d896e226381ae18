"""Training and test structures in the representation of a diagnosed model, by group and by error."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from mlipshift.base.text import count
from mlipshift.catalogue.groups import group
from mlipshift.evaluate.statistics import TIE
from mlipshift.show import panels as parts
from mlipshift.show import style

ERROR = "force_mae_meV_per_A"
NEEDS = {"embedding": ("id", "group", "component_1", "component_2"), "errors": ("id", ERROR)}
GREY = "#C4C4C4"  # training structures
MOST = 5000  # points of a map per set; beyond it every n-th structure is drawn


def draw(
    tables: Mapping[str, pd.DataFrame], title: str, about: Mapping[str, Any]
) -> tuple[Figure, dict[str, str]] | None:
    """(figure, facts of the caption), None without a map; about: diagnosis.json and "title" of the model."""
    if not len(tables["embedding"]):
        return None
    table = tables["embedding"].dropna(subset=["component_1"])
    joined = table.merge(tables["errors"][["id", ERROR]], on="id")
    train, test = (joined[joined.group == "train"], joined[joined.group != "train"])
    labelled = test.dropna(subset=[ERROR])
    two = len(labelled) > 0
    groups = style.group_looks(test.group)
    size = 15 * min(1, max(0.3, 400 / max(len(train), len(test), 1)))
    rows = -(-(len(groups) + 1) // 5)  # of the legend
    margins = {"left": 0.62, "right": 0.95 if two else 3.2, "top": 0.72, "bottom": 0.65 + 0.16 * rows, "wspace": 0.2}
    figure, panels = style.canvas(3.55 + 0.16 * rows, 1, 1 + two, **margins, sharex=True, sharey=True)
    for panel in panels[0]:
        some = _thinned(train)
        panel.scatter(some.component_1, some.component_2, s=0.6 * size, color=GREY, lw=0, zorder=1)
        panel.set_xlim(_shared(table, "component_1"))
        panel.set_ylim(_shared(table, "component_2"))
        panel.set_xlabel(f"Component 1 ({100 * about['explained_variance'][0]:.0f} % of the variance)")
    panels[0, 0].set_ylabel(f"Component 2 ({100 * about['explained_variance'][1]:.0f} %)")
    for key, marks in groups.items():
        part = _thinned(test[test.group == key])
        panels[0, 0].scatter(part.component_1, part.component_2, s=size, zorder=2, **marks)
    panels[0, 0].set_title("a  By group" if two else "By group", pad=4)
    if two:
        _by_error(figure, panels[0, 1], labelled, size)
    n_train, n_test = count(len(train)), count(len(test))
    known = f"{n_train} training and " if len(train) else ""
    style.head(figure, title, f"{about['title']}; n = {known}{n_test} test structures")
    style.legend(figure, _handles(groups, len(train) > 0), 0.08 + 0.16 * rows, 5)
    facts = {"model": about["title"], "n_test": n_test} | ({"n_train": n_train} if len(train) else {})
    facts |= {"n_errors": count(len(labelled))} if two else {}
    return figure, facts | ({"most": str(MOST)} if max(len(train), len(test)) > MOST else {})


def _thinned(table: pd.DataFrame) -> pd.DataFrame:
    return table.iloc[:: -(-len(table) // MOST) or 1]


def _shared(table: pd.DataFrame, column: str) -> tuple[float, float]:
    """Limits of a component over all structures with a margin of 4 %."""
    low, high = table[column].min(), table[column].max()
    return low - 0.04 * (high - low), high + 0.04 * (high - low)


def _by_error(figure: Figure, panel: Axes, labelled: pd.DataFrame, size: float) -> None:
    """Test structures coloured by their error, with a colour bar."""
    # in no order, so that neither large nor small errors lie on top
    part = _thinned(labelled).sample(frac=1, random_state=0)
    low, high = np.quantile(labelled[ERROR], [0.02, 0.98])
    high = max(high, parts.SPAN * TIE)
    low = max(low, high / parts.SPAN)  # errors that vanish by symmetry have the colour of the least
    marks: dict[str, Any] = {"norm": LogNorm(low, max(high, low * 1.01)), "cmap": "viridis_r", "lw": 0.3, "ec": "white"}
    points = panel.scatter(part.component_1, part.component_2, c=part[ERROR], s=size, zorder=2, **marks)
    panel.set_title("b  By error", pad=4)
    box = panel.get_position()
    bar = figure.colorbar(points, cax=figure.add_axes((box.x1 + 0.015, box.y0, 0.016, box.height)))
    bar.set_label("Force MAE (meV/Å), log scale")
    bar.ax.yaxis.set_major_formatter(parts.plain_numbers())
    bar.ax.yaxis.set_minor_formatter(FuncFormatter(lambda v, _: f"{v:g}" if str(v)[0] in "25" else ""))
    bar.outline.set_visible(False)


def _handles(groups: Mapping[str, Mapping[str, Any]], trained: bool) -> list[Line2D]:
    handles = [Line2D([], [], ls="none", marker="o", ms=4, color=GREY, label="Training")] if trained else []
    for g, marks in groups.items():
        face, edge, width = (marks[key] for key in ("facecolor", "edgecolor", "linewidth"))
        point: dict[str, Any] = {"ls": "none", "ms": 4.5, "mfc": face, "mec": edge, "mew": width}
        handles.append(Line2D([], [], marker=marks["marker"], label=group(g), **point))
    return handles
