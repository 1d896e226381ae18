"""What every rule of radii does to the error on all held-out structures, beside the best radius."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mlipshift.catalogue.groups import POOLED
from mlipshift.evaluate.statistics import INTERVAL
from mlipshift.show import panels as parts
from mlipshift.show import rewired, samples, style
from mlipshift.show.style import INK, MUTED, PALE

NEEDS = {
    "radius_rules": (
        *("network", "strategy", "envelope", "group", "rule", "difference_meV_per_A", *INTERVAL, "recommended"),
        *samples.SIZES,
    )
}
COLUMNS = 3


def draw(tables: Mapping[str, pd.DataFrame], title: str) -> tuple[Figure, dict[str, str]]:
    """(figure, facts of the caption)."""
    table = samples.need(tables["radius_rules"], "radius_rules", "any network")
    table, strategy = rewired.shown(table)
    table = samples.need(table[table.group == POOLED], "radius_rules", "a held-out group")
    order = list(dict.fromkeys(table.rule))
    networks = list(dict.fromkeys(table.network))
    columns = min(COLUMNS, len(networks))
    rows = -(-len(networks) // columns)
    margins = {"left": 1.75, "right": 0.15, "top": 0.8, "bottom": 0.85, "wspace": 0.18, "hspace": 0.7}
    figure, panels = style.canvas(1.65 + rows * (0.5 + 0.16 * len(order)), rows, columns, **margins, sharey=True)
    for k, panel in enumerate(panels.flat):
        panel.set_visible(k < len(networks))
        if k >= len(networks):
            continue
        own = table[table.network == networks[k]]
        for row in own.to_dict("records"):
            _point(panel, order.index(row["rule"]), row)
        panel.axvline(0, color=MUTED, lw=0.7, zorder=0)
        panel.set_xscale("symlog", linthresh=10)
        panel.margins(x=0.08)
        panel.xaxis.set_major_formatter(parts.signed_numbers())
        panel.tick_params(axis="x", labelsize=6, rotation=45)
        panel.set_title(parts.shortened(panel, rewired.network(networks[k])), pad=4)
        for edge in range(1, len(order)):
            panel.axhline(edge - 0.5, color=PALE, lw=0.4, zorder=0)
    panels[0, 0].set_yticks(range(len(order)), [rewired.rule(name) for name in order])
    panels[0, 0].set_ylim(len(order) - 0.4, -0.6)
    parts.foot(panels, len(networks), "Difference (meV/Å)")
    style.head(figure, title, f"{strategy}, all held-out structures; left of the line is better")
    handles = [
        Line2D([], [], ls="none", marker="o", color=INK, label="Envelope as trained"),
        Line2D([], [], ls="none", marker="o", color=INK, mfc="white", label="Envelope moved"),
        Line2D([], [], ls="none", marker="*", ms=7, color=INK, label="Recommended by validation"),
    ]
    style.legend(figure, handles, 0.28, 3)
    return figure, {
        "strategy": strategy,
        "envelopes": rewired.ENVELOPES["rescaled"],
        "sample": samples.sizes(table),
    }


def _point(panel, at, row):
    """A rule of one envelope, with its interval."""
    moved = row["envelope"] == "rescaled"
    at += 0.14 if moved else -0.14
    colour = MUTED if row["rule"] == "best" else INK
    panel.plot([row[end] for end in INTERVAL], [at, at], color=colour, lw=0.8, zorder=1)
    marker = {"marker": "*", "ms": 7} if row["recommended"] else {"marker": "o", "ms": 3.6}
    face = "white" if moved else colour
    panel.plot(row["difference_meV_per_A"], at, ls="none", color=colour, mfc=face, mew=0.8, **marker)
