"""The page on models as they are and what helps them: the answer in sentences, figures, tables."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mlipshift.base.text import count, several
from mlipshift.catalogue.figures import HELP
from mlipshift.show import help_groups
from mlipshift.show.report import cells, help_sentences
from mlipshift.show.report.cells import cell, counted
from mlipshift.show.report.format import bracket, duration, number
from mlipshift.show.report.help_sentences import ALL, HIGH, LOW, MEAN, Titles, row_of
from mlipshift.show.report.page import embedded, page


def groups_table(table: pd.DataFrame, titles: Titles) -> dict[str, Any]:
    """Error of every method in every held-out group."""
    groups = [*help_groups.held_out(table.group), ALL]
    names = [m for m in dict.fromkeys(table.method)]
    rows = []
    for name in names:
        found = [cell(help_groups.method(name, titles), title=name)]
        for g in groups:
            row = row_of(table, g, name)
            found.append(
                cell("–") if row is None else cell(f"{number(row[MEAN])} {bracket(row[LOW], row[HIGH])}", row[MEAN])
            )
        rows.append(found)
    return cells.table(["Method", *(help_groups.title(g) for g in groups)], rows)


def costs_table(table: pd.DataFrame, titles: Titles) -> dict[str, Any]:
    """Seconds per structure of every method."""
    rows = [
        [
            cell(help_groups.method(row["method"], titles), title=row["method"]),
            cell(duration(row["seconds"]), row["seconds"]),
            cell(
                "–" if not np.isfinite(row["relative_to_model"]) else f"{row['relative_to_model']:.1f}",
                row["relative_to_model"],
            ),
            counted(row["prior_calls"]),
            cell("yes" if row["conservative"] else "no"),
        ]
        for row in table.to_dict("records")
    ]
    return cells.table(["Method", "CPU time per structure", "Times the model", "Prior calls", "Conservative"], rows)


def signs_table(table: pd.DataFrame, titles: Titles) -> dict[str, Any]:
    """How well the signs find errors, on all held-out structures."""
    estimate = lambda row, name, low, high: cell(f"{row[name]:.2f} [{row[low]:.2f}, {row[high]:.2f}]", row[name])
    rows = [
        [
            cell(help_groups.method(row["model"], titles)),
            cell(help_groups.SIGNS.get(row["sign"], row["sign"]) + (" (recommended)" if row["recommended"] else "")),
            estimate(row, "spearman", "ci_low", "ci_high"),
            estimate(row, "auroc", "auroc_ci_low", "auroc_ci_high"),
            estimate(row, "kept_half_relative", "kept_half_ci_low", "kept_half_ci_high"),
            counted(row["n_structures"]),
        ]
        for row in table[table.group == ALL].to_dict("records")
    ]
    head = [
        "Model",
        "Sign",
        "Rank correlation",
        "AUROC of the worst tenth",
        "Error of the half kept / all",
        "Structures",
    ]
    return cells.table(head, rows)


def section(
    name: str, title: str, texts: Sequence[str], figures: Sequence[dict], tables: Sequence[dict]
) -> dict[str, Any]:
    """A section of the page."""
    return {"name": name, "title": title, "texts": texts, "code": "", "figures": figures, "tables": tables}


def folded(title: str, heading: str, content: Mapping[str, Any]) -> dict[str, Any]:
    """A table that is folded away."""
    return {"content": content, "heading": heading, "folded": title}


def render(
    template: Path, tables: Mapping[str, pd.DataFrame], titles: Titles, figures: Path, lines: Sequence[str], run: str
) -> str:
    """HTML of the page; tables: groups, signs, payoff, crossing, costs; figures: their folder; lines: on the models."""
    groups = tables["groups"]
    drawn = {name: embedded(figures / f"{name}.svg") for name in HELP if (figures / f"{name}.svg").exists()}
    of = lambda *which: [drawn[name] for name in which if name in drawn]
    errors = folded(
        "All methods in all held-out groups",
        "Force MAE, meV/Å, 95 % intervals over molecules.",
        groups_table(groups, titles),
    )
    costs = folded(
        "What it costs", "CPU time of one core, as measured in this run.", costs_table(tables["costs"], titles)
    )
    signs = folded("All signs", "All held-out structures.", signs_table(tables["signs"], titles))
    told = "None of these signs needs a label; which one to trust was chosen on the validation groups."
    sections = [
        section(
            "models",
            "Models and help, group by group",
            [],
            of("fig_help_models", "fig_help_groups"),
            [errors, costs],
        ),
        section("signs", "Am I outside?", [told], of("fig_help_signs"), [signs]),
        section("payoff", "When does it pay?", [], of("fig_help_payoff"), []),
    ]
    held = row_of(groups, ALL, "prior")
    lead = "Force errors of potentials as they are, and of label-free help for them."
    if held is not None:
        molecules = several(count(held.n_molecules), "molecule")
        lead += f" {count(held.n_structures)} held-out structures of {molecules}; choices were made on other molecules."
    return page(template).render(
        title="Universal potentials where they were not trained",
        lead=lead,
        run=run,
        answer=help_sentences.answer(tables, titles),
        warnings=list(lines),
        sections=sections,
    )
