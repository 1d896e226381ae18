"""The first unphysical event of every run in which something happened, drawn as a molecule."""

from collections.abc import Mapping
from textwrap import fill

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mlipshift.catalogue.pairs import PAIR
from mlipshift.catalogue.runs import RUN
from mlipshift.show import molecules, runs, samples, style

NEEDS = {
    "unphysical": (*("molecule", "run", "event", "time_ps", *PAIR, "length_A", "mean_length_A"),),
    "dynamics_summary": RUN,
}
BROKEN = {"color": "#D55E00", "ls": (0, (2, 1.5)), "lw": 1.2}
STRETCH = 0.5  # Å, as the criterion
REACH = 7.0  # Å from the middle that are shown of what has come apart


def draw(tables: Mapping[str, pd.DataFrame], title: str) -> tuple[Figure, dict[str, str]]:
    """(figure, facts of the caption)."""
    table = tables["unphysical"]
    if len(table) == 0:
        raise samples.NothingToDraw("no simulated molecule came apart")
    names = runs.titles(tables["dynamics_summary"])
    found = list(table.groupby(["molecule", "run"], sort=False))
    shown = found[: molecules.MOST]
    figure, panels = molecules.canvas(len(shown), lines=1)
    for panel, ((molecule, run), bonds) in zip(panels, shown):
        _molecule(panel, bonds)
        row = bonds.iloc[0]
        what = "bond lost" if row.event == "bond" else "energy exploded"
        molecules.label(panel, fill(names[run], 27), [f"{runs.molecule(molecule)}, {what} at {row.time_ps:.3g} ps"])
    style.head(figure, title, "The first replica of every run; orange: bonds more than 0.5 Å from their mean length")
    facts = {"events": str(len(found))}
    return figure, facts | ({"left": str(len(found) - len(shown))} if len(found) > len(shown) else {})


def _molecule(panel: Axes, bonds: pd.DataFrame) -> None:
    """Atoms, and bonds as they are."""
    lost = ~((bonds.length_A - bonds.mean_length_A).abs() <= STRETCH)
    looks = [BROKEN if broken else molecules.BOND for broken in lost]
    molecules.draw(panel, bonds, looks, reach=REACH)
