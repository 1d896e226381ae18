"""Molecules with the edges that came and went where their radius was refined."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mlipshift.catalogue.groups import shift
from mlipshift.catalogue.pairs import PAIR
from mlipshift.show import molecules, rewired, samples, style

NEEDS = {
    "radius_edges": (
        *("network", "strategy", "envelope", "rule", "group", "id", "trained_A", "chosen_A", "change_meV_per_A"),
        *("edge", *PAIR),
    ),
}
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
    first = _most_gained(table)
    table = table[(table.network == first.network) & (table.envelope == first.envelope)]
    found = list(table.groupby(["rule", "group"], sort=False))
    kept = found[: molecules.MOST]
    figure, panels = molecules.canvas(len(kept), lines=2)
    for panel, ((rule, group), pairs) in zip(panels, kept):
        molecules.draw(panel, pairs, [LOOKS.get(edge) for edge in pairs.edge], scale=0.35)
        row, n = pairs.iloc[0], pairs.edge.value_counts()
        change = _signed(row.change_meV_per_A)
        lines = [f"{shift(group.removeprefix('ood_'))}, {row.trained_A:g} to {row.chosen_A:g} Å"]
        lines += [f"+{n.get('came', 0)} −{n.get('went', 0)} edges, {change}"]
        molecules.label(panel, rewired.rule(rule), lines)
    names = {"came": "edge that came", "went": "edge that went"}
    handles = [Line2D([], [], **LOOKS[edge] | {"lw": 1.2}, label=name) for edge, name in names.items()]
    style.head(figure, title, f"{rewired.network(first.network)}, {strategy}")
    figure.legend(handles=handles, loc="upper right", ncol=2, frameon=False, fontsize=7)
    facts = {"network": rewired.network(first.network), "strategy": strategy}
    return figure, facts | ({"left": str(len(found) - len(kept))} if len(found) > len(kept) else {})


def _most_gained(table: pd.DataFrame) -> pd.Series:
    """A row of the network and envelope where a rule gains in most groups, and most: some edges change nothing."""
    about = ["network", "envelope", "rule"]
    changes = table.drop_duplicates([*about, "group"]).groupby(about, sort=False).change_meV_per_A
    gains = changes.agg(groups=lambda values: (values <= -1).sum(), change="sum").reset_index()
    best = gains.sort_values(["groups", "change"], ascending=[False, True], kind="stable").iloc[0]
    return table[(table.network == best.network) & (table.envelope == best.envelope)].iloc[0]


def _signed(change: float) -> str:
    """A change in words, no sign where it is rounded to nothing."""
    return f"{change:+.0f} meV/Å".replace("-", "−") if round(change) else "0 meV/Å"
