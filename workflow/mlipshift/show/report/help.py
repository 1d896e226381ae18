"""The page on models as they are and what helps them: the answer in sentences, figures, tables."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mlipshift.base.text import count, several
from mlipshift.show import help_groups
from mlipshift.show.report import cells, help_sentences
from mlipshift.show.report.cells import cell, counted, shared
from mlipshift.show.report.downloads import downloads
from mlipshift.show.report.format import HIGH, LOW, MEAN, bracket, duration, number
from mlipshift.show.report.help_sentences import ALL, Titles, row_of
from mlipshift.show.report.page import embedded, page, section


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


def decision_table(table: pd.DataFrame, titles: Titles) -> dict[str, Any]:
    """Help for all, for none, and where the expected ratio asks for it, on all held-out structures."""
    rows = [
        [
            cell(help_groups.method(row["method"], titles), title=row["method"]),
            cell(f"{row['threshold']:.2f}" if np.isfinite(row["threshold"]) else "none helped", row["threshold"]),
            shared(row["fraction_helped"]),
            *(cells.error(row[f"{name}_meV_per_A"]) for name in ("never", "always", "decided", "best")),
            cell(
                f"{number(row['regret_difference_meV_per_A'])}"
                f" {bracket(row['regret_ci_low_meV_per_A'], row['regret_ci_high_meV_per_A'])}",
                row["regret_difference_meV_per_A"],
            ),
            counted(row["n_structures"]),
        ]
        for row in table[table.group == ALL].to_dict("records")
    ]
    head = ["Method", "Threshold", "Helped", "None helped", "All helped", "Decided", "Best choice", "Regret"]
    return cells.table([*head, "Structures"], rows)


def crossing_table(table: pd.DataFrame, titles: Titles) -> dict[str, Any]:
    """What help gives on either side of the crossover."""
    name = lambda row: (
        f"Two-head model after TTT, run {row['run']}"
        if pd.notna(row["run"])
        else help_groups.method(row["method"], titles)
    )
    rows = [
        [
            cell(name(row)),
            cell(str(row["side"])),
            shared(row["improved"], row["n_structures"]),
            cell(f"{row['median_gain_ratio']:.2f}", row["median_gain_ratio"]),
            *(cells.error(row[f"mean_{side}_meV_per_A"]) for side in ("before", "after")),
            *(counted(row[key]) for key in ("n_structures", "n_molecules")),
        ]
        for row in table.to_dict("records")
    ]
    head = ["Method", "Side", "Improved", "Median of error after / before", "Before (meV/Å)", "After (meV/Å)"]
    return cells.table([*head, "Structures", "Molecules"], rows)


def shown(
    title: str,
    heading: str,
    content: Mapping[str, Any],
    given: Mapping[str, pd.DataFrame],
    key: str,
    open: bool = False,
) -> dict[str, Any]:
    """A table of the page; key: its id, and the name of what it is made from; open: whether it is unfolded."""
    parts = {"id": f"{key}-table", "title": title, "heading": heading, "content": content, "open": open}
    return parts | {"downloads": downloads([key], given)}


def sections(tables: Mapping[str, pd.DataFrame], titles: Titles, figures: Path, read: Mapping[str, Any]) -> list[dict]:
    """The sections behind the answer; arguments as of `render`."""
    of = lambda *names: [embedded(path) for path in (figures / f"{n}.svg" for n in names) if path.exists()]
    errors = shown(
        "All methods in all held-out groups",
        "Force MAE, meV/Å, 95 % intervals over molecules.",
        groups_table(tables["groups"], titles),
        tables,
        "groups",
    )
    costs = shown(
        "What it costs",
        "CPU time of one core, as measured in this run.",
        costs_table(tables["costs"], titles),
        tables,
        "costs",
    )
    signs = shown("All signs", "All held-out structures.", signs_table(tables["signs"], titles), tables, "signs")
    told = "None of these signs needs a label; which one to trust was chosen on the validation groups."
    decision = shown(
        "Where to help, decided without a label",
        "A structure is helped where the expected error of the model over that of GFN2-xTB is above the threshold that"
        " has the least mean error on the validation groups. Held-out structures, force MAE in meV/Å; regret:"
        " above the best choice of every structure, with its 95 % interval over molecules.",
        decision_table(tables["decision"], titles),
        tables,
        "decision",
    )
    crossing = shown(
        "On either side of the crossover",
        "Held-out structures by the ratio of the errors of model and GFN2-xTB, the true one and the expected one.",
        crossing_table(tables["crossing"], titles),
        tables,
        "crossing",
    )
    left_out = [
        shown("What every model takes", read["models"]["heading"], read["models"]["content"], {}, "taken", open=True),
        *({**t, "open": False} for t in read["tables"]),
    ]
    return [
        section(
            "models",
            "Models and help, group by group",
            figures=of("fig_help_models", "fig_help_groups"),
            tables=[errors, costs],
        ),
        section("signs", "Am I outside?", texts=[told], figures=of("fig_help_signs", "fig_help_kept"), tables=[signs]),
        section("payoff", "When does it pay?", figures=of("fig_help_payoff"), tables=[decision, crossing]),
        section("left_out", "What was left out", texts=read["told"], tables=left_out),
    ]


def render(
    template: Path,
    tables: Mapping[str, pd.DataFrame],
    titles: Titles,
    figures: Path,
    read: Mapping[str, Any],
    run: str,
) -> str:
    """HTML of the page.

    tables: groups, signs, payoff, crossing, decision, costs; figures: their folder; read: what is to be said of what
    was left out, {"models": {heading, content}, "tables": [{heading, content}], "told": lines, "warnings": lines}.
    """
    everything = tables["groups"][tables["groups"].group == ALL]
    lead = "Force errors of potentials as they are, and of label-free help for them."
    if len(everything):
        held = everything.loc[everything.n_structures.idxmax()]  # a method may leave some out, the prior too
        molecules = several(count(held.n_molecules), "molecule")
        lead += f" {count(held.n_structures)} held-out structures of {molecules}; choices were made on other molecules."
    return page(template).render(
        title="Universal potentials where they were not trained",
        lead=lead,
        run=run,
        answer=help_sentences.answer(tables, titles),
        warnings=read["warnings"],
        sections=sections(tables, titles, figures, read),
    )
