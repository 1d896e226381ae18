"""The first unphysical event of every run in which something happened, drawn as a molecule."""

from collections.abc import Mapping
from textwrap import fill

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mlipshift.catalogue.runs import RUN
from mlipshift.show import molecules, runs, samples, style
from mlipshift.show.style import MUTED

NEEDS = {
    "unphysical": (*("molecule", "run", "event", "time_ps", *molecules.PAIR, "length_A", "mean_length_A"),),
    "dynamics_summary": RUN,
}
BROKEN = {"color": "#D55E00", "ls": (0, (2, 1.5)), "lw": 1.2}
STRETCH = 0.5  # Å, as the criterion
COLUMNS, MOST = 4, 12  # panels in a row and in all


def draw(tables: Mapping[str, pd.DataFrame], title: str) -> tuple[Figure, dict[str, str]]:
    """(figure, facts of the caption)."""
    table = tables["unphysical"]
    if len(table) == 0:
        raise samples.NothingToDraw("no simulated molecule came apart")
    names = runs.titles(tables["dynamics_summary"])
    found = list(table.groupby(["molecule", "run"], sort=False))
    shown = found[:MOST]
    rows = -(-len(shown) // COLUMNS)
    margins = {"left": 0.1, "right": 0.1, "top": 0.95, "bottom": 0.1, "wspace": 0.1, "hspace": 0.55}
    figure, panels = style.canvas(0.5 + 1.85 * rows, rows, COLUMNS, **margins)
    for k, panel in enumerate(panels.flat):
        panel.set_axis_off()
        panel.set_xticks([])
        panel.set_yticks([])
        if k < len(shown):
            (molecule, run), bonds = shown[k]
            _molecule(panel, bonds)
            row = bonds.iloc[0]
            what = "bond lost" if row.event == "bond" else "energy exploded"
            panel.set_title(fill(names[run], 27), size=7, pad=12)
            said = f"{runs.molecule(molecule)}, {what} at {row.time_ps:.3g} ps"
            panel.text(0, 1.03, said, transform=panel.transAxes, size=6.5, color=MUTED)
    style.head(figure, title, "The first replica of every run; orange: bonds more than 0.5 Å from their mean length")
    facts = {"events": str(len(found))}
    return figure, facts | ({"left": str(len(found) - MOST)} if len(found) > MOST else {})


def _molecule(panel: Axes, bonds: pd.DataFrame) -> None:
    """Atoms, and bonds as they are."""
    lost = ~((bonds.length_A - bonds.mean_length_A).abs() <= STRETCH)
    looks = [BROKEN if broken else molecules.BOND for broken in lost]
    molecules.draw(panel, bonds, looks)
