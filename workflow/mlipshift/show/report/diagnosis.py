"""The page of a diagnosis: one self-contained HTML file from the shift measures and the tables of every model."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mlipshift.base.tables import read_table
from mlipshift.base.text import listed
from mlipshift.catalogue.captions import filled
from mlipshift.catalogue.criteria import CRITERIA
from mlipshift.catalogue.figures import DIAGNOSIS, INTERVAL_OF
from mlipshift.catalogue.groups import GROUPS, group, ordered
from mlipshift.catalogue.tables import DIAGNOSIS_REPORT
from mlipshift.evaluate.statistics import CHEMICAL_ACCURACY
from mlipshift.show import samples
from mlipshift.show.criteria import AXES, label, short
from mlipshift.show.report import cells
from mlipshift.show.report.cells import Cell, Row, cell, counted, group_cell, shared
from mlipshift.show.report.format import bracket, number, share
from mlipshift.show.report.page import embedded, page


def drawn(folder: Path) -> list[dict[str, str]]:
    """[{source, caption, alt}] of the figures that a folder holds, the SVG as data URI."""
    return [embedded(path) for path in (folder / f"{name}.svg" for name in DIAGNOSIS) if path.exists()]


def interval_of(resampled: str) -> str:
    """What the intervals are; resampled: "molecules", or "structures" of one molecule alone."""
    return filled(INTERVAL_OF, samples.resampling(resampled))


def model(title: str, tables: Path, figures: Path, lines: Iterable[str] = ()) -> dict[str, Any]:
    """What the page says of one model, from the folders of its tables and figures and the lines of its capability."""
    read = {name: read_table(tables / f"{name}.csv") for name in ("axes", "ranks", "groups")}
    summary = json.loads((tables / "diagnosis.json").read_text(encoding="utf-8"))
    labelled = bool(summary["n_errors"])
    return {
        "name": summary["model"],
        "title": title,
        "missing": summary["missing"],
        "notes": [line.removeprefix(f"{summary['model']}: ") for line in lines],
        "errors": read["groups"].set_index("group"),
        "interval": interval_of(summary["resampled"]),
        "best": best(read["ranks"]) if labelled else "",
        "figures": drawn(figures),
        "axes": axes_table(read["axes"]) if labelled else None,
        "ranks": ranks_table(read["ranks"]) if labelled else None,
        "groups": groups_table(read["groups"]),
    }


def best(table: pd.DataFrame) -> str:
    """Which measure predicts the error best, in words that its interval allows."""
    known = table.dropna(subset=["spearman"])
    if not len(known):
        return "No measure of shift varies over the structures with an error: none can predict it."
    row = known.iloc[0]
    interval = f"{coefficient(row.spearman)} [{coefficient(row.ci_low)}, {coefficient(row.ci_high)}]"
    if not row.ci_low > 0:
        return (
            "No measure of shift is shown to rise with the error: the largest rank correlation is that of"
            f" “{label(row.criterion)}”, {interval}."
        )
    return f"The error rises most clearly with “{label(row.criterion)}”: rank correlation {interval}."


def coefficient(value: float) -> str:
    """'0.62' or '−0.15' of a correlation; '–' for a missing one."""
    return f"{value:.2f}".replace("-", "−") if np.isfinite(value) else "–"


def criterion_cell(criterion: str) -> Cell:
    """A criterion with its full name for the pointer."""
    return cell(short(criterion), title=label(criterion))


def _error_cell(row: Row, prefix: str = "") -> Cell:
    mean, low, high = (row[f"{prefix}{key}_meV_per_A"] for key in ("mean", "ci_low", "ci_high"))
    return cell(f"{number(mean)} {bracket(low, high)}" if np.isfinite(mean) else "–", mean)


def axes_table(table: pd.DataFrame) -> dict[str, list]:
    """Error inside and outside the training distribution by criterion."""
    rows = [
        [
            cell(AXES[row["axis"]].title),
            criterion_cell(row["criterion"]),
            counted(row["n_inside"]),
            _error_cell(row, "inside_"),
            counted(row["n_outside"]),
            _error_cell(row, "outside_"),
            cell(f"{row['ratio']:.2f}" if np.isfinite(row["ratio"]) else "–", row["ratio"]),
        ]
        for row in table.to_dict("records")
    ]
    head = ["Axis", "Measure", "Inside, structures", "force MAE (meV/Å)", "Outside, structures", "force MAE (meV/Å)"]
    return cells.table([*head, "Ratio"], rows)


def ranks_table(table: pd.DataFrame) -> dict[str, list]:
    """Rank correlations, best first."""
    rows = [
        [
            criterion_cell(row["criterion"]),
            cell(AXES[row["axis"]].title),
            cell(coefficient(row["spearman"]), row["spearman"]),
            cell(f"[{coefficient(row['ci_low'])}, {coefficient(row['ci_high'])}]", row["ci_low"]),
            cell("yes" if row["needs_labels"] else "no"),
            *(counted(row[k]) for k in ("n_structures", "n_molecules")),
        ]
        for row in table.to_dict("records")
    ]
    head = ["Measure", "Axis", "Rank correlation", "95 % interval", "Needs labels", "Structures", "Molecules"]
    return cells.table(head, rows)


def groups_table(table: pd.DataFrame) -> dict[str, list]:
    """Eigenvalues in [0.9, 1.1] and error of every group."""
    place = {g: k for k, g in enumerate(ordered(table.group, GROUPS))}
    rows = []
    for row in sorted(table.to_dict("records"), key=lambda row: place[row["group"]]):
        mean, spread = row["window_fraction_mean"], row["window_fraction_standard_deviation"]
        rows.append(
            [
                group_cell(row["group"]),
                *(counted(row[k]) for k in ("n_structures", "n_molecules")),
                cell(f"{mean:.3f} ± {spread:.3f}", mean),
                shared(row["window_fraction_outside"]),
                counted(row["n_errors"]),
                _error_cell(row),
            ]
        )
    head = ["Group", "Structures", "Molecules", "Eigenvalues in [0.9, 1.1]", "Outside", "With error"]
    return cells.table([*head, "Force MAE (meV/Å)"], rows)


def side_by_side(models: list[Mapping[str, Any]]) -> dict[str, list] | None:
    """Force MAE of every model in every group; None where no model has an error."""
    groups = ordered({g for m in models for g in m["errors"].index}, GROUPS)
    groups = [g for g in groups if any(np.isfinite(m["errors"].mean_meV_per_A.get(g, np.nan)) for m in models)]
    if not groups:
        return None
    rows = []
    for m in models:
        known = m["errors"].reindex(groups)
        found = [
            cell(f"{number(row['mean_meV_per_A'])} ({row['n_errors']:.0f})", row["mean_meV_per_A"])
            if np.isfinite(row["mean_meV_per_A"])
            else cell("–", np.nan)
            for row in known.to_dict("records")
        ]
        rows.append([cell(m["title"]), *found])
    return cells.table(["Model", *map(group, groups)], rows)


def sweep_table(table: pd.DataFrame) -> dict[str, object]:
    """Share of structures outside by criterion and group, at every number of standard deviations of the sweep."""
    groups = [g for g in ordered(table.group, GROUPS) if g != "train"]
    sigmas = sorted(set(table.sigma))
    share_of = table.set_index(["criterion", "group", "sigma"]).fraction_outside
    rows = []
    for criterion in ordered(table.criterion, CRITERIA):
        values = [[share_of.get((criterion, g, s), np.nan) for s in sigmas] for g in groups]
        found = [cell(" / ".join(share(v).removesuffix(" %") for v in row) + " %", row[0]) for row in values]
        rows.append([criterion_cell(criterion), *found])
    return cells.table(["Measure", *map(group, groups)], rows) | {"sigmas": listed(f"{s:g}" for s in sigmas)}


def outside_table(table: pd.DataFrame) -> dict[str, list]:
    """Share of structures outside the training distribution by criterion and group."""
    groups = [g for g in ordered(table.group, GROUPS) if g != "train"]
    share_of = table.set_index(["criterion", "group"]).fraction_outside
    rows = []
    for criterion in ordered(table.criterion, CRITERIA):
        values = [share_of.get((criterion, g), np.nan) for g in groups]
        rows.append([criterion_cell(criterion), *map(shared, values)])
    return cells.table(["Measure", *map(group, groups)], rows)


def render(
    template: Path,
    shares: Mapping[str, pd.DataFrame],
    criteria: Path,
    models: list[Mapping[str, Any]],
    info: Mapping[str, Any],
    read: Mapping[str, Any],
) -> str:
    """HTML of the report.

    template: path of the Jinja template; shares: DataFrames "outside" and "sweep" of the share of structures outside;
    criteria: folder of the figure of the measures; models: list from `model`; info: {"sigma", "cutoff", "missing",
    "run"}; read: {"told": lines, "tables"} of left_out.
    """
    sweep = sweep_table(shares["sweep"])
    known = {"sigma": info["sigma"], "sigmas": sweep["sigmas"], "accuracy": str(CHEMICAL_ACCURACY)}
    return page(template).render(
        outside=outside_table(shares["outside"]),
        sweep=sweep,
        side_by_side=side_by_side(models),
        criteria=drawn(criteria),
        read=read,
        models=models,
        info=info,
        heading=lambda key, **more: filled(DIAGNOSIS_REPORT[key], known | more),
    )
