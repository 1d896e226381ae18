"""Structures per error bin before and after TTT, for every prior."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from mlipshift.base.text import count
from mlipshift.catalogue.groups import POOLED
from mlipshift.evaluate.statistics import TARGET
from mlipshift.show import samples, style
from mlipshift.show.figures.error_counts import LEFT, RIGHT, bars, canvas, finish, pair_of

NEEDS = {
    "ablations": ("point", "prior", "noise", "fraction", "group", *samples.SIZES, "prior_meV_per_A"),
    "ablation_bins": ("point", "method", LEFT, RIGHT, "n_structures"),
}
PAIR = ("joint", "joint_ttt")


def draw(tables: Mapping[str, pd.DataFrame], title: str) -> tuple[Figure, dict[str, str]]:
    """(figure, facts of the caption)."""
    table, points = tables["ablation_bins"], tables["ablations"]
    points = points[(points.group == POOLED) & (points.noise == 0) & (points.fraction == 1)]
    points = samples.need(points.drop_duplicates("prior"), "ablations", "a prior without noise, all labels")
    figure, panels = canvas(len(points))
    highest: float = 0
    words = []
    for panel, point in zip(panels[:, 0], points.to_dict("records")):
        pair = pair_of(table[table.point == point["point"]], PAIR)
        highest = max(highest, bars(panel, *pair, style.colour(PAIR[1])))
        panel.set_title(f"{point['prior']}, force MAE {point['prior_meV_per_A']:.0f} meV/Å", pad=6)
        first, last = ([t[t[RIGHT] == TARGET].n_structures.sum(), t.n_structures.sum()] for t in pair)
        words.append(f"{point['prior']} {count(first[0])} before, {count(last[0])} after, of {count(last[1])}")
    sample = samples.sizes(points)
    finish(figure, panels, highest, title, sample)
    return figure, {"sample": sample, "below": "; ".join(words)}
