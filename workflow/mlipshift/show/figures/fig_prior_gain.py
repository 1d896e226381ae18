"""TTT's gain, and the errors after it and of INSTEAD, against the prior's error, one point per structure."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mlipshift.base.text import listed
from mlipshift.catalogue import methods
from mlipshift.catalogue.groups import POOLED, group
from mlipshift.evaluate.statistics import CHEMICAL_ACCURACY
from mlipshift.show import panels as parts
from mlipshift.show import samples, style
from mlipshift.show.panels import INSTEAD
from mlipshift.show.style import INK, MUTED

ERRORS = ("prior_error_meV_per_A", "before_meV_per_A", "after_meV_per_A", *(f"{key}_meV_per_A" for key in INSTEAD))
NEEDS = {
    "gains": ("group", "method", *ERRORS),
    "gain_correlation": ("method", "group", "of", "with", "spearman", "ci_low", "ci_high"),
    "summary": samples.SUMMARY,
}
METHOD = "joint_ttt"
NAMES = {METHOD: "Error after TTT", "joint_corrected": "Error with correction", "delta": "Error of Δ-learning"}
Looks = Mapping[str, dict[str, Any]]  # of style.group_looks
STRAIGHT = 100  # meV/Å, up to which the axis of large gains is linear


def draw(tables: Mapping[str, pd.DataFrame], title: str) -> tuple[Figure, dict[str, str]]:
    """(figure, facts of the caption)."""
    table = tables["gains"]
    table = table[(table.method == METHOD) & (table.group != "id_test")]
    table = samples.need(table, "gains", "held-out shift groups")
    prior, before, after, *others = (table[name].astype(float) for name in ERRORS)
    errors = {METHOD: after} | {key: error for key, error in zip(INSTEAD, others) if error.notna().any()}
    # one row of up to three panels, or two of two
    rows = 2 if len(errors) == 3 else 1
    margins = {"left": 0.75, "right": 0.12, "top": 0.75, "bottom": 1.0, "wspace": 0.68, "hspace": 0.75}
    figure, panels = style.canvas(3.55 if rows == 1 else 5.9, rows, (1 + len(errors)) // rows, **margins)
    looks = style.group_looks(table.group)
    across, up = parts.fence(prior), parts.fence(np.concatenate([*errors.values()]))
    first, *further = panels.flat
    _gains(first, before - after)
    _points(first, table.group, looks, prior.clip(*across), before - after, _beyond(prior, across))
    beyond = 0
    for panel, (key, error) in zip(further, errors.items()):
        parts.ends(panel, "y", min(up[0], CHEMICAL_ACCURACY), up[1])
        panel.set_ylabel(_named(panel, "y", methods.title(key)))
        far = _beyond(prior, across) | _beyond(error, up)
        _points(panel, table.group, looks, prior.clip(*across), error.clip(*up), far)
        beyond += int(far.sum())
        panel.plot([1, 1e5], [1, 1e5], color=INK, lw=0.8)  # as good as the prior
        parts.accuracy(panel)
    names = ["Gain of TTT", *(NAMES[key] for key in errors)]
    for panel, letter, name in zip(panels.flat, "abcd", names):
        parts.ends(panel, "x", *across)
        panel.set_xlabel(_named(panel, "x", "the prior"))
        panel.set_title(f"{letter}  {name}", pad=4)
    sample = samples.sample(tables["summary"], [POOLED], [METHOD])
    style.head(figure, title, f"Held-out shift groups, {sample}")
    handles = _handles(looks, beyond)
    if max(across[0], min(up[0], CHEMICAL_ACCURACY)) < min(across[1], up[1]):
        handles.append(Line2D([], [], color=INK, lw=0.8, label="As good as the prior"))
    style.legend(figure, [*handles, style.accuracy_handle()], 0.36, 4)
    facts = {"better": _share(after < prior), "sample": sample, "accuracy": str(CHEMICAL_ACCURACY)}
    facts |= {"correlations": _correlations(tables["gain_correlation"])}
    held_out = tables["summary"][(tables["summary"].group == POOLED) & (tables["summary"].method == METHOD)]
    facts |= samples.alone(held_out)
    if len(errors) > 1:
        facts["others"] = "; ".join(_instead(key, error, prior, after) for key, error in [*errors.items()][1:])
    return figure, facts | ({"beyond": str(beyond)} if beyond else {})


def _named(panel: Axes, which: str, of: str) -> str:
    """Label of an axis of errors."""
    log = getattr(panel, f"get_{which}scale")() == "log"
    return f"Force MAE of {of}\n(meV/Å)" + (", log scale" if log else "")


def _instead(key: str, error: pd.Series, prior: pd.Series, after: pd.Series) -> str:
    """How often a method is better than the prior and than TTT, in words."""
    known = error.notna()
    than_prior, than_ttt = (_share((error < other)[known]) for other in (prior, after))
    return (
        f"{methods.title(key)} is better than the prior for {than_prior} % of the structures, than TTT for {than_ttt} %"
    )


def _share(found: pd.Series) -> str:
    return f"{100 * found.mean():.0f}"


def _beyond(values: pd.Series, limits: tuple[float, float]) -> pd.Series:
    return (values < limits[0]) | (values > limits[1])


def _points(panel: Axes, owner: pd.Series, looks: Looks, x: pd.Series, y: pd.Series, beyond: pd.Series) -> None:
    """Structures by their group; open at the edge where they lie beyond it."""
    for name, look in looks.items():
        own = owner == name
        panel.scatter(x[own & ~beyond], y[own & ~beyond], s=8, alpha=0.8, zorder=2, **look)
        far: dict[str, Any] = {"marker": look["marker"], "facecolor": "white", "edgecolor": look["facecolor"]}
        panel.scatter(x[own & beyond], y[own & beyond], s=8, linewidth=0.8, zorder=3, clip_on=False, **far)


def _handles(looks: Looks, beyond: int) -> list[Line2D]:
    marks: dict[str, Any] = {"ls": "none", "ms": 4.5}
    handles = [
        Line2D([], [], marker=m["marker"], mfc=m["facecolor"], mec="white", mew=0.3, label=group(g), **marks)
        for g, m in looks.items()
    ]
    if beyond:
        handles.append(Line2D([], [], marker="o", mfc="white", mec=MUTED, mew=0.8, label="Beyond the axis", **marks))
    return handles


def _gains(panel: Axes, gain: pd.Series) -> None:
    """Axis of the gains: linear, or beyond STRAIGHT logarithmic if the largest are several times that."""
    largest, label = gain.abs().max(), "Gain of TTT (meV/Å)"
    if largest > 4 * STRAIGHT:
        panel.set_yscale("symlog", linthresh=STRAIGHT, linscale=0.8)
        label += f"\nlinear within ±{STRAIGHT}"
    panel.set_ylabel(label)
    panel.yaxis.set_major_formatter(parts.signed_numbers())
    panel.axhline(0, color=MUTED, lw=0.8)


def _correlations(ranks: pd.DataFrame) -> str:
    """Rank correlations of the gain, in words."""
    found = ranks[(ranks.method == METHOD) & (ranks.group == POOLED) & (ranks.of == "gain")].set_index("with")
    rank = lambda row: f"{row.spearman:.2f} [{row.ci_low:.2f}, {row.ci_high:.2f}]".replace("-", "−")
    words = {"prior_error": "the error of the prior", "error_before": "the error before TTT"}
    return listed(f"{rank(row)} with {words[key]}" for key, row in found.iterrows())
