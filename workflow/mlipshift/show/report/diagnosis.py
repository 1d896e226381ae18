"""The page of a diagnosis: one self-contained HTML file from the shift measures and the tables of every model."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
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
from mlipshift.catalogue.headings import DIAGNOSIS_REPORT
from mlipshift.evaluate.statistics import CHEMICAL_ACCURACY
from mlipshift.show import samples
from mlipshift.show.criteria import AXES, label, short
from mlipshift.show.report import cells, shifts
from mlipshift.show.report.cells import Cell, Row, cell, counted, group_cell, shared
from mlipshift.show.report.downloads import shown
from mlipshift.show.report.format import bracket, number, share
from mlipshift.show.report.page import embedded, page
from mlipshift.show.report.to_explorer import address


def drawn(folder: Path, explorer: Path | None = None, model: str = "") -> list[dict[str, str]]:
    """[{source, caption, alt, explorer}] of the figures that a folder holds, the SVG as data URI.

    explorer: the file that shows their structures, beside the page; model: whose figures they are.
    """
    paths = {name: folder / f"{name}.svg" for name in DIAGNOSIS}
    return [
        embedded(path) | {"explorer": address(name, explorer, model)} for name, path in paths.items() if path.exists()
    ]


def interval_of(resampled: str) -> str:
    """What the intervals are; resampled: "molecules", or "structures" of one molecule alone."""
    return filled(INTERVAL_OF, samples.resampling(resampled))


def model(
    title: str, tables: Path, figures: Path, lines: Iterable[str] = (), explorer: Path | None = None
) -> dict[str, Any]:
    """What the page says of one model, from the folders of its tables and figures and the lines of its capability."""
    read = {name: read_table(tables / f"{name}.csv") for name in ("axes", "ranks", "groups")}
    summary = json.loads((tables / "diagnosis.json").read_text(encoding="utf-8"))
    labelled, known = bool(summary["n_errors"]), {"accuracy": str(CHEMICAL_ACCURACY)}
    known["interval"] = interval_of(summary["resampled"])
    made = {
        "ranks": ranks_table(read["ranks"]) if labelled else None,
        "axes": axes_table(read["axes"]) if read["axes"][["n_inside", "n_outside"]].to_numpy().any() else None,
        "groups": groups_table(read["groups"]),
    }
    own = f"{summary['model']}-"
    return made | {
        "name": summary["model"],
        "title": title,
        "missing": summary["missing"],
        "notes": [line.removeprefix(f"{summary['model']}: ") for line in lines],
        "errors": read["groups"].set_index("group"),
        "best": best(read["ranks"]) if labelled else "",
        "figures": drawn(figures, explorer, summary["model"]),
        "tables": [table_of(key, made[key], read, known, own) for key in made if made[key] is not None],
    }


def table_of(
    key: str,
    content: Mapping[str, Any] | None,
    given: Mapping[str, pd.DataFrame],
    known: Mapping[str, str],
    own: str = "",
) -> dict[str, Any] | None:
    """A table of the page with its heading; known: what its words lack; own: before its id, of a model."""
    if content is None:
        return None
    about = DIAGNOSIS_REPORT[key]
    return shown(f"{own}{key}", replace(about, heading=filled(about.heading, known)), content, given)


def best(table: pd.DataFrame) -> str:
    """Which measure predicts the error best, in words that its interval allows."""
    known = table.dropna(subset=["spearman"])
    if not len(known):
        return "No measure of shift varies over the structures with an error: none can predict it."
    row = known.iloc[0]
    interval = f"{coefficient(row.spearman)} [{coefficient(row.ci_low)}, {coefficient(row.ci_high)}]"
    found = f"rank correlation {interval}"
    if np.isfinite(row.auroc):
        area = f"{coefficient(row.auroc)} [{coefficient(row.auroc_ci_low)}, {coefficient(row.auroc_ci_high)}]"
        found += f"; the worst tenth of the errors is found with an AUROC of {area}, a guess has 0.5"
    free = unknown_sign(row)
    if not (row.ci_low > 0 or (free and row.ci_high < 0)):
        return (
            "No measure of shift is shown to rise or fall with the error: the largest rank correlation is that of"
            f" “{label(row.criterion)}”, {interval}."
        )
    fall = row.direction == "smaller" or (free and row.spearman < 0)
    how = f"The error {'falls' if fall else 'rises'} most clearly with “{label(row.criterion)}”"
    how += " by its distance from the training mean" if row.direction == "either" else ""
    return f"{how}: {found}." + (" No validation group told that sign beforehand." if free else "")


def unknown_sign(row: pd.Series) -> bool:
    """Whether a row of the ranks is of a measure of which nothing said beforehand what goes with large errors."""
    return CRITERIA[row.criterion].side == "both" and not row.n_validation


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


USED = {"larger": "larger values", "smaller": "smaller values", "either": "distance from the training mean"}


def ranks_table(table: pd.DataFrame) -> dict[str, list]:
    """Rank correlations and AUROC, best first."""
    rows = []
    for row in table.to_dict("records"):
        used = "the value, its sign found here" if unknown_sign(pd.Series(row)) else USED[row["direction"]]
        rows.append(
            [
                criterion_cell(row["criterion"]),
                cell(AXES[row["axis"]].title),
                cell(used),
                *_estimate(row, "spearman", "ci_low", "ci_high"),
                *_estimate(row, "auroc", "auroc_ci_low", "auroc_ci_high"),
                cell("yes" if row["needs_labels"] else "no"),
                *(counted(row[k]) for k in ("n_structures", "n_molecules")),
            ]
        )
    head = ["Measure", "Axis", "A sign of error", "Rank correlation", "95 % interval", "AUROC", "95 % interval"]
    return cells.table([*head, "Needs labels", "Structures", "Molecules"], rows)


def _estimate(row: Row, *names: str) -> list[Cell]:
    """Cells of a coefficient and its interval."""
    value, low, high = (row[name] for name in names)
    interval = f"[{coefficient(low)}, {coefficient(high)}]" if np.isfinite(low) else "no interval"
    return [cell(coefficient(value), value), cell(interval, low)]


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
    groups = ordered(table.group, GROUPS)
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
    explorer: Path | None = None,
) -> str:
    """HTML of the report.

    template: path of the Jinja template; shares: DataFrames "outside" and "sweep" of the share of structures outside;
    criteria: folder of the figure of the measures; models: list from `model`; info: {"sigma", "cutoff", "missing",
    "run"}; read: {"told": lines, "tables"} of left_out; explorer: the file that shows the structures, beside the page.
    """
    sweep, trained = sweep_table(shares["sweep"]), "train" in set(shares["outside"].group)
    known = {"sigma": info["sigma"], "sigmas": str(sweep["sigmas"])}
    given = {"shift_summary": shares["outside"], "shift_sweep": shares["sweep"]}
    return page(template).render(
        sentences=shifts.sentences(shares["outside"]),
        unsaid=shifts.unsaid(shares["outside"]),
        outside=table_of("outside", outside_table(shares["outside"]) if trained else None, given, known),
        sweep=table_of("sweep", sweep, given, known),
        side_by_side=table_of("side_by_side", side_by_side(models), given, known),
        criteria=drawn(criteria, explorer),
        read=read,
        models=models,
        info=info,
    )
