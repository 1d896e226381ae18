"""Chosen radius against the best one, by network and rule."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from mlipshift.base.text import listed, several
from mlipshift.show import panels as parts
from mlipshift.show import rewired, samples, style
from mlipshift.show.style import DOTTED, MUTED

NEEDS = {
    "radius_choices": ("network", "strategy", "envelope", "id", "group", "rule", "trained_A", "chosen_A", "best_A"),
}
COLUMNS, LARGEST = 4, 160.0  # area of a point (points²) that holds half of the structures


def draw(tables: Mapping[str, pd.DataFrame], title: str) -> tuple[Figure, dict[str, str]]:
    """(figure, facts of the caption)."""
    table, strategy = rewired.shown(samples.need(tables["radius_choices"], "radius_choices", "any network"))
    table = samples.need(table[table.group.str.startswith("ood_")], "radius_choices", "a held-out group")
    # as published where there is a choice: that comes first
    table = table[table.envelope == table.groupby("network").envelope.transform("first")]
    kinds = list(table.groupby(["network", "rule"], sort=False))
    rows, columns = -(-len(kinds) // COLUMNS), min(COLUMNS, len(kinds))
    margins = {"left": 0.6, "right": 0.15, "top": 0.9, "bottom": 0.5, "wspace": 0.3, "hspace": 0.75}
    figure, panels = style.canvas(1.2 + 1.75 * rows, rows, columns, **margins, sharex=True, sharey=True)
    for k, panel in enumerate(panels.flat):
        panel.set_visible(k < len(kinds))
        if k >= len(kinds):
            continue
        (network, rule), own = kinds[k]
        counts = own.groupby(["chosen_A", "best_A"]).size().reset_index(name="n")
        panel.scatter(counts.chosen_A, counts.best_A, s=2 * LARGEST * counts.n / len(own), color="#3F7CAC", lw=0)
        ends = [own[["chosen_A", "best_A"]].min().min(), own[["chosen_A", "best_A"]].max().max()]
        panel.plot(ends, ends, color=MUTED, lw=0.6, zorder=0)
        trained = own.trained_A.iloc[0]
        panel.axvline(trained, color=MUTED, lw=0.8, ls=DOTTED, zorder=0)
        panel.axhline(trained, color=MUTED, lw=0.8, ls=DOTTED, zorder=0)
        parts.heading(panel, rewired.network(network), rewired.rule(rule))
        panel.margins(0.12)
    parts.foot(panels, len(kinds), "Chosen radius (Å)")
    for line in panels:
        line[0].set_ylabel("Best radius (Å)")
    n = several(str(table.id.nunique()), "structure")
    style.head(figure, title, f"{strategy}; {n} of the held-out groups")
    rules = listed(rewired.rule(name) for name in dict.fromkeys(table.rule))
    return figure, {"strategy": strategy, "rules": rules, "sample": f"n = {n}"}
