"""Force MAE of a diagnosed model binned along the axes of the shift over the training density."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from mlipshift.base.text import count, listed
from mlipshift.evaluate.statistics import CHEMICAL_ACCURACY
from mlipshift.show import panels as parts
from mlipshift.show import samples, style
from mlipshift.show.criteria import AXES, label
from mlipshift.show.panels import ERROR, MEAN
from mlipshift.show.style import MUTED, PALE

NEEDS = {
    "bins": ("criterion", "bin_left", "bin_right", "mean", "training_density", "n_structures", "n_resampled", *ERROR),
    "axes": ("criterion", "ratio"),
}
# the criterion that stands for an axis: the first one in which the test structures differ
SHOWN = {
    "features": ("composition_distance", "unseen_element_fraction", "n_atoms"),
    "force_norm": (
        "reference_force_norm_eV_per_A",
        "prior_force_norm_eV_per_A",
        "predicted_force_norm_eV_per_A",
    ),
    "connectivity": ("window_fraction", "spectrum_wasserstein"),
}
ENOUGH = 5  # molecules of a bin (structures, where all are of one), below which no interval of resampled ones is drawn


def chosen(bins: pd.DataFrame) -> dict[str, str]:
    """{axis: criterion} that stands for each axis, without axes on which there is one bin alone."""
    filled = bins[bins.n_structures > 0].groupby("criterion").size()
    known = set(filled[filled > 1].index)
    found = {axis: next((c for c in names if c in known), None) for axis, names in SHOWN.items()}
    return {axis: c for axis, c in found.items() if c}


def draw(
    tables: Mapping[str, pd.DataFrame], title: str, about: Mapping[str, Any]
) -> tuple[Figure, dict[str, str]] | None:
    """(figure, facts of the caption), None without an axis: there are no labels; about: diagnosis.json and "title"."""
    bins, ratios = tables["bins"], tables["axes"].set_index("criterion").ratio
    shown = chosen(bins)
    if not shown:
        return None
    figure, panels = style.canvas(
        3.1, 1, len(shown), left=0.78, right=0.3, top=0.78, bottom=0.85, wspace=0.42, sharey=True
    )
    used = bins[bins.criterion.isin(shown.values())]
    for k, (panel, (axis, criterion)) in enumerate(zip(panels[0], shown.items())):
        _bins_of(panel, used[used.criterion == criterion], AXES[axis].colour)
        panel.set_xlabel(label(criterion))
        panel.set_title(f"{'abc'[k]}  {AXES[axis].title}", pad=13)
        if np.isfinite(ratios[criterion]):
            parts.note(panel, f"outside / inside: {ratios[criterion]:.1f} times")
        parts.accuracy(panel)
    intervals = parts.extent(used[used.n_resampled >= ENOUGH])
    drawn = np.concatenate([used[MEAN].to_numpy(dtype=float), intervals.ravel()])
    panels[0, 0].set_ylabel(parts.scale(panels[0, 0], "y", drawn, "Force MAE (meV/Å)"))
    for panel, criterion in zip(panels[0], shown.values()):
        _below(panel, used[used.criterion == criterion])
    n_errors, n_train = count(about["n_errors"]), count(about["n_train"])
    said = f"{about['title']}; n = {n_errors} test structures"
    said += f" over the density of {n_train} training structures" if about["n_train"] else ""
    style.head(figure, title, said)
    style.legend(figure, _handles(about["resampled"], bool(about["n_train"])), 0.24, 4)
    numbers = [samples.span(used[(used.criterion == c) & (used.n_structures > 0)].n_structures) for c in shown.values()]
    facts = {
        "model": about["title"],
        "n_errors": n_errors,
        **({"n_train": n_train} if about["n_train"] else {}),
        "enough": str(ENOUGH),
        "sizes": ". ".join(
            f"({'abc'[k]}) {label(c)}: {n} structures per bin" for k, (c, n) in enumerate(zip(shown.values(), numbers))
        ),
        "accuracy": str(CHEMICAL_ACCURACY),
    }
    same = [AXES[axis].title for axis in SHOWN if axis not in shown]
    return figure, facts | samples.resampling(about["resampled"]) | ({"same": listed(same).lower()} if same else {})


def _bins_of(panel: Axes, part: pd.DataFrame, colour: str) -> None:
    """Means and intervals of one criterion over the training density."""
    behind = parts.behind(panel, part.rename(columns={"training_density": "density"}), "")
    behind.set_yticks([])
    behind.spines["right"].set_visible(False)
    points = part[part.n_structures > 0]
    panel.plot(points["mean"], points[MEAN], color=colour, lw=0.9, alpha=0.55)
    for row in points.to_dict("records"):
        if row["n_resampled"] < ENOUGH:
            panel.plot(row["mean"], row[MEAN], "o", ms=4.3, mfc="white", mec=colour, mew=1.1)
            continue
        marks: dict[str, Any] = {"fmt": "o", "color": colour, "elinewidth": 1.1, "mec": "white", "mew": 0.5, "ms": 5.6}
        panel.errorbar(row["mean"], row[MEAN], yerr=parts.interval(row), **marks)
    left, right = part.bin_left.min(), _end(part)
    panel.set_xlim(left - 0.02 * (right - left), right + 0.035 * (right - left))
    panel.xaxis.set_major_locator(MaxNLocator(5))
    _ticks(panel, part, right)


def _end(part: pd.DataFrame) -> float:
    """Right end of the axis: that of the last bin, or behind its point where it holds few that lie far away."""
    last = part.loc[part.bin_right.idxmax()]
    before = last.bin_left + 2 * (last.bin_left - part.bin_left.min()) / max(len(part) - 1, 1)
    reached = [last["mean"]] if np.isfinite(last["mean"]) else []
    return last.bin_right if len(part) < 2 else min(last.bin_right, max([before, *reached]))


def _ticks(panel: Axes, part: pd.DataFrame, right: float) -> None:
    """Ticks inside the panel at the edges of the bins that are seen."""
    parts.inner_ticks(panel, part[part.bin_right <= right * (1 + 1e-9)])


def _below(panel: Axes, part: pd.DataFrame) -> None:
    """Marks at the lower end for the means that lie below the axis."""
    lowest = panel.get_ylim()[0]
    far = part[(part.n_structures > 0) & (part[MEAN] < lowest)]
    panel.plot(far["mean"], np.full(len(far), lowest), "v", ms=5, color=MUTED, clip_on=False)


def _handles(resampled: str, trained: bool) -> list:
    dot: dict[str, Any] = {"color": MUTED, "marker": "o", "lw": 0.9}
    return [
        Line2D([], [], mec="white", ms=5.6, label=f"Mean of a bin, {samples.interval_label(resampled)}", **dot),
        Line2D([], [], mfc="white", ms=4.3, label=f"Fewer than {ENOUGH} {resampled}", **dot),
        *([Patch(color=PALE, label="Training structures")] if trained else []),
        style.accuracy_handle(),
    ]
