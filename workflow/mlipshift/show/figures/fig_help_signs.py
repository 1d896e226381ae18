"""How well every sign finds the largest errors of its model, without a label."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mlipshift.show import help_groups, samples, style
from mlipshift.show.style import DASHED, MUTED, SERIES

NEEDS = {"signs": ("model", "sign", "group", "recommended", "auroc", "auroc_ci_low", "auroc_ci_high")}


def draw(
    tables: Mapping[str, pd.DataFrame], title: str, about: Mapping[str, Any]
) -> tuple[Figure, dict[str, str]] | None:
    """(figure, facts of the caption); about: {"titles": {model: title}}."""
    table = tables["signs"]
    table = table[(table.group == help_groups.POOLED[0]) & np.isfinite(table.auroc.astype(float))]
    models = [m for m in about["titles"] if m in set(table.model)]
    if not models:
        raise samples.NothingToDraw("no sign has been compared with an error")
    signs = [s for s in help_groups.SIGNS if s in set(table.sign)]
    height = 1.3 + 0.36 * len(models)
    figure, panels = style.canvas(height, 1, 1, left=1.9, right=0.2, top=0.55, bottom=0.95)
    panel = panels[0, 0]
    handles = []
    for k, sign in enumerate(signs):
        colour, marker = SERIES[k % len(SERIES)]
        rows = table[table.sign == sign].set_index("model").reindex(models[::-1])
        y = np.arange(len(models)) + 0.32 - 0.64 * k / max(1, len(signs) - 1)
        panel.plot([rows.auroc_ci_low, rows.auroc_ci_high], [y, y], color=colour, lw=0.9, alpha=0.7)
        chosen = rows.recommended.eq(True).to_numpy()  # noqa: FBT003
        for part, face in ((chosen, colour), (~chosen, "white")):
            panel.plot(rows.auroc[part], y[part], ls="none", marker=marker, mfc=face, mec=colour, ms=5)
        name = help_groups.SIGNS[sign]
        handles += panel.plot([], [], ls="none", marker=marker, color=colour, label=f"{name[:1].upper()}{name[1:]}")
    for face, name in ((MUTED, "Recommended by validation"), ("white", "Not")):
        handles += panel.plot([], [], ls="none", marker="o", mfc=face, mec=MUTED, label=name)
    panel.axvline(0.5, color=MUTED, ls=DASHED, lw=0.8)
    panel.set_yticks(range(len(models)), [help_groups.method(m, about["titles"]) for m in models][::-1])
    panel.tick_params(axis="y", length=0)
    panel.set_xlim(min(0.35, np.nanmin([*table.auroc_ci_low, 1]) - 0.02), 1.01)
    panel.set_xlabel("AUROC of the worst tenth")
    style.head(figure, title, "Held-out structures of all groups")
    style.legend(figure, handles, 0.5, 4)
    return figure, {}
