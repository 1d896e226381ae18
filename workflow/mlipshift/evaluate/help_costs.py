"""What the help for a model costs per structure, and whether its forces are the gradient of an energy."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mlipshift.evaluate.helped import owner
from mlipshift.mitigate.rescue import COMMITTEE

COSTS = ["method", "model", "seconds", "of_model_seconds", "of_prior_seconds", "of_rest_seconds", "prior_calls"]
COSTS += ["relative_to_model", "conservative"]
# ways whose weights are the same for all structures, so that forces stay the gradient of an energy if the model's are
CONSTANT = ("mixed", "corrected", "distilled", "mean", "full", "low_rank", "correction", "delta")
WITHOUT_PRIOR = ("distilled", "mean", "weighted", "full", "low_rank", "correction")
THROUGH_THE_HEAD = ("corrected", "rescued", "correction", "delta")  # a second pass through the model for its features


def costs(methods: Sequence[str], seconds: Mapping[str, float], prior: float, models: Sequence[str]) -> list[dict]:
    """Rows of COSTS of models and strategies.

    seconds {name: CPU seconds per structure} of models, of prior heads as NAME_head and of adaptations by their own
    name, NaN where unknown; prior: of a prior call.
    """
    known = lambda name: float(seconds.get(name, np.nan))
    all_models = sum(known(name) for name in models)
    all_heads = sum(seconds.get(f"{name}_head", 0.0) for name in models)
    rows = []
    for method in methods:
        model = owner(method, models)
        way = method.removeprefix(model or COMMITTEE).strip("_").rstrip("0123456789").rstrip("_")
        if not model and not method.startswith(COMMITTEE):
            continue
        own, calls, rest = known(model) if model else all_models, int(bool(way) and way not in WITHOUT_PRIOR), 0.0
        if way in ("ttt", "placebo"):
            own, rest = 0.0, known(method)  # predicts within its adaptation
        elif way in THROUGH_THE_HEAD:
            rest = seconds.get(f"{model}_head", 0.0) if model else all_heads
        total = own + calls * prior + rest
        row: dict[str, Any] = {"method": method, "model": model, "seconds": total, "of_model_seconds": own}
        row |= {"of_prior_seconds": calls * prior, "of_rest_seconds": rest, "prior_calls": calls}
        alone = known(model) if model else np.nan
        row |= {"relative_to_model": total / alone if alone else np.nan, "conservative": not way or way in CONSTANT}
        rows.append(row)
    return rows
