"""Adaptation to some geometries of a molecule: the error on its others, and the methods to decide between."""

import numpy as np

from mlipshift.evaluate.comparisons import COUNTS, alternatives, calls_of
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
CHOICES += ["prior_calls_per_adaptation", "seconds_per_adaptation", *COUNTS]


def _points(errors, strategies):
    """{method: (scheme, number of geometries)} of the methods SCHEME_K."""
    split = {name: name.rpartition("_") for name in errors.final}
    return {n: (s, int(count)) for n, (s, _, count) in split.items() if s in strategies and count.isdigit()}


def _beside(errors, strategies):
    """{strategy: methods without an adaptation that are compared with its own}."""
    return {s: [other for other in alternatives(s) if other in errors.final] for s in strategies.values()}


def _groups(errors, points, beside):
    """Errors.groups, and COMMON; beside: of `_beside`."""
    groups, others = errors.groups(), {other for others in beside.values() for other in others}
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
    beside = _beside(errors, strategies)
    for group, chosen in _groups(errors, points, beside).items():
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
                    row_of_pair = {c: pair[c] for c in (*PAIR, *FRACTIONS)}
                    row_of_pair |= {f"difference_{c}": pair[c] for c in INTERVAL}
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


def choices(errors: Errors, strategies: dict[str, str], methods: list[Method]) -> list[dict]:
    """One row of CHOICES per method of `decision_methods`, of the same structures: error with interval, and costs."""
    points = _points(errors, strategies)
    keys = {f"{scheme} ({count})": name for name, (scheme, count) in points.items()}
    common = _groups(errors, points, _beside(errors, strategies))[COMMON]
    rows = []
    for m in methods:
        key = keys.get(m.name, m.name)
        found = errors.summarise(errors.mean(key), common)
        assert found is not None  # it has an error on these very structures
        costs = (m.error, m.seconds, m.prior_calls, m.adaptation_calls, m.adaptation_seconds)
        row = {"method": m.name} | dict(zip([c for c in CHOICES[1:] if c not in (*INTERVAL, *COUNTS)], costs))
        row |= {c: found[c] for c in (*INTERVAL, "n_structures", "n_molecules")}
        rows.append(row | {"n_seeds": len(errors.seeds[key]) if key in errors.seeds else None})
    return rows
