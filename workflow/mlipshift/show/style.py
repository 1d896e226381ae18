"""The house style of the figures: palette, settings of matplotlib, page, legend, markers of the methods.

The same method has the same colour and marker in every figure (Okabe-Ito palette, which stays distinguishable for
colour-blind readers). Widths are in inches for a journal page of 178 mm.
"""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.typing import RcKeyType

from mlipshift.catalogue import methods
from mlipshift.catalogue.groups import GROUPS, ordered
from mlipshift.evaluate.statistics import CHEMICAL_ACCURACY

WIDTH = 7.0
INK, MUTED, PALE = "#222222", "#6B6B6B", "#DCDCDC"
RC: dict[RcKeyType, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # ships with matplotlib: the same bytes on every machine
    "font.size": 7.5,
    "axes.titlesize": 8,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 7.5,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "text.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 7,
    "lines.linewidth": 1.2,
    "lines.markersize": 4.5,
    "svg.fonttype": "path",
    "svg.hashsalt": "mlipshift",
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
}
# of groups of structures, none of them the colour of a method
SERIES = (
    *(("#B5485D", "o"), ("#2E7D4F", "^"), ("#B07D00", "s"), ("#7B4FA3", "D")),
    *(("#3F7CAC", "v"), ("#6B4226", "P"), ("#5F6B6D", "X"), ("#C06090", "<")),
)
# chemical accuracy; an interval of one molecule; a method beside the others
DASHED, DOTTED, DASHDOT = (0, (4, 2)), (0, (1, 1.5)), (0, (5, 1.5, 1, 1.5))


def house_style() -> AbstractContextManager:
    """Context in which figures are drawn."""
    return mpl.rc_context(RC)


def save(figure: Figure, path: Path) -> None:
    """Write SVG or PNG by suffix; equal figures give equal bytes."""
    plain = {"Date": None} if path.suffix == ".svg" else {"Software": None}
    with house_style():
        figure.savefig(path, metadata=plain, dpi=300)


def canvas(
    height: float,
    rows: int,
    columns: int,
    left: float,
    right: float,
    top: float,
    bottom: float,
    wspace: float = 0.5,
    hspace: float = 0.6,
    **share: Any,
) -> tuple[Figure, np.ndarray]:
    """Figure with margins and gaps in inches, and its axes [rows, columns]; share: keywords of plt.subplots."""
    figure = Figure(figsize=(WIDTH, height))
    axes = figure.subplots(rows, columns, squeeze=False, **share)
    each = (
        (WIDTH - left - right - (columns - 1) * wspace) / columns,
        (height - top - bottom - (rows - 1) * hspace) / rows,
    )
    figure.subplots_adjust(
        left=left / WIDTH,
        right=1 - right / WIDTH,
        top=1 - top / height,
        bottom=bottom / height,
        wspace=wspace / each[0],
        hspace=hspace / each[1],
    )
    return figure, axes


def head(figure: Figure, title: str, subtitle: str) -> None:
    """Title and muted subtitle at the upper left of a figure."""
    height = figure.get_figheight()
    figure.text(0.08 / WIDTH, 1 - 0.08 / height, title, va="top", size=9.5, weight="bold")
    figure.text(0.08 / WIDTH, 1 - 0.27 / height, subtitle, va="top", size=7.5, color=MUTED)


def empty(title: str, reason: str) -> Figure:
    """Figure that says why there is nothing to draw."""
    figure = Figure(figsize=(WIDTH, 1.0))
    head(figure, title, reason)
    return figure


def legend(figure: Figure, handles: Iterable[Artist], y: float, columns: int, x: float = 0.08) -> None:
    """Legend at `y` inches from the bottom of the figure (upper edge), outside the axes; of fewer columns to fit."""
    handles, renderer = list(handles), FigureCanvasAgg(figure).get_renderer()
    for number in range(columns, 0, -1):
        made = figure.legend(
            handles=handles,
            loc="upper left",
            bbox_to_anchor=(x / WIDTH, y / figure.get_figheight()),
            ncols=number,
            handlelength=1.6,
            columnspacing=1.4,
            borderaxespad=0,
            labelspacing=0.35,
        )
        if made.get_window_extent(renderer).x1 <= figure.bbox.x1:
            return
        if number > 1:
            made.remove()


def colour(key: str) -> str:
    """Colour of a method."""
    return methods.look(key)[0]


def circle(colour: str, filled: bool) -> dict[str, Any]:
    """Keywords of a circle in the colour of a method; open for what is before."""
    return {"color": colour, "marker": "o", "ms": 4.8, "mew": 1.1, "mec": colour, "mfc": colour if filled else "white"}


def marks(key: str) -> dict[str, Any]:
    """Keywords of a line of a method."""
    return drawn_as(methods.look(key))


def drawn_as(look: methods.Look) -> dict[str, Any]:
    """Keywords of a line of a look of the catalogue."""
    colour, marker, filled = look
    line = not filled or marker == "x"  # drawn by its edge; a filled marker has a white edge against overlap
    return {
        "color": colour,
        "marker": marker,
        "markerfacecolor": colour if filled else "white",
        "markeredgecolor": colour if line else "white",
        "markeredgewidth": 1.1 if line else 0.5,
        "markersize": 4.3 if line else 5.6,
    }


def group_looks(keys: Iterable[str]) -> dict[str, dict[str, Any]]:
    """{group: keywords of a marker} in the order of GROUPS; a validation group is that of its shift, open."""
    found = ordered(keys, GROUPS)
    shift = lambda g: g.removeprefix("val_").removeprefix("ood_")
    places = {name: k for k, name in enumerate(dict.fromkeys(map(shift, found)))}
    looks = {}
    for g in found:
        (colour, marker), opened = SERIES[places[shift(g)] % len(SERIES)], g.startswith("val_")
        looks[g] = {
            "marker": marker,
            "facecolor": "white" if opened else colour,
            "edgecolor": colour if opened else "white",
            "linewidth": 0.9 if opened else 0.3,
        }
    return looks


def handle(key: str, line: bool = True, name: str = "") -> Line2D:
    """Entry of a legend for a method."""
    return Line2D([], [], ls="-" if line else "none", lw=1.2, label=name or methods.title(key), **marks(key))


def alone_handle() -> Line2D:
    """Entry of a legend for intervals of a single molecule."""
    return Line2D([], [], color=MUTED, lw=1.1, ls=DOTTED, label="Of one molecule: too narrow")


def accuracy_handle() -> Line2D:
    """Entry of a legend for the line of chemical accuracy."""
    return Line2D([], [], color=MUTED, ls=DASHED, lw=0.8, label=f"Chemical accuracy ({CHEMICAL_ACCURACY} meV/Å)")
