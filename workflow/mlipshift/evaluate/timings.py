"""Seconds of every method on one core, from the timings that the rules write: {"seconds", "structures"} as JSON."""

import json
from collections.abc import Iterable
from pathlib import Path

SECONDS = ["method", "seconds_per_structure", "n_structures"]
SUFFIX = {"structure": "ttt", "placebo": "placebo"}  # of the method that an adaptation in this mode is


def per_structure(path: Path) -> float:
    """Seconds per structure of one timing, 0 if there was none."""
    found = json.loads(path.read_text())
    return found["seconds"] / max(1, found["structures"])


def of_predictions(paths: Iterable[Path]) -> dict[str, float]:
    """{method: seconds per structure} of the files METHOD_SEED.json."""
    return {path.stem.rsplit("_", 1)[0]: per_structure(path) for path in paths}


def of_adaptations(paths: Iterable[Path]) -> dict[tuple[str, int], list[float]]:
    """{(scheme, geometries): seconds per molecule of every seed} of adaptations to some geometries of a molecule."""
    adaptations: dict[tuple[str, int], list[float]] = {}
    for path in paths:
        found = json.loads(path.read_text())
        for count, one in found["adaptations"].items():
            if one["molecules"]:
                key = (found["scheme"], int(count))
                adaptations.setdefault(key, []).append(one["seconds"] / one["molecules"])
    return adaptations


def methods_of(path: Path) -> list[str]:
    """Methods that the timing STAGE/NAME_SEED.json is of."""
    stage, name = path.parent.name, path.stem.rsplit("_", 1)[0]
    if stage == "adapt":
        mode, strategy = name.split("_", 1)
        return [f"{strategy}_{SUFFIX[mode]}"]
    return [f"{name}_rr", f"{name}_rr_fallback"] if stage == "refine" else [name]


def summarise(prior: Path, paths: Iterable[Path], prior_calls: dict[str, float]) -> list[dict]:
    """Rows of SECONDS, all seeds together, adaptation and prior calls included.

    prior: timing of the prior labels; paths: of the other timings, see `methods_of`; prior_calls: {method: calls per
    predicted structure} of the methods that predict something.
    """
    call = per_structure(prior)
    total: dict[str, list[float]] = {}
    for path in paths:
        timing = json.loads(path.read_text())
        for method in filter(prior_calls.__contains__, methods_of(path)):  # one that predicts nothing has no cost
            entry = total.setdefault(method, [0.0, 0])
            entry[0] += timing["seconds"]
            entry[1] += timing["structures"]
    rows = [("prior", call, json.loads(prior.read_text())["structures"])]
    for method, (seconds, structures) in total.items():
        rows.append((method, seconds / max(1, structures) + call * prior_calls[method], structures))
    return [dict(zip(SECONDS, row)) for row in rows]
