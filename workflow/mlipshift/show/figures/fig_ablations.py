"""Force MAE before and after TTT for every prior and amount of reference data."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mlipshift.catalogue.groups import POOLED
from mlipshift.evaluate.statistics import CHEMICAL_ACCURACY
from mlipshift.show import panels as parts
from mlipshift.show import samples, style
from mlipshift.show.style import MUTED

METHODS = ("prior", "supervised", "joint", "joint_ttt", "joint_corrected", "delta")
GAIN = ("gain_meV_per_A", "gain_ci_low_meV_per_A", "gain_ci_high_meV_per_A")
MEANS = [f"{key}_meV_per_A" for key in METHODS]
NEEDS = {"ablations": ("prior", "noise", "fraction", "group", *samples.SIZES, *MEANS, *GAIN)}


def draw(tables: Mapping[str, pd.DataFrame], title: str) -> tuple[Figure, dict[str, str]]:
    """(figure, facts of the caption)."""
    table = tables["ablations"]
    table = samples.need(table[table.group == POOLED], "ablations", "held-out shift groups")
    rows = len(table)
    margins = {"left": 1.5, "right": 0.15, "top": 0.75, "bottom": 0.9, "wspace": 0.3}
    figure, panels = style.canvas(1.85 + 0.27 * rows, 1, 2, **margins, sharey=True)
    left, right = panels[0]
    place = np.arange(rows)[::-1]
    for key, column in zip(METHODS, MEANS):
        left.plot(table[column], place, ls="none", zorder=3, **style.marks(key))
    left.set_xlabel(parts.scale(left, "x", table[MEANS].to_numpy(dtype=float), "Force MAE (meV/Å)"))
    parts.accuracy(left, horizontal=False)
    gain, low, high = (table[column] for column in GAIN)
    for at, *row in zip(place, gain, low, high, table.n_molecules == 1):
        parts.point(right, row[0], at, (row[1], row[2]), row[3], along="x", **style.marks("joint_ttt"))
    right.axvline(0, color=MUTED, lw=0.8)
    right.set_xlabel("Gain of TTT over the joint model (meV/Å)")
    left.set_yticks(place, list(map(_name, table.to_dict("records"))))
    for panel, name in ((left, "a  Error"), (right, "b  Gain, paired")):
        panel.set_title(name, pad=4)
        panel.set_ylim(-0.6, rows - 0.4)
    sample = samples.sizes(table)
    style.head(figure, title, f"Held-out shift groups, {sample}")
    alone = samples.alone(table)
    handles = [*(style.handle(k, line=False) for k in METHODS), *([style.alone_handle()] if alone else [])]
    style.legend(figure, [*handles, style.accuracy_handle()], 0.36, 4)
    return figure, alone | {"sample": sample, "accuracy": str(CHEMICAL_ACCURACY)}


def _name(row: Mapping[str, Any]) -> str:
    """Prior, noise and share of the reference labels of a row."""
    text = row["prior"]
    text += f", noise {row['noise']:g}σ" if row["noise"] else ""
    return text + (f", {100 * row['fraction']:g} % of labels" if row["fraction"] < 1 else "")
