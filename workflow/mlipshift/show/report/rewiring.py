"""Radius refinement where it can act, in the report: what is recommended, what it gave, what could be had."""

from collections.abc import Iterable

import pandas as pd

from mlipshift.base.text import several
from mlipshift.catalogue.groups import POOLED, group
from mlipshift.catalogue.runs import MOVING
from mlipshift.show import rewired
from mlipshift.show.report import cells
from mlipshift.show.report.cells import Cell, cell, error, shared
from mlipshift.show.report.format import HIGH, LOW, difference, number, sample
from mlipshift.show.report.results import Results, first

Table = dict[str, list] | None
ABOUT = ["network", "strategy", "envelope"]
BEST, PUBLISHED = "best", "published"
HARM = 0.01  # share of the error of a group by which it may be worse


def rules_table(results: Results) -> Table:
    """Published rule, recommended one and upper bound of every network, on all held-out structures."""
    table = results.optional("radius_rules")
    if table is None:
        return None
    head = ["Network", "Strategy", "Envelope", "Rule", "Refined", "Difference (meV/Å)", "Improved", "Worsened"]
    head += ["Unchanged", "Of the best", "Worst group", "Its change (%)"]
    rows = []
    for about, part in table.groupby(ABOUT, sort=False):
        pooled = part[part.group == POOLED]
        advised = pooled[pooled.recommended.astype(bool)].rule
        for name in dict.fromkeys([PUBLISHED, *advised, BEST]):
            row = first(pooled[pooled.rule == name])
            if row is None:
                continue
            worst = _worst(part[part.rule == name])
            mark = ", recommended" if name in set(advised) else ""
            rows.append(
                [
                    *_about(about),
                    cell(rewired.rule(name) + mark, title=name),
                    _refined(row),
                    _difference(row),
                    *(shared(row[f"fraction_{k}"], row.n_structures) for k in ("improved", "worsened", "unchanged")),
                    shared(row.share_of_best),
                    cell(group(worst.group), title=worst.group),
                    cell(f"{100 * worst.relative_change:+.1f}", worst.relative_change),
                ]
            )
    return cells.table(head, rows)


def _about(about: Iterable[str]) -> list[Cell]:
    network, strategy, envelope = about
    return [
        cell(rewired.network(network), title=network),
        cell(rewired.strategy(strategy), title=strategy),
        cell(envelope, title=rewired.ENVELOPES[envelope]),
    ]


def _refined(row: pd.Series) -> Cell:
    return cell(f"{row.n_refined} of {row.n_structures}", row.n_refined)


def _difference(row: pd.Series) -> Cell:
    """Paired difference, its interval when pointed at."""
    return cell(
        number(row.difference_meV_per_A, True),
        row.difference_meV_per_A,
        f"95 % interval {number(row[LOW], True)} to {number(row[HIGH], True)} meV/Å; {sample(row)}",
    )


def _worst(rows: pd.DataFrame) -> pd.Series:
    """The held-out group that a rule raises most."""
    held = rows[rows.group.str.startswith("ood_") & (rows.group != POOLED)]
    return (held if len(held) else rows).sort_values("relative_change").iloc[-1]


def adapted_table(results: Results) -> Table:
    """Test-time training on refined graphs beside that on graphs as they are."""
    table = results.optional("radius_adapted")
    if table is None:
        return None
    head = ["Network", "Strategy", "Envelope", "Rule", "Neither (meV/Å)", "Refined", "TTT", "Both", "Both − TTT"]
    rows = []
    for row in table[table.group == POOLED].to_dict("records"):
        words = f"95 % interval {number(row[LOW], True)} to {number(row[HIGH], True)} meV/Å; {sample(row)}"
        gain = row["both_to_adapted_meV_per_A"]
        rows.append(
            [
                *_about([row[k] for k in ABOUT]),
                cell(rewired.rule(row["rule"]), title=row["rule"]),
                *(error(row[f"{k}_meV_per_A"]) for k in ("trained", "refined", "adapted", "both")),
                cell(number(gain, True), gain, words),
            ]
        )
    return cells.table(head, rows)


def motion_table(results: Results) -> Table:
    """What a moving radius does to the energy."""
    table = results.optional("radius_motion")
    if table is None:
        return None
    head = ["Network", "Molecule of", "Radius", "Stable (ps)", "Drift (meV/atom/ps)", "Changes per ps"]
    head += ["Mean jump (meV/atom)", "Largest jump (meV/atom)"]
    columns = ["stable_ps", "drift_meV_per_atom_per_ps", "changes_per_ps"]
    columns += ["mean_jump_meV_per_atom", "largest_jump_meV_per_atom"]
    rows = [
        [
            cell(rewired.network(row["network"]), title=row["network"]),
            cells.group_cell(row["group"]),
            cell(MOVING[row["mode"]], title=row["mode"]),
            *(cell(f"{row[k]:.3g}", row[k]) for k in columns),
        ]
        for row in table.to_dict("records")
    ]
    return cells.table(head, rows)


def rewiring_sentence(results: Results) -> tuple[str, str] | None:
    """Whether refinement helps, where, by how much of what could be had, at which cost; and one recommendation."""
    table = results.optional("radius_rules")
    if table is None:
        return None
    pooled = table[table.group == POOLED]
    parts = []
    for name, own in (
        ("published rule", pooled[pooled.rule == PUBLISHED]),
        ("best radius", pooled[pooled.rule == BEST]),
    ):
        if len(own):
            changes = 100 * own.relative_change
            parts.append(
                f"the {name} changes the error by {number(changes.min(), True)} to {number(changes.max(), True)} %"
            )
    text = f"On all held-out structures, over {several(str(len(pooled[ABOUT].drop_duplicates())), 'network')}: "
    text += f"{'; '.join(parts)}, the latter with the labels in hand." if parts else "nothing is known."
    advised = pooled[pooled.recommended.astype(bool)]
    if len(advised):
        text += " Recommended by the validation groups: " + "; ".join(
            _advice(row, table) for _, row in advised.iterrows()
        )
        text += "."
    left = len(pooled[ABOUT].drop_duplicates()) - len(advised)
    if left:
        text += f" For {left} of them no rule is better there by more than its standard error: keep the trained radius."
    costs = results.optional("radius_costs")
    if costs is not None:
        share = 100 * costs.choose_over_predict
        text += f" Choosing a radius takes {share.min():.0f} to {share.max():.0f} % of a prediction."
    return "Spectral rewiring", text


def _advice(row: pd.Series, table: pd.DataFrame) -> str:
    """A recommended rule in words, with what it does to the worst group."""
    own = table[(table[ABOUT] == row[ABOUT]).all(axis=1) & (table.rule == row.rule)]
    worst = _worst(own)
    said = f"{rewired.rule(row.rule)} for {rewired.network(row.network)}, {rewired.strategy(row.strategy)}, envelope"
    said += f" {row.envelope} ({difference(row)}"
    if row.rule.startswith("prior_"):
        said += "; with a prior call per structure and a prediction per radius"
    if pd.notna(row.share_of_best):
        said += f", {100 * row.share_of_best:.0f} % of what the best radius gives"
    harmed = worst.relative_change > HARM
    return said + (f"; {group(worst.group)} is {100 * worst.relative_change:.1f} % worse)" if harmed else ")")
