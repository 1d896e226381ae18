"""TTT's gain, and the error after it, against the prior's error, one point per structure."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mlipshift.base.text import listed
from mlipshift.catalogue.groups import GROUPS, POOLED, group, ordered
from mlipshift.evaluate.statistics import CHEMICAL_ACCURACY
from mlipshift.show import panels as parts
from mlipshift.show import samples, style
from mlipshift.show.style import INK, MUTED, SERIES

NEEDS = {
    "gains": ("group", "method", "prior_error_meV_per_A", "before_meV_per_A", "after_meV_per_A"),
    "gain_correlation": ("method", "group", "of", "with", "spearman", "ci_low", "ci_high"),
    "summary": samples.SUMMARY,
}
METHOD = "joint_ttt"


def draw(tables: Mapping[str, pd.DataFrame], title: str) -> tuple[Figure, dict[str, str]]:
    """(figure, facts of the caption)."""
    table = tables["gains"]
    table = table[(table.method == METHOD) & (table.group != "id_test")]
    table = samples.need(table, "gains", "held-out shift groups")
    prior, before, after = (table[f"{k}_meV_per_A"] for k in ("prior_error", "before", "after"))
    groups = ordered(table.group, GROUPS)
    margins = {"left": 0.65, "right": 0.15, "top": 0.75, "bottom": 0.85, "wspace": 0.6}
    figure, panels = style.canvas(3.7, 1, 2, **margins)
    left, right = panels[0]
    handles = []
    for (colour, marker), name in zip(SERIES * 9, groups):
        own = table.group == name
        marks: dict[str, Any] = {
            "ls": "none",
            "marker": marker,
            "ms": 3.2,
            "mfc": colour,
            "mec": "white",
            "mew": 0.3,
            "alpha": 0.75,
        }
        left.plot(prior[own], (before - after)[own], **marks)
        right.plot(prior[own], after[own], **marks)
        handles.append(Line2D([], [], label=group(name), **{**marks, "ms": 4.5, "alpha": 1}))
    _axes(left, right, prior, after)
    for panel, name in ((left, "a  Gain"), (right, "b  Error after TTT")):
        panel.set_title(name, pad=4)
    sample = samples.sample(tables["summary"], [POOLED], [METHOD])
    style.head(figure, title, f"Held-out shift groups, {sample}")
    same = Line2D([], [], color=INK, lw=0.8, label="As good as the prior")
    style.legend(figure, [*handles, same, style.accuracy_handle()], 0.36, 3)
    return figure, {
        "correlations": _correlations(tables["gain_correlation"]),
        "better": f"{100 * (after < prior).mean():.0f}",
        "sample": sample,
        "accuracy": str(CHEMICAL_ACCURACY),
    }


def _axes(left: Axes, right: Axes, prior: pd.Series, after: pd.Series) -> None:
    """Scales, labels and lines of the panels of the gain and of the error after TTT."""
    for panel in (left, right):
        panel.set_xlabel(parts.scale(panel, "x", prior, "Force MAE of the prior (meV/Å)"))
        panel.set_xlim(prior.min() / 1.15, prior.max() * 1.15)
    left.set_yscale("symlog", linthresh=100, linscale=0.8)
    left.set_ylabel("Gain of TTT (meV/Å), linear within ±100")
    left.yaxis.set_major_formatter(parts.signed_numbers())
    left.axhline(0, color=MUTED, lw=0.8)
    right.set_ylabel(parts.scale(right, "y", after, "Force MAE after TTT (meV/Å)"))
    ends = [max(min(prior.min(), after.min()), 1e-3), max(prior.max(), after.max())]
    right.plot(ends, ends, color=INK, lw=0.8, label="_")
    parts.accuracy(right)


def _correlations(ranks: pd.DataFrame) -> str:
    """Rank correlations of the gain, in words."""
    found = ranks[(ranks.method == METHOD) & (ranks.group == POOLED) & (ranks.of == "gain")].set_index("with")
    rank = lambda row: f"{row.spearman:.2f} [{row.ci_low:.2f}, {row.ci_high:.2f}]".replace("-", "−")
    words = {"prior_error": "the error of the prior", "error_before": "the error before TTT"}
    return listed(f"{rank(row)} with {words[key]}" for key, row in found.iterrows())
