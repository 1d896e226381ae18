"""Structures per error bin before and after TTT, for every prior."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from mlipshift.base.text import count
from mlipshift.catalogue.groups import POOLED
from mlipshift.evaluate.statistics import TARGET
from mlipshift.show import panels as parts
from mlipshift.show import samples
from mlipshift.show.figures.error_counts import LEFT, RIGHT, bars, canvas, finish, of, shown

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
    table = table[table.point.isin(points.point)]
    filled = shown(table, list(PAIR))
    figure, panels = canvas(len(points))
    highest: float = 0
    words = []
    for panel, point in zip(panels[:, 0], points.to_dict("records")):
        own = table[table.point == point["point"]]
        highest = max(highest, bars(panel, filled[filled.point == point["point"]], PAIR))
        panel.set_title(f"{point['prior']}, force MAE {point['prior_meV_per_A']:.0f} meV/Å", pad=6)
        first, last = (_below(of(own, key)) for key in PAIR)
        words.append(f"{point['prior']} {first} before, {last} after, of {count(of(own, PAIR[1]).n_structures.sum())}")
    sample = samples.sizes(points)
    finish(figure, panels, highest, title, sample, table.method)
    return figure, parts.instead(table.method) | {"sample": sample, "below": "; ".join(words)}


def _below(table: pd.DataFrame) -> str:
    """Structures below TARGET of the rows of a method."""
    return count(table[table[RIGHT] == TARGET].n_structures.sum())
