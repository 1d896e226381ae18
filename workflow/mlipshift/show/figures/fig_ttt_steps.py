"""Force MAE against the TTT step, per group."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from mlipshift.catalogue.groups import GROUPS, group, ordered
from mlipshift.catalogue.methods import METHODS
from mlipshift.evaluate.statistics import CHEMICAL_ACCURACY
from mlipshift.show import panels as parts
from mlipshift.show import samples, style
from mlipshift.show.panels import ERROR, HIGH, LOW, MEAN
from mlipshift.show.style import MUTED

NEEDS = {"steps": ("group", "method", "step", "n_structures", *ERROR), "summary": samples.SUMMARY}
ADAPTED = ("joint_ttt", "joint_placebo", "freeze_ttt")


def draw(tables: Mapping[str, pd.DataFrame], title: str) -> tuple[Figure, dict[str, str]]:
    """(figure, facts of the caption)."""
    table, summary = tables["steps"], tables["summary"]
    table = table[~table.group.str.startswith("val_") & table.method.isin(ADAPTED)]
    table = samples.need(table, "steps", "the reported groups")
    groups, methods = ordered(table.group, GROUPS), ordered(table.method, METHODS)
    columns = min(3, len(groups))
    rows = -(-len(groups) // columns)
    margins = {"left": 0.6, "right": 0.15, "top": 0.75, "bottom": 0.8, "wspace": 0.25, "hspace": 0.5}
    figure, panels = style.canvas(1.4 + 1.55 * rows, rows, columns, **margins, sharex=True, sharey=True)
    for panel, key in zip(panels.flat, groups):
        part = table[table.group == key]
        for name in methods:
            line, colour = part[part.method == name].sort_values("step"), style.colour(name)
            panel.fill_between(line.step, line[LOW], line[HIGH], color=colour, alpha=0.15, lw=0, zorder=1)
            panel.plot(line.step, line[MEAN], zorder=3, **style.marks(name))
        parts.accuracy(panel)
        panel.set_title(group(key), pad=4)
        parts.note(panel, f"n = {samples.span(part.n_structures)}")
    label = parts.scale(panels[0, 0], "y", parts.extent(table), "Force MAE (meV/Å)")
    for panel in panels[:, 0]:
        panel.set_ylabel(label)
    parts.foot(panels, len(groups), "TTT step")
    last = table.step.max()
    panels[0, 0].set_xlim(-0.03 * last, 1.03 * last)
    explained = "Step 0 is the model before adaptation"
    if "joint_placebo" in methods:
        explained += "; the placebo adapts to the prior labels of another structure"
    style.head(figure, title, explained)
    band = Patch(color=MUTED, alpha=0.2, lw=0, label="95 % interval")
    style.legend(figure, [*map(style.handle, methods), band, style.accuracy_handle()], 0.22, 5)
    sizes = samples.samples(summary, groups, methods)
    return figure, {"samples": sizes, "accuracy": str(CHEMICAL_ACCURACY)}
