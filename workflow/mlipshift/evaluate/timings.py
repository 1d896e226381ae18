"""Seconds of every method, on one core or on a GPU, from the timings that the rules write."""

import json
from collections.abc import Iterable
from pathlib import Path

from mlipshift.base.timing import GPU, Timing
from mlipshift.catalogue.adaptation import CORRECTIONS, MODES

SECONDS = ["method", "seconds_per_structure", "measured", "n_structures"]
SUFFIX = {"adapt": MODES, "correct": CORRECTIONS}  # by stage and mode, of what a method is called


def by_method(paths: Iterable[Path]) -> dict[str, Timing]:
    """{method: timing of all its seeds} of the files STAGE/NAME_SEED.json, see `methods_of`."""
    found: dict[str, list[Timing]] = {}
    for path in paths:
        for method in methods_of(path):
            found.setdefault(method, []).append(Timing.read(path))
    return {method: Timing.total(timings) for method, timings in found.items()}


def of_adaptations(paths: Iterable[Path]) -> dict[tuple[str, int], list[float]]:
    """{(scheme, geometries): seconds per molecule of every seed} of adaptations to some geometries."""
    adaptations: dict[tuple[str, int], list[float]] = {}
    for path in paths:
        found = json.loads(path.read_text())
        for count, one in found["adaptations"].items():
            timing = Timing(**one)
            if timing.structures:
                adaptations.setdefault((found["scheme"], int(count)), []).append(timing.each)
    return adaptations


def methods_of(path: Path) -> list[str]:
    """Methods that the timing STAGE/NAME_SEED.json is of."""
    stage, name = path.parent.name, path.stem.rsplit("_", 1)[0]
    if stage in SUFFIX:
        mode, strategy = name.split("_", 1)
        return [f"{strategy}_{SUFFIX[stage][mode]}"]
    return [f"{name}_rr", f"{name}_rr_fallback"] if stage == "refine" else [name]


def summarise(prior: Path, paths: Iterable[Path], prior_calls: dict[str, float]) -> list[dict]:
    """Rows of SECONDS, all seeds together, adaptation and prior calls included.

    prior: timing of the prior labels; paths: of the other timings, see `methods_of`; prior_calls: {method: calls per
    predicted structure} of the methods that predict something. Prior calls take CPU time on any machine.
    """
    call = Timing.read(prior)
    rows = [("prior", call.each, call.measured, call.structures)]
    for method, own in by_method(paths).items():
        if method not in prior_calls:  # one that predicts nothing has no cost
            continue
        calls = prior_calls[method]
        measured = f"{own.measured}; CPU time of prior calls" if calls and own.measured == GPU else own.measured
        rows.append((method, own.each + call.each * calls, measured, own.structures))
    return [dict(zip(SECONDS, row)) for row in rows]
