"""Tables of all methods against the reference labels, and the pairs of methods that are compared.

Every function returns the rows (dicts) of one tidy table, whose columns stand before it; a table may have no rows.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from mlipshift.base.errors import UserError
from mlipshift.evaluate import statistics
from mlipshift.evaluate.errors import POOLED, Errors
from mlipshift.evaluate.statistics import MEAN

if TYPE_CHECKING:
    import pandas as pd

# what a mitigation is compared with first
ADAPTATIONS = {"joint_ttt": "joint", "freeze_ttt": "freeze"}
MITIGATIONS = ADAPTATIONS | {"supervised_rr": "supervised"}
# every comparison of the paired table: (method, baseline)
COMPARISONS = [
    ("freeze_ttt", "freeze"),
    ("joint_ttt", "joint"),
    ("joint_ttt", "supervised"),
    ("joint_ttt", "prior"),
    ("joint_ttt", "delta"),
    ("freeze_ttt", "delta"),
    ("supervised_rr", "delta"),
    ("joint_corrected", "joint"),
    ("joint_corrected", "joint_ttt"),
    ("joint_corrected", "prior"),
    ("joint_corrected", "delta"),
    ("freeze_corrected", "freeze"),
    ("freeze_corrected", "freeze_ttt"),
    ("freeze_corrected", "delta"),
    ("joint_corrected_placebo", "joint"),
    ("joint_corrected_delta", "joint_corrected"),
    ("joint_corrected_delta", "delta"),
    ("joint_ttt_delta", "joint_ttt"),
    ("joint_ttt_delta", "delta"),
    ("joint_ttt_delta", "joint_corrected_delta"),
    ("joint_placebo", "joint"),
    ("joint", "supervised"),
    ("delta", "supervised"),
    ("delta", "prior"),
    ("supervised_rr", "supervised"),
    ("supervised_rr_fallback", "supervised"),
    ("joint_rr", "joint"),
    ("joint_rr_fallback", "joint"),
]
# what one could do instead of an adaptation
INSTEAD = ("supervised", "prior", "joint_corrected", "delta", "joint_corrected_delta")

PER_STRUCTURE = ["id", "group", "molecule", "n_atoms", "method", "seed", "force_mae_meV_per_A"]


def per_structure(errors: Errors) -> list[dict]:
    """One row per structure, method and seed."""
    f = errors.frames
    return [
        dict(zip(PER_STRUCTURE, (f.ids[k], f.group[k], f.molecule[k], f.sizes[k], method, seed, row[k])))
        for method, table in errors.final.items()
        for seed, row in zip(errors.seeds.get(method, [None]), table)
        for k in np.flatnonzero(np.isfinite(row))
    ]


COUNTS = ["n_structures", "n_molecules", "n_seeds"]
SUMMARY = ["group", "method", *COUNTS, *statistics.SUMMARY]


def summary(errors: Errors, methods: Iterable[str] | None = None) -> list[dict]:
    """Distribution of the error per group and method, of the same structures for all of them (`Errors.common`).

    Of all methods, or of those of `methods` that have errors.
    """
    chosen_methods = errors.final if methods is None else [m for m in dict.fromkeys(methods) if m in errors.final]
    rows = []
    for group, chosen in errors.groups().items():
        same = errors.common(chosen, chosen_methods)
        for method in chosen_methods:
            found = errors.summarise(errors.mean(method), same)
            if found:
                seeds = len(errors.seeds[method]) if method in errors.seeds else None
                rows.append({"group": group, "method": method, "n_seeds": seeds} | found)
    return rows


PAIRED = ["group", "method", "baseline", *COUNTS, *statistics.PAIRED]


def paired(errors: Errors, comparisons: Iterable[tuple[str, str]] = COMPARISONS) -> list[dict]:
    """Paired comparisons (method, baseline) per group, on the structures that both methods predict."""
    known = [pair for pair in comparisons if set(pair) <= set(errors.final)]
    rows = []
    for group, chosen in errors.groups().items():
        for method, baseline in known:
            found = errors.compare(errors.mean(method), errors.mean(baseline), chosen)
            if found:
                seeds = len(errors.seeds[method])
                rows.append({"group": group, "method": method, "baseline": baseline, "n_seeds": seeds} | found)
    return rows


def alternatives(strategy: str) -> list[str]:
    """What an adaptation of a strategy is compared with: the strategy, and what one could do instead."""
    return list(dict.fromkeys([strategy, *INSTEAD]))


def compared(errors: Errors, strategies: dict[str, str]) -> list[dict]:
    """Paired comparisons of adaptations {name: strategy} with their `alternatives`."""
    return paired(errors, [(name, other) for name, strategy in strategies.items() for other in alternatives(strategy)])


STEPS = ["group", "method", "step", "n_structures", "n_molecules", *MEAN, "prior_loss_meV_per_A"]


def steps(errors: Errors) -> list[dict]:
    """Error and prior loss of the adapted methods after every recorded step."""
    rows = []
    for method, (counts, trace, loss) in errors.trace.items():
        for group, members in errors.groups().items():
            chosen = errors.common(members)
            for t, step in enumerate(counts):
                values = trace[:, t].mean(0)
                found = errors.summarise(values, chosen)
                if found:
                    rows.append(
                        {"group": group, "method": method, "step": step}
                        | {c: found[c] for c in ("n_structures", "n_molecules", *MEAN)}
                        | {"prior_loss_meV_per_A": loss[:, t].mean(0)[chosen & np.isfinite(values)].mean()}
                    )
    return rows


SHIFT_AXES = ["axis", "group", "method", *COUNTS, *MEAN]


def shift_axes(table: list[dict]) -> list[dict]:
    """In-distribution beside held-out error per shift axis; table: rows of `summary`."""
    return [
        {"axis": axis} | {c: r[c] for c in SHIFT_AXES[1:]}
        for axis in dict.fromkeys(r["group"].removeprefix("ood_") for r in table if r["group"].startswith("ood_"))
        if axis != POOLED.removeprefix("ood_")
        for group in ("id_test", f"ood_{axis}")
        for r in table
        if r["group"] == group
    ]


FRONTIER = ["method", *MEAN, "prior_calls_per_structure", "n_structures", "n_molecules"]


def frontier(table: Iterable[dict], prior_calls: dict[str, float]) -> list[dict]:
    """Error on all held-out structures beside prior calls per structure; table: rows of `summary`.

    prior_calls: {method: calls per predicted structure}. Raises UserError if it lacks a method of the table.
    """
    return [
        {c: r[c] for c in ("method", *MEAN, "n_structures", "n_molecules")}
        | {"prior_calls_per_structure": calls_of(prior_calls, r["method"])}
        for r in table
        if r["group"] == POOLED and r["method"] != "zero"
    ]


def calls_of(prior_calls: dict[str, float], method: str) -> float:
    """Prior calls per predicted structure of a method. Raises UserError if they are not stated."""
    if method not in prior_calls:
        raise UserError(
            f"--prior-calls does not say how often a prediction of {method} calls the prior; state it in"
            " workflow/mlipshift/catalogue/methods.py"
        )
    return float(prior_calls[method])


REFINEMENT = ["strategy", "group", "n_structures", "trained_cutoff_A", "mean_radius_A"]
REFINEMENT += ["fraction_below_trained", "fraction_edges_removed", "fraction_refined_with_fallback"]


def refinement(errors: Errors, radii: "dict[str, pd.DataFrame]") -> list[dict]:
    """What radius refinement chose and changed per group; radii: {strategy: DataFrame of the chosen radii}."""
    rows = []
    for strategy, table in radii.items():
        for group, chosen in errors.groups().items():
            own = table[table["id"].isin(set(errors.frames.ids[chosen]))]
            if not len(own):
                continue
            below = (own["published_A"] < own["trained_cutoff_A"]).mean()
            removed = (own["edges_removed"] > 0).mean()
            row = (strategy, group, len(own), own["trained_cutoff_A"].iloc[0], own["published_A"].mean())
            rows.append(dict(zip(REFINEMENT, (*row, below, removed, own["reason_for_fallback"].isna().mean()))))
    return rows
