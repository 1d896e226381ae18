"""Force MAE against prior calls and against seconds per structure, all methods."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from mlipshift.base.text import listed
from mlipshift.base.timing import CPU
from mlipshift.catalogue import methods as methods_of
from mlipshift.catalogue.groups import POOLED, ordered
from mlipshift.catalogue.methods import METHODS
from mlipshift.evaluate.statistics import CHEMICAL_ACCURACY
from mlipshift.show import panels as parts
from mlipshift.show import samples, style
from mlipshift.show.panels import ERROR, MEAN
from mlipshift.show.style import PALE, WIDTH

NEEDS = {
    "frontier": ("method", *ERROR, "prior_calls_per_structure", "n_molecules"),
    "seconds": ("method", "seconds_per_structure", "measured"),
    "summary": samples.SUMMARY,
}


def draw(tables: Mapping[str, pd.DataFrame], title: str) -> tuple[Figure, dict[str, str]]:
    """(figure, facts of the caption)."""
    table = tables["frontier"].dropna(subset=[MEAN])
    table = samples.need(table, "frontier", "any method").set_index("method")
    aside = [key for key in table.index if key in METHODS and METHODS[key].aside]
    table = table.drop(index=aside)
    methods = ordered(table.index, METHODS)
    timed = tables["seconds"].set_index("method")
    timed = timed[timed.index.isin(methods) & (timed.seconds_per_structure > 0)]
    seconds = samples.need(timed, "seconds", "any method of frontier.csv").seconds_per_structure
    on_gpu = [key for key, how in timed.measured.items() if how != CPU]
    margins = {"left": 0.75, "right": 2.05, "top": 0.75, "bottom": 0.5, "wspace": 0.3}
    figure, panels = style.canvas(3.5, 1, 2, **margins, sharey=True)
    _by_calls(panels[0, 0], table)
    _by_seconds(panels[0, 1], table, seconds)
    panels[0, 0].set_ylabel(parts.scale(panels[0, 0], "y", parts.extent(table), "Force MAE (meV/Å)"))
    panels[0, 1].set_xlabel(("Seconds" if on_gpu else "CPU seconds") + " per structure, log scale")
    for name, panel in zip(("a  Cost in prior calls", "b  Cost in time"), panels[0]):
        parts.accuracy(panel)
        panel.set_title(name, pad=4)
    sample = samples.sample(tables["summary"], [POOLED], methods)
    style.head(figure, title, f"Held-out shift groups, {sample}")
    lowest = Line2D([], [], color=PALE, lw=2.5, label="Lowest error at this cost")
    alone = samples.alone(table)
    handles = [*(style.handle(k, line=False) for k in methods), lowest, *([style.alone_handle()] if alone else [])]
    handles.append(style.accuracy_handle())
    style.legend(figure, handles, 2.8, 1, x=WIDTH - 1.95)
    facts = {"sample": sample, "accuracy": str(CHEMICAL_ACCURACY)}
    missing = [methods_of.title(k) for k in methods if k not in seconds.index]
    facts |= {"gpu": listed(map(methods_of.title, on_gpu))} if on_gpu else {}
    facts |= {"aside": listed(map(methods_of.title, ordered(aside, METHODS)))} if aside else {}
    return figure, facts | alone | ({"missing": listed(missing)} if missing else {})


def _staircase(panel: Axes, x: np.ndarray | pd.Series, y: list[float] | pd.Series, end: float) -> None:
    """Lowest error reachable at a given cost or less, up to the cost `end`."""
    order = np.lexsort((np.asarray(y), np.asarray(x)))
    x, y = np.asarray(x)[order], np.minimum.accumulate(np.asarray(y)[order])
    panel.step([*x, end], [*y, y[-1]], where="post", color=PALE, lw=2.5, zorder=1)


def _by_calls(panel: Axes, table: pd.DataFrame) -> None:
    """Methods in one column per number of prior calls, side by side in the order of their error."""
    calls = table.prior_calls_per_structure.round(3)
    levels = sorted(calls.unique())
    lowest = []
    for cluster, level in enumerate(levels):
        members = table[calls == level].sort_values(MEAN)
        for k, (key, row) in enumerate(members.iterrows()):
            x = cluster + 0.8 * ((k + 0.5) / len(members) - 0.5)
            parts.mean(panel, x, row, **style.marks(key))
        lowest.append(members[MEAN].iloc[0])
        if cluster:
            panel.axvline(cluster - 0.5, color=PALE, lw=0.6)
    _staircase(panel, np.arange(len(levels)) - 0.5, lowest, len(levels) - 0.5)
    panel.set_xlim(-0.5, len(levels) - 0.5)
    panel.set_xticks(range(len(levels)), [f"{v:.2g}" for v in levels])
    panel.tick_params(axis="x", length=0)
    panel.set_xlabel("Prior calls per predicted structure")


def _by_seconds(panel: Axes, table: pd.DataFrame, seconds: pd.Series) -> None:
    """Methods by their time per structure; seconds: indexed by method."""
    for key in seconds.index:
        parts.mean(panel, seconds[key], table.loc[key], **style.marks(key))
    panel.set_xscale("log")
    _staircase(panel, seconds, table[MEAN][seconds.index], seconds.max() * 2)
    panel.set_xlim(seconds.min() / 2, seconds.max() * 2)
    panel.xaxis.set_minor_locator(NullLocator())
    panel.xaxis.set_major_formatter(parts.plain_numbers())
