"""Adaptation to some geometries of a molecule: the error on its others, and the methods to decide between."""

import numpy as np

from mlipshift.evaluate.comparisons import alternatives, calls_of
from mlipshift.evaluate.errors import POOLED, Errors
from mlipshift.evaluate.statistics import INTERVAL, MEAN
from mlipshift.mitigate.decision import Method

COMMON = "ood_common"  # held-out structures that every number of geometries, and every other method, predicts
PAIR = ("baseline_mean_meV_per_A", "difference_meV_per_A")
FRACTIONS = ("fraction_improved", "fraction_worsened")
CONFORMERS = ["group", "scheme", "strategy", "geometries", "prior_calls_per_molecule"]
CONFORMERS += ["n_structures", "n_molecules", "n_seeds", *MEAN]
CONFORMERS += ["baseline", *PAIR, *(f"difference_{c}" for c in INTERVAL), *FRACTIONS]
# what the choice is made from; measured times make it one of results/timings
CHOICES = ["method", "error_meV_per_A", *INTERVAL, "seconds_per_prediction", "prior_calls_per_prediction"]
CHOICES += ["prior_calls_per_adaptation", "seconds_per_adaptation", "n_structures", "n_molecules", "n_seeds"]


def _points(errors, strategies):
    """{method: (scheme, number of geometries)} of the methods SCHEME_K."""
    split = {name: name.rpartition("_") for name in errors.final}
    return {n: (s, int(count)) for n, (s, _, count) in split.items() if s in strategies and count.isdigit()}


def _groups(errors, points, others):
    """Errors.groups, and COMMON; others: methods without an adaptation that are compared."""
    groups = errors.groups()
    # numbers of geometries that no held-out molecule has are no points of the curve
    reached = [np.isfinite(errors.mean(name)) & groups[POOLED] for name in points]
    reached = [r for r in reached if r.any()]
    common = np.logical_and.reduce(reached) if reached else np.zeros(len(errors.frames), dtype=bool)
    return groups | {COMMON: errors.common(common, others)}


def conformers(errors: Errors, strategies: dict[str, str], copies: int) -> list[dict]:
    """Error on geometries that were not adapted on against the number that were, and paired differences.

    Methods SCHEME_K of `strategies` {scheme: strategy}; copies: rattled copies per geometry. One row per baseline.
    Per group, pooled over the held-out groups, and COMMON.
    """
    points, rows = _points(errors, strategies), []
    if not points:
        return []
    beside = {s: [other for other in alternatives(s) if other in errors.final] for s in strategies.values()}
    for group, chosen in _groups(errors, points, {other for others in beside.values() for other in others}).items():
        for name, (scheme, count) in points.items():
            values = errors.mean(name)
            others = beside[strategies[scheme]]
            same = errors.common(chosen & np.isfinite(values), others)
            found = errors.summarise(values, same)
            if not found:
                continue
            row = {"group": group, "scheme": scheme, "strategy": strategies[scheme], "geometries": count}
            row |= {"prior_calls_per_molecule": count * (1 + copies), "n_seeds": len(errors.seeds[name])}
            row |= {c: found[c] for c in ("n_structures", "n_molecules", *MEAN)}
            for baseline in others:
                pair = errors.compare(values, errors.mean(baseline), same)
                if pair:
                    alone = errors.summarise(errors.mean(baseline), same) if group == COMMON else None
                    row_of_pair = {c: pair[c] for c in (*PAIR, *FRACTIONS)}
                    row_of_pair |= {f"difference_{c}": pair[c] for c in INTERVAL}
                    # of the choice alone, no column of the table
                    row_of_pair |= {f"baseline_{c}": alone[c] for c in INTERVAL if alone}
                    rows.append(row | {"baseline": baseline} | row_of_pair)
    return rows


def decision_methods(
    curve: list[dict],
    seconds: dict[str, float],
    adaptations: dict[tuple[str, int], list[float]],
    prior_calls: dict[str, float],
    group: str = COMMON,
) -> list[Method]:
    """Methods for the decision, all on the same structures; those of no measured time are left out, not free.

    curve: rows of `conformers`; seconds: {method: time of a prediction}; adaptations: {(scheme, geometries): list of
    seconds per adaptation without prior calls}; prior_calls: {method: calls per predicted structure}. An adapted
    network predicts as fast as that of its strategy. Raises UserError if `prior_calls` lacks a baseline.
    """
    seconds = seconds | {"prior": 0.0}  # its time is that of its calls, which have their own price
    rows = [r for r in curve if r["group"] == group]
    methods = {}
    for r in rows:
        base = r["baseline"]
        if base in seconds:
            methods[base] = Method(base, r["baseline_mean_meV_per_A"], seconds[base], calls_of(prior_calls, base))
    for r in rows:
        key = (r["scheme"], r["geometries"])
        if key in adaptations and r["strategy"] in seconds:
            methods[key] = Method(
                f"{r['scheme']} ({r['geometries']})",
                r["mean_meV_per_A"],
                seconds[r["strategy"]],
                0.0,
                r["prior_calls_per_molecule"],
                float(np.mean(adaptations[key])),
            )
    return list(methods.values())


def choices(curve: list[dict], methods: list[Method], group: str = COMMON) -> list[dict]:
    """One row of CHOICES per method of `decision_methods`: its error with the interval, and its costs."""
    known = {}
    for r in curve:
        if r["group"] == group:
            sizes = {c: r[c] for c in ("n_structures", "n_molecules", "n_seeds")}
            known[f"{r['scheme']} ({r['geometries']})"] = sizes | {c: r[c] for c in INTERVAL}
            known[r["baseline"]] = sizes | {c: r.get(f"baseline_{c}") for c in INTERVAL}
    return [
        {
            "method": m.name,
            "error_meV_per_A": m.error,
            "seconds_per_prediction": m.seconds,
            "prior_calls_per_prediction": m.prior_calls,
            "prior_calls_per_adaptation": m.adaptation_calls,
            "seconds_per_adaptation": m.adaptation_seconds,
            **known[m.name],
        }
        for m in methods
    ]
