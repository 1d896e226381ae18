"""What a ps of dynamics costs: time of a core, and calls of the prior."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from mlipshift.catalogue.runs import RUN
from mlipshift.show import panels as parts
from mlipshift.show import runs, samples, style

NEEDS = {
    "dynamics_costs": ("molecule", "run", "seconds_per_ps", "measured"),
    "dynamics_summary": (*RUN, "prior_calls_before", "prior_calls_per_ps"),
}


def draw(tables: Mapping[str, pd.DataFrame], title: str) -> tuple[Figure, dict[str, str]]:
    """(figure, facts of the caption)."""
    table = tables["dynamics_summary"].merge(tables["dynamics_costs"], on=["molecule", "run"])
    table = table[(table.ensemble == "nvt") & (table.seconds_per_ps > 0)]
    if len(table) == 0:
        raise samples.NothingToDraw("no run lasted long enough for its time to be known")
    shown, names = runs.molecules(table.molecule), runs.titles(tables["dynamics_summary"])
    rows = list(dict.fromkeys(table.run))
    margins = {"left": 2.3, "right": 0.75, "top": 0.75, "bottom": 0.5, "wspace": 0.75}
    figure, panels = style.canvas(1.3 + 0.2 * len(rows), 1, len(shown), **margins, sharey=True)
    low, high = table.seconds_per_ps.min() / 2, table.seconds_per_ps.max() * 2
    for panel, molecule in zip(panels[0], shown):
        own = table[table.molecule == molecule].set_index("run")
        for k, run in enumerate(rows):
            if run not in own.index:
                continue
            row = own.loc[run]
            panel.barh(k, row.seconds_per_ps, height=0.62, color=runs.colour(row), alpha=0.75, lw=0)
            panel.text(
                1.02, k, f"{row.prior_calls_per_ps:.3g}", transform=panel.get_yaxis_transform(), va="center", size=7
            )
        panel.set_xscale("log")
        panel.set_xlim(low, high)
        panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 30 * low else (1,)))
        panel.xaxis.set_minor_locator(NullLocator())
        panel.xaxis.set_major_formatter(parts.plain_numbers())
        panel.set_title(runs.molecule(molecule), pad=4)
        panel.text(1.02, -0.9, "prior calls", transform=panel.get_yaxis_transform(), size=6.5, color=style.MUTED)
        panel.set_xlabel("Seconds per ps and replica")
    panels[0, 0].set_yticks(range(len(rows)), [names[r] for r in rows])
    panels[0, 0].set_ylim(len(rows) - 0.4, -0.6)
    measured = ", ".join(sorted(table.measured.unique()))
    style.head(figure, title, f"{measured} of one replica, adaptation before the dynamics not included")
    return figure, {"measured": measured}
