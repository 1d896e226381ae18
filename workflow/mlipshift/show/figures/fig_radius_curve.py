"""Error of every network against the radius of the test graphs, by group."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mlipshift.base.text import listed
from mlipshift.catalogue.groups import POOLED, group
from mlipshift.evaluate.statistics import INTERVAL
from mlipshift.show import panels as parts
from mlipshift.show import rewired, samples, style
from mlipshift.show.style import DOTTED, INK, MUTED, SERIES

ABOUT = ("network", "strategy", "envelope", "group")
NEEDS = {
    "radius_curve": (
        *(*ABOUT, "radius_A", "trained", "mean_meV_per_A", "difference_meV_per_A", *INTERVAL),
        *samples.SIZES,
    )
}
COLUMNS, LINEAR = 3, 10.0  # %, up to which the axis is linear


def draw(tables: Mapping[str, pd.DataFrame], title: str) -> tuple[Figure, dict[str, str]]:
    """(figure, facts of the caption)."""
    table = samples.need(tables["radius_curve"], "radius_curve", "any network")
    table, strategy = rewired.shown(table)
    groups = [g for g in dict.fromkeys(table.group) if g.startswith("ood_") and g != POOLED]
    kinds = list(table.groupby(["network", "envelope"], sort=False))
    rows = -(-len(kinds) // COLUMNS)
    lines = -(-(len(groups) + 1) // 3)
    margins = {"left": 0.65, "right": 0.15, "top": 0.85, "bottom": 0.65 + 0.16 * lines, "wspace": 0.45, "hspace": 0.75}
    figure, panels = style.canvas(1.3 + 1.75 * rows + 0.16 * lines, rows, COLUMNS, **margins)
    looks = {"id_test": (INK, "o")} if "id_test" in set(table.group) else {}
    looks |= {g: SERIES[k % len(SERIES)] for k, g in enumerate(groups)}
    for k, panel in enumerate(panels.flat):
        panel.set_visible(k < len(kinds))
        if k >= len(kinds):
            continue
        (network, envelope), own = kinds[k]
        for name, (colour, marker) in looks.items():
            _line(panel, own[own.group == name].sort_values("radius_A"), colour, marker)
        panel.axvline(_trained(own), color=MUTED, lw=0.9, ls=DOTTED, zorder=0)
        panel.axhline(0, color=MUTED, lw=0.6, zorder=0)
        panel.set_yscale("symlog", linthresh=LINEAR)
        low, high = panel.get_ylim()
        panel.set_ylim(min(low, -LINEAR), max(high, LINEAR))
        panel.yaxis.set_major_formatter(parts.signed_numbers())
        parts.heading(panel, rewired.network(network), f"envelope {envelope}")
        panel.set_xlabel("Radius (Å)")
    for line in panels:
        line[0].set_ylabel("Change of force MAE (%)")
    style.head(figure, title, f"{strategy}; over the error at the radius of the network (dotted)")
    handles = [Line2D([], [], color=c, marker=m, ms=4, label=group(name)) for name, (c, m) in looks.items()]
    style.legend(figure, handles, 0.1 + 0.16 * lines, 3)
    used = dict.fromkeys(table.envelope)
    return figure, {
        "strategy": strategy,
        "envelopes": listed(rewired.ENVELOPES[e] for e in used),
        "sample": samples.sizes(table[table.group == POOLED]),
    }


def _line(panel, own, colour, marker):
    """Relative change (%) against the radius, with bars."""
    base = own.mean_meV_per_A - own.difference_meV_per_A
    values = [100 * own[column] / base for column in ("difference_meV_per_A", *INTERVAL)]
    panel.plot(own.radius_A, values[0], color=colour, marker=marker, ms=3, lw=1)
    panel.vlines(own.radius_A, values[1], values[2], color=colour, lw=0.7)


def _trained(own: pd.DataFrame) -> float:
    """Radius of the network, the one without a difference; NaN if it is none of the candidates."""
    there = own[own.trained.astype(bool)].radius_A
    return float(there.iloc[0]) if len(there) else float("nan")
