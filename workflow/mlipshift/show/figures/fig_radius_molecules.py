"""Molecules with the edges that came and went where their radius was refined."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mlipshift.catalogue.groups import shift
from mlipshift.show import molecules, rewired, samples, style
from mlipshift.show.style import MUTED

NEEDS = {
    "radius_edges": (
        *("network", "strategy", "envelope", "rule", "group", "id", "trained_A", "chosen_A", "change_meV_per_A"),
        *("edge", *molecules.PAIR),
    ),
}
COLUMNS, MOST = 4, 12  # panels in a row and in all
LOOKS = {
    "bond": molecules.BOND,
    "came": {"color": "#0072B2", "lw": 0.5, "alpha": 0.7, "zorder": 0.5},
    "went": {"color": "#D55E00", "lw": 0.5, "alpha": 0.7, "ls": (0, (3, 1.5)), "zorder": 0.5},
}


def draw(tables: Mapping[str, pd.DataFrame], title: str) -> tuple[Figure, dict[str, str]]:
    """(figure, facts of the caption)."""
    table = tables["radius_edges"]
    if len(table) == 0:
        raise samples.NothingToDraw("no structure of a held-out group was refined")
    table, strategy = rewired.shown(table)
    # the first network, and the rules that refined something with it
    first = table.iloc[0]
    table = table[(table.network == first.network) & (table.envelope == first.envelope)]
    found = list(table.groupby(["rule", "group"], sort=False))
    kept = found[:MOST]
    rows = -(-len(kept) // COLUMNS)
    margins = {"left": 0.1, "right": 0.1, "top": 1.1, "bottom": 0.1, "wspace": 0.1, "hspace": 0.6}
    figure, panels = style.canvas(0.65 + 1.85 * rows, rows, COLUMNS, **margins)
    for k, panel in enumerate(panels.flat):
        panel.set_axis_off()
        panel.set_xticks([])
        panel.set_yticks([])
        if k < len(kept):
            (rule, group), pairs = kept[k]
            molecules.draw(panel, pairs, [LOOKS.get(edge) for edge in pairs.edge], scale=0.35)
            row, n = pairs.iloc[0], pairs.edge.value_counts()
            panel.set_title(rewired.rule(rule), size=7, pad=24)
            said = f"{shift(group.removeprefix('ood_'))}, {row.trained_A:g} to {row.chosen_A:g} Å"
            said += f"\n+{n.get('came', 0)} −{n.get('went', 0)} edges, {row.change_meV_per_A:+.0f} meV/Å".replace(
                "-", "−"
            )
            panel.text(0, 1.03, said, transform=panel.transAxes, size=6.5, color=MUTED)
    names = {"came": "edge that came", "went": "edge that went"}
    lines = [Line2D([], [], **LOOKS[edge] | {"lw": 1.2}, label=name) for edge, name in names.items()]
    style.head(figure, title, f"{rewired.network(first.network)}, {strategy}")
    panels.flat[0].figure.legend(handles=lines, loc="upper right", ncol=2, frameon=False, fontsize=7)
    facts = {"network": rewired.network(first.network), "strategy": strategy}
    return figure, facts | ({"left": str(len(found) - MOST)} if len(found) > MOST else {})
