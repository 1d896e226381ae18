"""h(r) of every simulated molecule before and after adaptation, beside that of reference geometries."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from mlipshift.catalogue.runs import RUN
from mlipshift.show import panels as parts
from mlipshift.show import runs, samples, style
from mlipshift.show.style import PALE, WIDTH

NEEDS = {
    "h_of_r": ("molecule", "run", "r_A", "density_per_A"),
    "dynamics_summary": (*RUN, "h_of_r_error", "h_of_r_floor", "stable_ps"),
    "published": ("quantity", "published", "ours_is"),
}
MOST = 10  # runs at most


def draw(tables: Mapping[str, pd.DataFrame], title: str) -> tuple[Figure, dict[str, str]]:
    """(figure, facts of the caption)."""
    table, densities = tables["dynamics_summary"], tables["h_of_r"]
    table = table[(table.ensemble == "nvt") & (table.precision == "float32")]
    if len(table) == 0:
        raise samples.NothingToDraw("no run with a thermostat")
    shown, names = runs.molecules(table.molecule), runs.titles(tables["dynamics_summary"])
    rows = list(dict.fromkeys(table.run))[:MOST]
    height = 0.95 + len(rows) * 0.62
    margins = {"left": 0.35, "right": 0.2, "top": 0.75, "bottom": 0.5, "wspace": 0.25, "hspace": 0.1}
    figure, panels = style.canvas(height, len(rows), len(shown), **margins, sharex=True)
    told = []
    for column, molecule in enumerate(shown):
        own = densities[densities.molecule == molecule]
        reference = own[own.run == "reference"]
        for k, run in enumerate(rows):
            panel = panels[k, column]
            found = table[(table.molecule == molecule) & (table.run == run)]
            _panel(panel, reference, own[own.run == run], found, names[run])
        parts.heading(panels[0, column], runs.molecule(molecule), _said(tables["published"], molecule))
        panels[-1, column].set_xlabel("Interatomic distance r (Å)")
        floor = table[table.molecule == molecule].h_of_r_floor.iloc[0]
        told.append(f"{runs.molecule(molecule)}: {floor:.3f}")
    style.head(figure, title, "Density of all interatomic distances until something broke, all replicas")
    handles = [Patch(color=PALE, label="Reference geometries"), Line2D([], [], color=style.MUTED, label="Dynamics")]
    style.legend(figure, handles, height - 0.12, 2, x=WIDTH - 2.9)
    return figure, {"floor": "; ".join(told)}


def _panel(panel, reference, own, found, name):
    """One run of one molecule: densities, and the area between them."""
    panel.fill_between(reference.r_A, reference.density_per_A, color=PALE, lw=0)
    panel.set_yticks([])
    highest = reference.density_per_A.max() * 1.25
    panel.set_ylim(0, highest)
    panel.set_xlim(0.8, reference[reference.density_per_A > 0].r_A.max() + 0.8)
    if len(found) == 0:
        return
    row = found.iloc[0]
    panel.plot(own.r_A, own.density_per_A.clip(upper=highest), color=runs.colour(row), lw=0.8)
    text = f"{name}\nerror {row.h_of_r_error:.2f}, {row.stable_ps:.2g} ps"
    panel.text(0.995, 0.93, text, ha="right", va="top", transform=panel.transAxes, size=6.5, linespacing=1.3)


def _said(published: pd.DataFrame, molecule: str) -> str:
    """The published errors of a molecule; empty where there are none."""
    own = published[published.quantity.str.startswith("h(r) error") & published.ours_is.notna()]
    own = own[own.ours_is.astype(str).str.endswith(f" of {molecule}")]
    return "published: " + " → ".join(f"{value:.2f}" for value in own.published) if len(own) else ""
