"""Force MAE against the number of labelled structures, of new molecules and of the known ones."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from mlipshift.base.text import count, listed, several
from mlipshift.catalogue import methods
from mlipshift.catalogue.groups import group as title_of
from mlipshift.catalogue.groups import ordered
from mlipshift.evaluate.finetuning import ALL
from mlipshift.evaluate.statistics import CHEMICAL_ACCURACY
from mlipshift.show import panels as parts
from mlipshift.show import samples, style
from mlipshift.show.panels import ERROR, MEAN
from mlipshift.show.style import DASHDOT, INK, MUTED

KNOWN = ("known_meV_per_A", "known_ci_low_meV_per_A", "known_ci_high_meV_per_A")
NEEDS = {
    "learning_curves": ("group", "start", "replay", "n_labels", *samples.SIZES, *ERROR, "n_known", *KNOWN),
    "labels_needed": ("group", "start", "replay", "target_meV_per_A", "n_labels_needed"),
    "published": ("quantity", "published"),
}
PUBLISHED = "Structures to reach"
COLUMNS = 3


def draw(tables: Mapping[str, pd.DataFrame], title: str) -> tuple[Figure, dict[str, str]]:
    """(figure, facts of the caption)."""
    table = samples.need(tables["learning_curves"], "learning_curves", "fine-tuning")
    groups = [g for g in dict.fromkeys(table.group) if g != ALL]
    total = len(groups) + 1
    columns, rows = min(COLUMNS, total), -(-total // COLUMNS)
    margins = {"left": 0.75, "right": 0.15, "top": 0.75, "bottom": 1.35, "wspace": 0.55, "hspace": 0.75}
    figure, panels = style.canvas(2.1 + 2.2 * rows, rows, columns, **margins)
    target = float(tables["labels_needed"].target_meV_per_A.iloc[0])
    found = tables["published"]
    found = found[found.quantity.astype(str).str.startswith(PUBLISHED)].published.astype(float)
    used = list(panels.flat)[:total]
    for panel, name in zip(used, groups):
        _curves(panel, table[table.group == name], ERROR)
        panel.set_title(parts.shortened(panel, title_of(name)), pad=4)
        panel.plot(found, [target] * len(found), ls="none", marker="*", ms=7, color=INK, mec="white", mew=0.5, zorder=5)
        panel.axhline(target, color=MUTED, lw=0.8, ls=DASHDOT, zorder=1)
    known = table[table.group == ALL]
    _curves(used[-1], known, KNOWN)
    used[-1].set_title("Known molecules", pad=4)
    for panel, own, columns_of in [(p, table[table.group == g], ERROR) for p, g in zip(used, groups)] + [
        (used[-1], known, KNOWN)
    ]:
        low = [target] if columns_of is ERROR else []
        values = np.concatenate([own[list(columns_of)].to_numpy(dtype=float).ravel(), low])
        panel.set_ylabel(parts.scale(panel, "y", values, "Force MAE (meV/Å)"))
        parts.accuracy(panel)
        panel.set_xlabel("Labelled structures")
    for panel in list(panels.flat)[total:]:
        panel.set_visible(False)
    shown = table[table.group.isin(groups)]
    sample = samples.sizes(known)
    style.head(figure, title, f"New molecules: {sample}")
    alone = samples.alone(shown)
    style.legend(
        figure, [*_handles(table, target, len(found) > 0), *([style.alone_handle()] if alone else [])], 0.66, 3
    )
    facts = {"sample": sample, "accuracy": str(CHEMICAL_ACCURACY), "target": f"{target:g}"}
    facts["known"] = several(count(float(known.n_known.max())), "structure")
    if len(found):
        facts["published"] = listed(f"{v:g}" for v in found)
    return figure, facts | alone


def _curves(panel: Axes, table: pd.DataFrame, columns: tuple[str, ...]) -> None:
    """Lines of every start, with replay dashed; the start with no label is the first point of both."""
    starts = ordered(table.start, methods.METHODS)
    looks = methods.looks(starts)
    for k, start in enumerate(starts):
        own = table[table.start == start]
        for replay in sorted(own.replay.unique()):
            part = own[(own.replay == replay) | (own.n_labels == 0)].sort_values("n_labels")
            marks = style.drawn_as(looks[start]) | {
                "markeredgecolor": looks[start][0],
                "markeredgewidth": 0.8,
                "markersize": 4,
            }
            # dodged for clarity, not the point without a label
            at = part.n_labels.to_numpy(dtype=float) * 1.04 ** (k - (len(starts) - 1) / 2)
            panel.plot(at, part[columns[0]], color=marks["color"], ls="--" if replay else "-", lw=1)
            for x, row in zip(at, part.to_dict("records")):
                ends = (row[columns[1]], row[columns[2]])
                alone = row["n_molecules"] == 1 and columns[0] == MEAN
                parts.point(panel, x, row[columns[0]], ends, alone, **marks)
    panel.set_xscale("symlog", linthresh=10, linscale=0.5)
    ticks = sorted(table.n_labels.unique())
    panel.set_xticks(ticks, [f"{v:g}" for v in ticks], rotation=45 if len(ticks) > 4 else 0)
    panel.xaxis.set_minor_locator(NullLocator())
    panel.set_xlim(-2, max(ticks) * 1.3)


def _handles(table: pd.DataFrame, target: float, published: bool) -> list[Line2D]:
    starts = ordered(table.start, methods.METHODS)
    looks = methods.looks(starts)
    made: list[Line2D] = []
    for start in starts:
        called = methods.METHODS.get(start)
        note = (
            " (a prior call per prediction)" if called and called.prior_calls and start not in methods.SCHEMES else ""
        )
        made.append(Line2D([], [], label=methods.scheme_title(start) + note, **style.drawn_as(looks[start])))
    grey: dict[str, Any] = {"color": MUTED, "lw": 1}
    if table.replay.any():
        made.append(Line2D([], [], ls="--", label="with replay", **grey))
    made.append(Line2D([], [], ls=DASHDOT, label=f"Target ({target:g} meV/Å)", **grey))
    if published:
        made.append(Line2D([], [], ls="none", marker="*", ms=7, color=INK, label="Published"))
    return [*made, style.accuracy_handle()]
