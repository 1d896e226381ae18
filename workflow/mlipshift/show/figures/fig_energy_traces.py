"""What becomes of the total energy without a thermostat, where it should rest; with one if there is no such run."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from mlipshift.base.text import listed
from mlipshift.catalogue.runs import RUN
from mlipshift.show import panels as parts
from mlipshift.show import runs, samples, style
from mlipshift.show.style import MUTED

NEEDS = {
    "energy_traces": ("molecule", "run", "replica", "time_ps", "total_meV_per_atom", "temperature_K"),
    "dynamics_summary": (*RUN, "drift_meV_per_atom_per_ps", "excursion_meV_per_atom", "attempted_ps"),
}
HEADS = {"nve": "no thermostat (NVE)", "nvt": "thermostat (NVT)"}
STYLES = ("-", (0, (4, 1.5)), (0, (1, 1)), (0, (5, 1, 1, 1)), (0, (8, 2)), (0, (1, 3)))
LINEAR = 5.0  # meV per atom up to which the axis is linear


def draw(tables: Mapping[str, pd.DataFrame], title: str) -> tuple[Figure, dict[str, str]]:
    """(figure, facts of the caption)."""
    table, traces = tables["dynamics_summary"], tables["energy_traces"]
    if len(table) == 0:
        raise samples.NothingToDraw("no run")
    shown, names = runs.molecules(table.molecule), runs.titles(table)
    # with a thermostat it only says that there is one: shown where nothing else is
    kind = next(kind for kind in HEADS if (table.ensemble == kind).any())
    table = table[table.ensemble == kind]
    looks = _looks(table.drop_duplicates("run"))
    lines = -(-len(looks) // 3)
    margins = {"left": 0.75, "right": 0.2, "top": 0.75, "bottom": 0.55 + 0.16 * lines, "wspace": 0.3}
    figure, panels = style.canvas(2.75 + 0.16 * lines, 1, len(shown), **margins)
    for panel, molecule in zip(panels[0], shown):
        own = table[table.molecule == molecule]
        _lines(panel, traces[traces.molecule == molecule], own, looks)
        panel.set_title(f"{runs.molecule(molecule)}, {HEADS[kind]}", pad=4)
        panel.set_xlim(0, own.attempted_ps.max())
        panel.set_xlabel("Time (ps)")
    panels[0, 0].set_ylabel("Total energy since\nthe start (meV/atom)")
    style.head(figure, title, "Every line a replica, until something broke")
    handles = [Line2D([], [], label=names[run], **look) for run, look in looks.items()]
    style.legend(figure, handles, 0.1 + 0.16 * lines, 3)
    still = table[table.ensemble == "nve"]
    said = [
        f"{names[row['run']]} of {runs.molecule(row['molecule'])}: {row['excursion_meV_per_atom']:.2g} meV per atom,"
        f" {row['drift_meV_per_atom_per_ps']:.2g} per ps"
        for row in still.to_dict("records")
    ]
    return figure, {"still": listed(said)} if said else {}


def _looks(rows: pd.DataFrame) -> dict[str, dict]:
    """{run: keywords of its lines}; runs of one colour differ in their dashes."""
    looks: dict[str, dict] = {}
    seen: dict[str, int] = {}
    for row in rows.to_dict("records"):
        colour = runs.colour(row)
        looks[row["run"]] = {"color": colour, "ls": STYLES[seen.get(colour, 0) % len(STYLES)], "lw": 0.9}
        seen[colour] = seen.get(colour, 0) + 1
    return looks


def _lines(panel: Axes, traces: pd.DataFrame, own: pd.DataFrame, looks: Mapping[str, dict]) -> None:
    """Total energies of the runs of a panel, on an axis that is linear near 0 and logarithmic beyond."""
    panel.axhline(0, color=MUTED, lw=0.6)
    for run in own.run:
        for _, part in traces[traces.run == run].groupby("replica"):
            panel.plot(part.time_ps, part.total_meV_per_atom, **looks[run] | {"lw": 0.6})
    panel.set_yscale("symlog", linthresh=LINEAR)
    low, high = panel.get_ylim()
    low, high = min(low, -LINEAR), max(high, LINEAR)
    panel.set_ylim(low, high)
    ticks = [sign * LINEAR * 10.0**k for k in range(7) for sign in (1, -1)]
    panel.set_yticks([0.0, *(t for t in ticks if low <= t <= high)])
    panel.yaxis.set_minor_locator(NullLocator())
    panel.yaxis.set_major_formatter(parts.plain_numbers())
