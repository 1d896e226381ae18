"""Energy surfaces of one molecule by every method, with common contours, and that of density functional theory."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.contour import ContourSet
from matplotlib.figure import Figure

from mlipshift.show import samples, style, surfaces
from mlipshift.show.style import INK, MUTED

NEEDS = {"surfaces": ("molecule", "scan", "method", "seed", "u_A", "v_A", "energy_eV")}
FIRST = "salicylic_acid"  # of the published figure
SHOWN = ("joint", "joint_ttt_minimum", "joint_ttt_directions", "joint_corrected", "delta", "prior", "reference")
PUBLISHED = "jagged, to about 12 eV, before TTT; smooth, below about 3 eV, after"
BELOW = {  # second lines of titles
    "joint_ttt_minimum": ("Joint + TTT", "on the minimum"),
    "joint_ttt_directions": ("Joint + TTT", "on 12 geometries"),
}
LEVELS = 12  # closer together the lower they are
CEILING = 1.1  # of the prior's highest energy: the end of the scale
COLUMNS = 4


def draw(tables: Mapping[str, pd.DataFrame], title: str) -> tuple[Figure, dict[str, str]]:
    """(figure, facts of the caption)."""
    table = samples.need(tables["surfaces"], "surfaces", "any molecule")
    molecule = FIRST if FIRST in set(table.molecule) else table.molecule.iloc[0]
    table = table[table.molecule == molecule]
    scan = "wide" if "wide" in set(table.scan) else table.scan.iloc[0]
    table = table[table.scan == scan]
    table = table[table.seed.isna() | (table.seed == table.seed.min())]
    shown = [m for m in SHOWN if m in set(table.method)]
    prior = table[table.method == "prior"].energy_eV
    high = CEILING * float(prior.max()) if len(prior) and prior.max() > 0 else float(table.energy_eV.max())
    low = min(0.0, float(table[table.method.isin(shown)].energy_eV.min()))
    norm = PowerNorm(0.5, max(low, -high), high)
    rows = -(-len(shown) // COLUMNS)
    margins = {"left": 0.5, "right": 1.0, "top": 0.95, "bottom": 0.5, "wspace": 0.28, "hspace": 0.62}
    figure, panels = style.canvas(1.2 + 1.75 * rows, rows, COLUMNS, **margins, sharex=True, sharey=True)
    ranges = []
    for panel, method in zip(panels.flat, shown):
        own = table[table.method == method]
        image = _map(panel, own, norm)
        panel.set_title("\n".join(BELOW.get(method, (surfaces.title(method),))), pad=3, size=7)
        ranges.append(f"{surfaces.title(method)} {own.energy_eV.max():.2f}")
    for k, panel in enumerate(panels.flat):
        panel.set_visible(k < len(shown))
        if k < len(shown) and k + COLUMNS >= len(shown):
            panel.set_xlabel("u (Å)")
            panel.tick_params(labelbottom=True)
    for panel in panels[:, 0]:
        panel.set_ylabel("v (Å)")
    height = figure.get_figheight()
    bar = figure.add_axes((1 - 0.8 / style.WIDTH, 0.5 / height, 0.1 / style.WIDTH, 1 - 1.45 / height))
    drawn = figure.colorbar(image, cax=bar, extend="max", format="%.2f", ticks=_levels(norm)[::3])
    drawn.set_label("Energy (eV)")
    drawn.ax.tick_params(labelsize=6.5)
    style.head(figure, title, f"{surfaces.molecule(molecule)}, {surfaces.SCANS[scan]}. Published: {PUBLISHED}")
    return figure, {
        "molecule": surfaces.molecule(molecule).lower(),
        "scan": surfaces.SCANS[scan],
        "levels": ", ".join(f"{level:.2g}" for level in _levels(norm)[1:]),
        "highest": ", ".join(ranges),
        "seed": f"{table.seed.min():g}" if table.seed.notna().any() else "none",
        "published": PUBLISHED,
    }


def _levels(norm):
    """Energies [LEVELS + 1] (eV) of the contours."""
    return norm.vmin + (norm.vmax - norm.vmin) * np.linspace(0, 1, LEVELS + 1) ** 2


def _map(panel: Axes, own: pd.DataFrame, norm: PowerNorm) -> ContourSet:
    """Filled contours of a surface; contour lines of it."""
    grid = own.pivot_table(index="v_A", columns="u_A", values="energy_eV")
    levels = _levels(norm)
    energy = np.clip(grid.to_numpy(), norm.vmin, None)
    places = grid.columns.to_numpy(), grid.index.to_numpy()
    image = panel.contourf(*places, energy, levels=levels, norm=norm, cmap="viridis", extend="max")
    panel.contour(*places, energy, levels=levels, colors=INK, linewidths=0.3)
    panel.plot(0, 0, marker="+", color="white", ms=5, mew=0.9)
    panel.set_aspect("equal")
    panel.tick_params(color=MUTED, labelsize=6.5)
    return image
