"""Parts of a panel: scales, error bars, chemical accuracy, notes, the training density behind it."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from mlipshift.base.text import listed
from mlipshift.catalogue.groups import ordered
from mlipshift.catalogue.methods import METHODS, title
from mlipshift.evaluate import statistics
from mlipshift.evaluate.statistics import CHEMICAL_ACCURACY
from mlipshift.show.style import DASHED, DOTTED, MUTED, PALE, WIDTH

MEAN, LOW, HIGH = statistics.MEAN
ERROR = (MEAN, LOW, HIGH)
INSTEAD = ("joint_corrected", "delta")  # what the same prior calls would have given
FENCE = 3  # beyond the middle 95 % of values, up to which an axis of single structures reaches
SPAN = 1000  # largest factor between the ends of a logarithmic axis: errors that vanish by symmetry have no say


def instead(methods: Iterable[str]) -> dict[str, str]:
    """The fact of a caption that names those of INSTEAD that are shown, if any is."""
    shown = ordered(set(methods) & set(INSTEAD), METHODS)
    return {"instead": listed(map(title, shown))} if shown else {}


def accuracy(axes: Axes, horizontal: bool = True) -> None:
    """Dashed line at chemical accuracy."""
    line = axes.axhline if horizontal else axes.axvline
    line(CHEMICAL_ACCURACY, color=MUTED, ls=DASHED, lw=0.8, zorder=1)


def scale(axes: Axes, which: str, values: np.ndarray | pd.Series, label: str) -> str:
    """Label of the axis `which` ("x", "y") of an error; it starts at zero, or is logarithmic beyond a factor of six.

    A logarithmic axis ends at SPAN, and its label says that there is something below.
    """
    values = np.asarray(values, dtype=float)
    values = values[np.isfinite(values)]
    high = max(values.max(initial=0), CHEMICAL_ACCURACY)
    low = min(values[values > high / SPAN].min(initial=high), CHEMICAL_ACCURACY)
    below = values.min(initial=high) < low
    axis = getattr(axes, f"{which}axis")
    limits = getattr(axes, f"set_{which}lim")
    if high > 6 * low:
        getattr(axes, f"set_{which}scale")("log")
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(plain_numbers())
        limits(low / 1.15, high * 1.15)
        return f"{label}, log scale" + ("\nsmaller ones below" if below else "")
    limits(0, high * 1.08)
    return label


def plain_numbers() -> FuncFormatter:
    """Tick labels without powers of ten."""
    return FuncFormatter(lambda v, _: f"{v:g}")


def signed_numbers() -> FuncFormatter:
    """The same with a true minus sign."""
    return FuncFormatter(lambda v, _: f"{v:g}".replace("-", "−"))


def fence(values: np.ndarray | pd.Series) -> tuple[float, float]:
    """Least and largest of positive values [S] within a factor of FENCE of their middle 95 %.

    What lies beyond, errors that vanish by symmetry for one, would leave no room for all the others.
    """
    values = np.asarray(values, dtype=float)
    values = values[np.isfinite(values) & (values > 0)]
    if not len(values):
        return 1.0, 1.0
    low, high = np.quantile(values, [0.025, 0.975])
    inside = values[(values >= low / FENCE) & (values <= high * FENCE)]
    return inside.min(), inside.max()


def ends(axes: Axes, which: str, low: float, high: float) -> None:
    """Limits of the axis `which` ("x", "y") around positive values; it is logarithmic beyond a factor of four."""
    axis = getattr(axes, f"{which}axis")
    if high > 4 * low:
        getattr(axes, f"set_{which}scale")("log")
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        getattr(axes, f"set_{which}lim")(low / 1.15, high * 1.15)
    else:
        axis.set_major_locator(MaxNLocator(4))
        margin = 0.05 * (high - low) or 0.1 * high
        getattr(axes, f"set_{which}lim")(low - margin, high + margin)
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(plain_numbers())


def interval(row: Mapping[str, float]) -> np.ndarray:
    """Lengths [2, 1] of the error bar of one row; none where the table has no interval."""
    return np.nan_to_num(np.array([[row[MEAN] - row[LOW]], [row[HIGH] - row[MEAN]]], dtype=float)).clip(0)


def point(
    panel: Axes, x: float, y: float, ends: tuple[float, float], alone: bool, along: str = "y", **marks: Any
) -> None:
    """A value with the interval `ends` along an axis, none if it is not finite.

    alone: of one molecule, whose interval is dotted: over its structures, it is too narrow. marks: of style.marks.
    """
    value = y if along == "y" else x
    lengths = np.nan_to_num(np.array([[value - ends[0]], [ends[1] - value]], dtype=float)).clip(0)
    bars: dict[str, Any] = {f"{along}err": lengths, "elinewidth": 1.1, "ls": "none"}
    drawn = panel.errorbar(x, y, **bars | marks)
    if alone:
        drawn[2][0].set_linestyle(DOTTED)


def mean(panel: Axes, x: float, row: Mapping[str, Any], **marks: Any) -> None:
    """`point` of the mean of a row of a table with its interval, along y."""
    point(panel, x, row[MEAN], (row[LOW], row[HIGH]), row["n_molecules"] == 1, **marks)


def extent(table: pd.DataFrame) -> np.ndarray:
    """Everything [S, 3] that a scale has to hold."""
    return table[list(ERROR)].to_numpy(dtype=float)


def note(panel: Axes, text: str) -> None:
    """Muted text above the right end of a panel."""
    panel.text(1, 1.02, text, ha="right", va="bottom", transform=panel.transAxes, color=MUTED, size=7)


def shortened(panel: Axes, title: str) -> str:
    """A title that is no wider than its panel."""
    longest = int(panel.get_position().width * WIDTH / 0.075)  # inches of a letter
    return title if len(title) <= longest else f"{title[: longest - 1].rstrip()}…"


def heading(panel: Axes, title: str, text: str) -> None:
    """Title of a panel, shortened to its width, and a `note` beside it or, where there is no room, below."""
    wide, title = panel.get_position().width * WIDTH, shortened(panel, title)
    panel.set_title(title, pad=4 if 0.072 * len(title) + 0.06 * len(text) + 0.1 <= wide else 14)
    note(panel, text)


def foot(panels: np.ndarray, used: int, label: str) -> None:
    """Hide the panels [rows, columns] beyond `used` and label the x axis of the lowest one of each column."""
    columns = panels.shape[1]
    for k, panel in enumerate(panels.flat):
        panel.set_visible(k < used)
        if used - columns <= k < used:
            panel.set_xlabel(label)
            panel.tick_params(labelbottom=True)


def behind(panel: Axes, density: pd.DataFrame, label: str | None) -> Axes:
    """Histogram of the training structures in the lower half behind a panel, its axis labelled if there is a label."""
    axes = panel.twinx()
    axes.set_zorder(0)
    panel.set_zorder(1)
    panel.patch.set_visible(False)
    width = density.bin_right - density.bin_left
    axes.bar(density.bin_left, density.density, width=width, align="edge", color=PALE, lw=0)
    highest = density.density.max() or 1.0  # no training structure
    axes.set_ylim(0, highest * 2.2)
    if label is None:
        axes.set_yticks([])
        return axes
    axes.set_yticks([t for t in MaxNLocator(3).tick_values(0, highest) if t <= 1.1 * highest])
    axes.spines["right"].set_visible(True)
    axes.spines["right"].set_color(PALE)
    axes.tick_params(axis="y", color=PALE, labelcolor=MUTED)
    axes.set_ylabel(label, color=MUTED, loc="bottom")
    return axes


def inner_ticks(panel: Axes, table: pd.DataFrame) -> None:
    """Ticks inside a panel at the edges of the bins."""
    panel.set_xticks(sorted({*table.bin_left, *table.bin_right}), minor=True)
    panel.tick_params(axis="x", which="minor", length=3, color=MUTED, direction="in")
