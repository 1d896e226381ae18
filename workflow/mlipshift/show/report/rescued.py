"""The page on structures of one's own and a model as it is: the verdict, what was done to the forces, and why."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mlipshift.base.text import count, several
from mlipshift.catalogue.figures import RESCUED
from mlipshift.evaluate import statistics
from mlipshift.evaluate.rescued import SIGNS
from mlipshift.show import help_groups
from mlipshift.show.help_groups import OUTSIDE, TRUSTED
from mlipshift.show.report import cells, help_left_out
from mlipshift.show.report.cells import Cell, cell, counted
from mlipshift.show.report.format import bracket, number
from mlipshift.show.report.help import shown
from mlipshift.show.report.page import embedded, page, section
from mlipshift.show.report.to_explorer import address

WORST = 20  # structures that are listed
BOOTSTRAP = (1000, 0)  # resamples, seed
ALONE, AFTER = "expected_model_meV_per_A", "expected_error_meV_per_A"
TRUE = {"model": "Model", "rescued": "Rescued", "constant": "One weight", "prior": "GFN2-xTB"}


def outside_of(table: pd.DataFrame, ordinary: float) -> np.ndarray:
    """Boolean [S]: whether the expected error of the model is beyond OUTSIDE times that on ordinary structures."""
    return (table[ALONE] > OUTSIDE * ordinary).to_numpy()


def verdict(table: pd.DataFrame, name: str, ordinary: float, failures: pd.DataFrame) -> list[dict[str, str]]:
    """Titled sentences; table: rows of the user's structures, with true errors if any.

    ordinary: expected error on ordinary molecules, meV/Å; failures: structures without a prediction of the model.
    """
    away, known = outside_of(table, ordinary), np.isfinite(table[ALONE].astype(float)).to_numpy()
    away_of = f"{count(away.sum())} of {several(count(known.sum()), 'structure')}"
    found = [
        f"{away_of} {'lies' if away.sum() == 1 else 'lie'} outside what {name} knows: expected error above"
        f" {number(OUTSIDE * ordinary)} meV/Å, {OUTSIDE:g} times the {number(ordinary)} that it has on ordinary"
        " molecules."
    ]
    if away.any():
        found[0] += f" There the forces rest mainly on {_rest(table[away])}."
    if (known & ~away).any():
        found[0] += f" Inside they rest on {_rest(table[known & ~away])}."
    missing = failures[failures.id.isin(set(table.id))]
    if len(missing):
        more = "more " if known.any() else ""
        found.append(
            f"{several(count(missing.id.nunique()), f'{more}structure')} cannot be predicted by {name}"
            f" ({help_left_out.why(missing.reason)}). The only forces there are those of GFN2-xTB."
        )
    expected = (
        f"Expected error, median: {number(table[ALONE].median())} meV/Å of {name},"
        f" {number(table[AFTER][known].median())} meV/Å of the rescued forces on the same structures, as if the parts"
        " that they are made of erred independently: where these err alike it is more. An expectation comes from the"
        " validation groups: it holds for many structures rather than for a single one, and for structures of kinds"
        " that are among those."
    )
    parts = {"": found, "What error to expect": [expected], "What the labels say": [_truth(table, name)]}
    return [
        {"title": title if k == 0 else "", "text": text}
        for title, texts in parts.items()
        for k, text in enumerate(filter(None, texts))
    ]


def _rest(table):
    """'the model (12) and GFN2-xTB (3)' by numbers of structures."""
    shares = [(key, n) for key, n in table.trusted.value_counts().items() if isinstance(key, str) and key]
    return ", ".join(f"{TRUSTED.get(key, key)} ({count(n)})" for key, n in shares) or "nothing"


def _truth(table, name):
    """True errors where there are labels, and whether the rescued forces are better."""
    if "true_model_meV_per_A" not in table:
        return ""
    alone, after = (table[f"true_{key}_meV_per_A"].astype(float).to_numpy() for key in ("model", "rescued"))
    both = np.isfinite(alone) & np.isfinite(after)
    if not both.any():
        return ""
    units = (table.molecule.astype(str).to_numpy()[both], table.id.astype(str).to_numpy()[both])
    pair = statistics.paired(after[both], alone[both], *units, *BOOTSTRAP)
    low, high = (pair[column] for column in statistics.INTERVAL)
    side = "lower than" if high < 0 else "higher than" if low > 0 else "not measurably different from"
    return (
        f"{several(count(both.sum()), 'structure')} with reference forces: mean force MAE"
        f" {number(pair['method_mean_meV_per_A'])} meV/Å of the rescued forces, {side} the"
        f" {number(pair['baseline_mean_meV_per_A'])} of {name} (paired difference"
        f" {number(pair['difference_meV_per_A'], True)} {bracket(low, high, True)}).{_calibration(table, name)} The"
        " labels were used for nothing else."
    )


def _calibration(table, name):
    """How true errors stand to expected ones."""
    true = {c: table[f"true_{key}_meV_per_A"].astype(float) for c, key in ((ALONE, "model"), (AFTER, "rescued"))}
    ratios = [values / table[c].astype(float) for c, values in true.items()]
    alone, after = (r[np.isfinite(r)].median() for r in ratios)
    return f" True over expected error, median: {alone:.2f} of {name}, {after:.2f} of the rescued forces."


def _true_columns(table):
    """{column: heading} of the true errors that there are."""
    columns = {f"true_{key}_meV_per_A": f"True, {title}" for key, title in TRUE.items()}
    return {c: heading for c, heading in columns.items() if c in table and table[c].notna().any()}


def groups_table(table: pd.DataFrame, ordinary: float) -> dict[str, Any]:
    """Per group: structures, those outside, expected errors, what is trusted, mean true errors if there are labels."""
    true, known = _true_columns(table), help_groups.held_out(table.group)
    rows = []
    for group in [*known, *(g for g in dict.fromkeys(table.group) if g not in known)]:
        own = table[table.group == group]
        rows.append(
            [
                cell(help_groups.title(str(group)), title=str(group)),
                counted(len(own)),
                counted(outside_of(own, ordinary).sum()),
                counted(own[ALONE].isna().sum()),
                *(cells.error(own[c].median()) for c in (ALONE, AFTER)),
                cell(_rest(own)),
                *(cells.error(own[c].mean()) for c in true),
            ]
        )
    head = [
        "Group",
        "Structures",
        "Outside",
        "Not predicted",
        "Expected, model (meV/Å)",
        "Expected, rescued (meV/Å)",
        "Rests mainly on",
    ]
    return cells.table([*head, *(f"{heading} (meV/Å)" for heading in true.values())], rows)


def reason(row: Mapping[str, Any], usual: Mapping[str, float]) -> str:
    """Which sign of being outside is largest beside its usual value on ordinary molecules; usual {sign: meV/Å}."""
    known = {s: row[c] for s, c in SIGNS.items() if c in row and np.isfinite(row[c]) and usual.get(s, 0) > 0}
    ratios = {s: value / usual[s] for s, value in known.items()}
    if not ratios:
        return "no sign, as the model has no result"
    sign = max(ratios, key=lambda s: ratios[s])
    return f"{help_groups.SIGNS[sign]}: {number(row[SIGNS[sign]])} meV/Å, {ratios[sign]:.1f} times the usual"


def worst_table(table: pd.DataFrame, usual: Mapping[str, float]) -> dict[str, Any]:
    """The structures with the largest expected error after rescue, what says so, and what their forces rest on."""
    true = {c: h for c, h in _true_columns(table).items() if c.startswith(("true_model", "true_rescued"))}
    rows: list[list[Cell]] = [
        [
            cell(str(row["id"])),
            *(cells.error(row[c]) for c in (ALONE, AFTER)),
            cell(reason(row, usual)),
            cell(row["weights"] if isinstance(row["weights"], str) else "–"),
            *(cells.error(row[c]) for c in true),
        ]
        for row in table.sort_values(AFTER, ascending=False, na_position="first").head(WORST).to_dict("records")
    ]
    head = ["Structure", "Expected, model", "Expected, rescued", "What says so", "Weights of the forces"]
    return cells.table([*head, *true.values()], rows)


def _tables(table, usual):
    """The two tables of the page: expected errors by group, and the structures to look at first."""
    medians = "Medians of expected errors over the structures of a group, means of true ones."
    worst = f"The {WORST} structures with the largest expected error (meV/Å); usual: median on ordinary molecules."
    groups, given = groups_table(table, usual["expected"]), {"rescued": table}
    return (
        shown("Expected errors by group", medians, groups, given, "rescued", True),
        shown("The most doubtful structures", worst, worst_table(table, usual), {}, "worst", True),
    )


def render(
    template: Path,
    table: pd.DataFrame,
    title: str,
    usual: Mapping[str, float],
    card: Path,
    figures: Path,
    failures: pd.DataFrame,
    lines: Sequence[str],
    run: str,
    explorer: Path | None = None,
) -> str:
    """HTML of the page.

    table: CSV of write_rescued, with true errors if any; usual: help_groups.usual; card: that of the ASE calculator;
    figures: folder of plot_rescued; failures: structures without a prediction of the model; lines: on what was read;
    explorer: the file that shows the structures, beside the page.
    """
    name, ordinary = title.partition(",")[0], usual["expected"]
    content: Mapping[str, Any] = json.loads(card.read_text(encoding="utf-8"))
    code = (
        "from mlipshift.external.rescued import Rescued\n\n"
        f'with Rescued("{card}") as calculator:\n    atoms.calc = calculator\n    forces = atoms.get_forces()\n'
    )
    formula = "F + w (F(GFN2-xTB) − F(prior head))" if content["head"] else "F + w (F(GFN2-xTB) − F)"
    way = "corrected by its prior head" if content["head"] else "mixed with GFN2-xTB, as it has no prior head"
    done = [
        f"Three sets of forces are in help/forces/{card.stem}.extxyz below the results, with the signs of every"
        f" structure: model_forces are those of {name}. rescued_forces weigh {name}"
        f"{', the corrected model' if content['head'] else ''} and GFN2-xTB by their expected errors, structure by"
        f" structure. constant_forces are {formula} with w = {content['weight']:g} for all structures: the model"
        f" {way}.",
    ]
    use = [
        "For single geometries, such as labels to learn from or a check, take rescued_forces. For relaxations and"
        " dynamics take constant_forces, by the ASE calculator below: one weight for all leaves forces that are the"
        " gradient of an energy, if the model's own are. Weights that change with the structure do not: energy would"
        " drift, and a relaxation could stall.",
        "It runs in the environment of the model, with the folder workflow on the PYTHONPATH, and makes one call of"
        " GFN2-xTB per geometry.",
    ]
    figure = embedded(figures / f"{RESCUED.name}.svg") | {"explorer": address(RESCUED.name, explorer)}
    groups, first = _tables(table, usual)
    return page(template).render(
        title=f"{name} on your structures",
        lead="Where the model is outside, and what the better forces are; no label of these structures was used.",
        run=run,
        answer=verdict(table, name, ordinary, failures),
        warnings=[],
        sections=[
            section("structures", "Group by group", figures=[figure], tables=[groups]),
            section("worst", "Where to look first", tables=[first]),
            section("forces", "What was done to the forces", texts=done),
            section("use", "How to use it", texts=use, code=code),
            *([section("read", "What was read and left out", texts=[*lines])] if lines else []),
        ],
    )
