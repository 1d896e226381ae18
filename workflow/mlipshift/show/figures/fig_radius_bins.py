"""Error by connectivity of the graph, with and without refinement, by network."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mlipshift.base.text import listed, several
from mlipshift.show import panels as parts
from mlipshift.show import rewired, samples, style
from mlipshift.show.style import INK, MUTED, SERIES

ERRORS = ("trained_meV_per_A", "chosen_meV_per_A", "best_meV_per_A")
NEEDS = {"radius_bins": ("network", "strategy", "envelope", "rule", "bin_mean", "n_structures", *ERRORS)}
COLUMNS = 3


def draw(tables: Mapping[str, pd.DataFrame], title: str) -> tuple[Figure, dict[str, str]]:
    """(figure, facts of the caption)."""
    table, strategy = rewired.shown(samples.need(tables["radius_bins"], "radius_bins", "any network"))
    # as published where there is a choice: that comes first
    table = table[table.envelope == table.groupby("network").envelope.transform("first")]
    networks, rules = list(dict.fromkeys(table.network)), list(dict.fromkeys(table.rule))
    rows, columns = -(-len(networks) // COLUMNS), min(COLUMNS, len(networks))
    margins = {"left": 0.65, "right": 0.15, "top": 0.85, "bottom": 0.95, "wspace": 0.3, "hspace": 0.6}
    figure, panels = style.canvas(1.6 + 1.75 * rows, rows, columns, **margins)
    for k, panel in enumerate(panels.flat):
        panel.set_visible(k < len(networks))
        if k >= len(networks):
            continue
        own = table[table.network == networks[k]]
        first = own[own.rule == own.rule.iloc[0]].sort_values("bin_mean")
        panel.plot(first.bin_mean, first.best_meV_per_A, color=MUTED, marker="D", ms=2.5, lw=0.8)
        panel.plot(first.bin_mean, first.trained_meV_per_A, color=INK, marker="o", ms=3.5, lw=1)
        for name, line in own.groupby("rule", sort=False):
            line = line.sort_values("bin_mean")
            colour, marker = SERIES[rules.index(name)]
            panel.plot(line.bin_mean, line.chosen_meV_per_A, color=colour, marker=marker, ms=3.5, lw=1, mfc="white")
        panel.set_ylim(bottom=0)
        panel.set_title(parts.shortened(panel, rewired.network(networks[k])), pad=4)
    parts.foot(panels, len(networks), "Eigenvalues in (0.9, 1.1)")
    for line in panels:
        line[0].set_ylabel("Force MAE (meV/Å)")
    looks = {"Graphs as they are": (INK, "o", INK)}
    looks |= {rewired.rule(name): (*SERIES[k], "white") for k, name in enumerate(rules)}
    looks |= {rewired.rule("best"): (MUTED, "D", MUTED)}
    handles = [Line2D([], [], color=c, marker=m, mfc=f, ms=4, label=name) for name, (c, m, f) in looks.items()]
    style.legend(figure, handles, 0.3, 3)
    counts = table.groupby(["network", "rule"]).n_structures.sum()
    sample = f"n = {several(samples.span([counts.min(), counts.max()]), 'structure')}"
    style.head(figure, title, f"{strategy}; {sample}")
    return figure, {"strategy": strategy, "rules": listed(map(rewired.rule, rules)), "sample": sample}
