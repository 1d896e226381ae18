"""The report of a diagnosis: one self-contained HTML page from the shift measures and the tables of every model."""

import json

import numpy as np

from mlipshift.base.tables import read_table
from mlipshift.base.text import count, listed
from mlipshift.catalogue.names import CRITERIA, GROUPS, group, ordered
from mlipshift.evaluate.statistics import CHEMICAL_ACCURACY
from mlipshift.show.plotting_shift import AXIS_NAMES, interval_of, label, short
from mlipshift.show.reporting import bracket, cell, embedded, number, page, share

FIGURES = ("fig_error_axes", "fig_rank_correlations", "fig_embedding", "fig_criteria")
TABLES = ("axes", "ranks", "groups")


def drawn(folder):
    """[{source, caption, alt}] of the figures that a folder holds, the SVG as data URI."""
    return [embedded(path) for path in (folder / f"{name}.svg" for name in FIGURES) if path.exists()]


def model(title, tables, figures, lines=()):
    """What the page says of one model, from the folders of its tables and figures and the lines of its capability."""
    read = {name: read_table(tables / f"{name}.csv") for name in TABLES}
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


def best(table):
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


def coefficient(value):
    """'0.62' or '−0.15' of a correlation; '–' for a missing one."""
    return f"{value:.2f}".replace("-", "−") if np.isfinite(value) else "–"


def criterion_cell(row):
    """Cell of a criterion with its full name for the pointer."""
    return cell(short(row["criterion"]), title=label(row["criterion"]))


def _error_cell(row, prefix=""):
    mean, low, high = (row[f"{prefix}{key}_meV_per_A"] for key in ("mean", "ci_low", "ci_high"))
    return cell(f"{number(mean)} {bracket(low, high)}" if np.isfinite(mean) else "–", mean)


def axes_table(table):
    """Error inside and outside the training distribution by criterion."""
    rows = [
        [
            cell(AXIS_NAMES[row["axis"]]),
            criterion_cell(row),
            cell(count(row["n_inside"]), row["n_inside"]),
            _error_cell(row, "inside_"),
            cell(count(row["n_outside"]), row["n_outside"]),
            _error_cell(row, "outside_"),
            cell(f"{row['ratio']:.2f}" if np.isfinite(row["ratio"]) else "–", row["ratio"]),
        ]
        for row in table.to_dict("records")
    ]
    head = ["Axis", "Measure", "Inside, structures", "force MAE (meV/Å)", "Outside, structures", "force MAE (meV/Å)"]
    return {"head": [*head, "Ratio"], "rows": rows}


def ranks_table(table):
    """Rank correlations, best first."""
    rows = [
        [
            criterion_cell(row),
            cell(AXIS_NAMES[row["axis"]]),
            cell(coefficient(row["spearman"]), row["spearman"]),
            cell(f"[{coefficient(row['ci_low'])}, {coefficient(row['ci_high'])}]", row["ci_low"]),
            cell("yes" if row["needs_labels"] else "no"),
            cell(count(row["n_structures"]), row["n_structures"]),
            cell(count(row["n_molecules"]), row["n_molecules"]),
        ]
        for row in table.to_dict("records")
    ]
    head = ["Measure", "Axis", "Rank correlation", "95 % interval", "Needs labels", "Structures", "Molecules"]
    return {"head": head, "rows": rows}


def groups_table(table):
    """Eigenvalues in [0.9, 1.1] and error of every group."""
    place = {g: k for k, g in enumerate(ordered(table.group, GROUPS))}
    rows = []
    for row in sorted(table.to_dict("records"), key=lambda row: place[row["group"]]):
        mean, spread = row["window_fraction_mean"], row["window_fraction_standard_deviation"]
        rows.append(
            [
                cell(group(row["group"]), title=row["group"]),
                cell(count(row["n_structures"]), row["n_structures"]),
                cell(count(row["n_molecules"]), row["n_molecules"]),
                cell(f"{mean:.3f} ± {spread:.3f}", mean),
                cell(share(row["window_fraction_outside"]), row["window_fraction_outside"]),
                cell(count(row["n_errors"]), row["n_errors"]),
                _error_cell(row),
            ]
        )
    head = ["Group", "Structures", "Molecules", "Eigenvalues in [0.9, 1.1]", "Outside", "With error"]
    return {"head": [*head, "Force MAE (meV/Å)"], "rows": rows}


def side_by_side(models):
    """Force MAE of every model in every group; None where no model has an error."""
    groups = ordered({g for m in models for g in m["errors"].index}, GROUPS)
    groups = [g for g in groups if any(np.isfinite(m["errors"].mean_meV_per_A.get(g, np.nan)) for m in models)]
    if not groups:
        return None
    rows = []
    for m in models:
        known = m["errors"].reindex(groups)
        cells = [
            cell(f"{number(row['mean_meV_per_A'])} ({row['n_errors']:.0f})", row["mean_meV_per_A"])
            if np.isfinite(row["mean_meV_per_A"])
            else cell("–", np.nan)
            for row in known.to_dict("records")
        ]
        rows.append([cell(m["title"]), *cells])
    return {"head": ["Model", *map(group, groups)], "rows": rows}


def sweep_table(table):
    """Share of structures outside by criterion and group, at every number of standard deviations of the sweep."""
    groups = [g for g in ordered(table.group, GROUPS) if g != "train"]
    sigmas = sorted(set(table.sigma))
    share_of = table.set_index(["criterion", "group", "sigma"]).fraction_outside
    rows = []
    for criterion in ordered(table.criterion, CRITERIA):
        values = [[share_of.get((criterion, g, s), np.nan) for s in sigmas] for g in groups]
        cells = [cell(" / ".join(share(v).removesuffix(" %") for v in row) + " %", row[0]) for row in values]
        rows.append([criterion_cell({"criterion": criterion}), *cells])
    return {"head": ["Measure", *map(group, groups)], "rows": rows, "sigmas": listed(f"{s:g}" for s in sigmas)}


def outside_table(table):
    """Share of structures outside the training distribution by criterion and group."""
    groups = [g for g in ordered(table.group, GROUPS) if g != "train"]
    share_of = table.set_index(["criterion", "group"]).fraction_outside
    rows = []
    for criterion in ordered(table.criterion, CRITERIA):
        values = [share_of.get((criterion, g), np.nan) for g in groups]
        rows.append([criterion_cell({"criterion": criterion}), *(cell(share(v), v) for v in values)])
    return {"head": ["Measure", *map(group, groups)], "rows": rows}


def render(template, shares, criteria, models, info):
    """HTML of the report.

    template: path of the Jinja template; shares: DataFrames "outside" and "sweep" of the share of structures outside;
    criteria: folder of the figure of the measures; models: list from `model`; info: {"sigma", "cutoff", "missing",
    "run"}.
    """
    return page(template).render(
        outside=outside_table(shares["outside"]),
        sweep=sweep_table(shares["sweep"]),
        side_by_side=side_by_side(models),
        criteria=drawn(criteria),
        models=models,
        info=info,
        accuracy=CHEMICAL_ACCURACY,
    )
