"""Roughness of the energy surfaces of every molecule and method, in units of that of the prior."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter

from mlipshift.base.text import several
from mlipshift.catalogue import methods as catalogue
from mlipshift.show import panels as parts
from mlipshift.show import samples, style, surfaces
from mlipshift.show.style import DASHED, MUTED

VALUES = ("roughness_over_prior", "force_mismatch_eV_per_A")
NEEDS = {"roughness": ("molecule", "scan", "method", "seed", "jumps", "false_minima", *VALUES)}
FLOOR = 1e-5  # eV/Å; forces that fit the energy better are drawn there
COLUMNS = ("Roughness over that of the prior", "Force mismatch (eV/Å, RMS)")


def draw(tables: Mapping[str, pd.DataFrame], title: str) -> tuple[Figure, dict[str, str]]:
    """(figure, facts of the caption)."""
    table = tables["roughness"]
    table = table[table.roughness_over_prior.notna() & (table.method != "prior")]
    table = samples.need(table, "roughness", "any model")
    scans = [s for s in surfaces.SCANS if s in set(table.scan)]
    molecules = sorted(table.molecule.unique())
    methods = surfaces.ordered(table.method)
    looks = _looks(methods)
    margins = {"left": 1.15, "right": 0.15, "top": 0.75, "bottom": 1.35, "wspace": 0.3, "hspace": 0.6}
    height = 2.1 + len(scans) * (0.6 + 0.22 * len(molecules))
    figure, panels = style.canvas(height, len(scans), 2, **margins, sharey=True)
    for line, scan in zip(panels, scans):
        for panel, column, label in zip(line, VALUES, COLUMNS):
            own = table[table.scan == scan]
            _panel(panel, own, column, molecules, methods, looks)
            panel.set_title(surfaces.SCANS[scan].capitalize(), pad=3)
            panel.set_xlabel(label)
        line[0].set_yticks(np.arange(len(molecules)), [surfaces.molecule(m) for m in molecules])
        line[0].set_ylim(len(molecules) - 0.4, -0.6)
        line[0].axvline(1, color=MUTED, lw=0.8, ls=DASHED)
    n = f"{several(str(len(molecules)), 'molecule')}, {several(str(table.seed.nunique()), 'seed')}"
    style.head(figure, title, f"n = {n}")
    handles = [Line2D([], [], ls="none", label=surfaces.title(m), **looks[m]) for m in methods]
    style.legend(figure, handles, 0.75, 3)
    faults = table.groupby("method")[["jumps", "false_minima"]].sum()
    return figure, {"sample": n, "jumps": str(int(faults.jumps.sum())), "minima": str(int(faults.false_minima.sum()))}


def _panel(panel, own, column, molecules, methods, looks):
    """Points of every molecule, the methods side by side; lines from the least to the largest of the seeds."""
    for k, method in enumerate(methods):
        shift = 0.56 * ((k + 0.5) / len(methods) - 0.5)
        rows = surfaces.over_seeds(own[own.method == method], ["molecule"], column)
        for row in rows.to_dict("records"):
            at = molecules.index(row["molecule"]) + shift
            values = np.maximum([row["low"], row["mean"], row["high"]], FLOOR)
            panel.plot(values[[0, 2]], [at, at], color=looks[method]["color"], lw=0.9, zorder=1)
            panel.plot(values[1], at, ls="none", **looks[method])
    panel.set_xscale("log")
    panel.xaxis.set_major_formatter(parts.plain_numbers())
    panel.xaxis.set_minor_formatter(NullFormatter())
    for edge in range(1, len(molecules)):
        panel.axhline(edge - 0.5, color=style.PALE, lw=0.5, zorder=0)


def _looks(keys: Sequence[str]) -> dict[str, dict[str, Any]]:
    """{method: keywords of a marker}; open and squeezed for the other kind of forces."""
    bases = catalogue.looks(dict.fromkeys(surfaces.split(key)[0] for key in keys))
    out = {}
    for key in keys:
        base, kind = surfaces.split(key)
        colour, marker, filled = bases[base]
        out[key] = style.drawn_as((colour, marker, filled)) | ({"alpha": 0.55} if kind else {})
    return out
