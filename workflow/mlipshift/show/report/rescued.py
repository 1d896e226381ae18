"""The page on structures of one's own and a model as it is: the verdict, what was done to the forces, and why."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mlipshift.base.text import count, several
from mlipshift.show import help_groups
from mlipshift.show.report import cells
from mlipshift.show.report.cells import cell, counted
from mlipshift.show.report.format import number
from mlipshift.show.report.page import page

TRUSTED = {"model": "the model", "corrected": "the corrected model", "prior": "GFN2-xTB"}
WORST = 20  # structures that are listed
OUTSIDE = 2.0  # times the expected error of the validation structures that are ordinary


def outside_of(table: pd.DataFrame, ordinary: float) -> np.ndarray:
    """Boolean [S]: whether the expected error of the model is beyond OUTSIDE times that on ordinary structures."""
    return (table.expected_model_meV_per_A > OUTSIDE * ordinary).to_numpy()


def verdict(table: pd.DataFrame, name: str, ordinary: float) -> list[str]:
    """Plain sentences; table: rows of the user's structures; ordinary: expected error on ordinary ones, meV/Å."""
    away = outside_of(table, ordinary)
    first = (
        f"{count(away.sum())} of {several(count(len(table)), 'structure')}"
        f" {'lies' if away.sum() == 1 else 'lie'} outside what {name} knows: its expected error there is more than"
        f" {OUTSIDE:g} times the {number(ordinary)} meV/Å that it has on ordinary molecules."
    )
    share = table.trusted.value_counts()
    rest = [f"{count(n)} on {TRUSTED.get(key, key)}" for key, n in share.items() if key]
    second = f"The forces rest mainly on: {', '.join(rest)} (structures)."
    third = (
        f"Expected error, median: {number(table.expected_model_meV_per_A.median())} meV/Å of {name},"
        f" {number(table.expected_error_meV_per_A.median())} meV/Å of the rescued forces. An expectation is calibrated"
        " on the validation half of the stress set, for many structures rather than for a single one."
    )
    return [first, second, third]


def groups_table(table: pd.DataFrame, ordinary: float) -> dict[str, Any]:
    """Per group: structures, those outside, expected errors, what is trusted."""
    rows = []
    for group, own in table.groupby("group", sort=False):
        away = outside_of(own, ordinary)
        trusted = own.trusted.value_counts()
        rows.append(
            [
                cell(help_groups.title(str(group)), title=str(group)),
                counted(len(own)),
                counted(away.sum()),
                cell(number(own.expected_model_meV_per_A.median()), own.expected_model_meV_per_A.median()),
                cell(number(own.expected_error_meV_per_A.median()), own.expected_error_meV_per_A.median()),
                cell(", ".join(f"{TRUSTED.get(key, key)} {n}" for key, n in trusted.items() if key)),
            ]
        )
    head = [
        "Group",
        "Structures",
        "Outside",
        "Expected error of the model (meV/Å)",
        "After rescue (meV/Å)",
        "Trusted most",
    ]
    return cells.table(head, rows)


def worst_table(table: pd.DataFrame) -> dict[str, Any]:
    """The structures with the largest expected error after rescue, with their signs."""
    signs = [c for c in table.columns if c.endswith("_meV_per_A") and not c.startswith("expected")]
    signs = [c for c in signs if table[c].notna().any()]
    rows = [
        [
            cell(str(row["id"])),
            *(cell(number(row[c]), row[c]) for c in ("expected_model_meV_per_A", "expected_error_meV_per_A", *signs)),
            cell(str(row["weights"])),
        ]
        for row in table.sort_values("expected_error_meV_per_A", ascending=False).head(WORST).to_dict("records")
    ]
    head = ["Structure", "Expected, model", "Expected, rescued"]
    head += [c.removesuffix("_meV_per_A").replace("_", " ").capitalize() for c in signs]
    return cells.table([*head, "Weights"], rows)


def render(
    template: Path, table: pd.DataFrame, title: str, ordinary: float, card: Path, lines: list[str], run: str
) -> str:
    """HTML of the page; table: CSV of write_rescued; ordinary: meV/Å; card: that of the ASE calculator."""
    name = title.partition(",")[0]
    content: Mapping[str, Any] = json.loads(card.read_text(encoding="utf-8"))
    code = (
        "from mlipshift.external.rescued import Rescued\n\n"
        f'with Rescued("{card}") as calculator:\n    atoms.calc = calculator\n    forces = atoms.get_forces()\n'
    )
    way = "residual correction by its prior head" if content["head"] else "mixture with GFN2-xTB"
    sections = [
        {
            "name": "structures",
            "title": "Group by group",
            "texts": [],
            "code": "",
            "figures": [],
            "tables": [
                {"content": groups_table(table, ordinary), "heading": "Medians over the structures.", "folded": ""},
                {
                    "content": worst_table(table),
                    "heading": f"The {WORST} structures with the largest expected error, signs in meV/Å.",
                    "folded": "Where to look first",
                },
            ],
        },
        {
            "name": "use",
            "title": "How to use it",
            "texts": [
                "The extended XYZ file has, per structure, model_forces, rescued_forces (weights of every structure)"
                " and constant_forces (one weight for all).",
                "For relaxations and dynamics take constant_forces, by the ASE calculator below, in the environment of"
                f" the model: a {way}, weight {content['weight']:g}, whose forces are the gradient of an energy."
                " Weights that change with the structure are not, so that rescued_forces are for single geometries.",
            ],
            "code": code,
            "figures": [],
            "tables": [],
        },
    ]
    return page(template).render(
        title=f"{name} on your structures",
        lead="Where the model is outside, and what the better forces are; no label of these structures was used.",
        run=run,
        answer=verdict(table, name, ordinary),
        warnings=lines,
        sections=sections,
    )
