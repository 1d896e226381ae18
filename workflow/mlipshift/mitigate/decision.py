"""Which method is the rational choice at given costs: the cheapest of those that are accurate enough, or the frontier.

The cost of N predictions for one molecule (or structure) is that of the adaptation, spent once, and that of every
prediction; both count prior calls, whose price is the user's to say (GFN2-xTB here, or something dearer).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlipshift.base.errors import UserError

COLUMNS = [
    "prior_seconds",
    "predictions_per_adaptation",
    "budget_seconds_per_prediction",
    "choice",
    "error_meV_per_A",
    "seconds_per_prediction",
    "frontier",
]


@dataclass(frozen=True)
class Method:
    """Error and costs of a method.

    error: mean force MAE (meV/Å); prior_calls: per prediction; adaptation_calls: prior calls per adaptation;
    adaptation_seconds: time of an adaptation beside its prior calls; seconds: time of a prediction beside its
    prior call.
    """

    name: str
    error: float
    seconds: float = 0.0
    prior_calls: float = 0.0
    adaptation_calls: float = 0.0
    adaptation_seconds: float = 0.0

    def cost(self, predictions: float, prior_seconds: float) -> float:
        """Seconds per prediction when `predictions` follow one adaptation and a prior call takes `prior_seconds`."""
        once = self.adaptation_seconds + self.adaptation_calls * prior_seconds
        return once / predictions + self.seconds + self.prior_calls * prior_seconds


def frontier(methods: Iterable[Method], predictions: float, prior_seconds: float) -> list[Method]:
    """Methods that no other beats in both error and cost, cheapest first.

    Of methods with equal error and cost the first one stays. Raises UserError for fewer than one prediction, a
    negative cost, and without a method of known error.
    """
    if predictions < 1:
        raise UserError(f"predictions per adaptation is {predictions}; give 1 or more")
    if not prior_seconds >= 0:
        raise UserError(f"the cost of a prior call is {prior_seconds}; give 0 s or more")
    known = [m for m in methods if np.isfinite(m.error)]
    if not known:
        raise UserError("no method has a measured error, nothing can be chosen; run the evaluation")
    out: list[Method] = []
    for method in sorted(known, key=lambda m: (m.cost(predictions, prior_seconds), m.error)):
        if not out or method.error < out[-1].error:
            out.append(method)
    return out


def choose(
    methods: Iterable[Method],
    predictions: float,
    prior_seconds: float,
    tolerance: float | None = None,
    budget: float | None = None,
) -> Method | None:
    """The rational choice: the cheapest method with an error of at most `tolerance`, else the most accurate one.

    tolerance: meV/Å that is good enough; without one, the most accurate method whose cost is at most `budget`
    (seconds per prediction; none: no limit). None where no method meets the budget.
    """
    line = frontier(methods, predictions, prior_seconds)
    if budget is not None:
        line = [m for m in line if m.cost(predictions, prior_seconds) <= budget]
    if not line:
        return None
    good = [] if tolerance is None else [m for m in line if m.error <= tolerance]
    return good[0] if good else line[-1]


def breakeven(adapted: Method, direct: Method, prior_seconds: float) -> float:
    """Predictions per adaptation from which `adapted` is cheaper than `direct`; infinite if it never is."""
    per_prediction = direct.cost(np.inf, prior_seconds) - adapted.cost(np.inf, prior_seconds)
    once = adapted.cost(1, prior_seconds) - adapted.cost(np.inf, prior_seconds)
    once -= direct.cost(1, prior_seconds) - direct.cost(np.inf, prior_seconds)
    if once <= 0:
        return 1.0
    return max(1.0, once / per_prediction) if per_prediction > 0 else np.inf


def table(
    methods: Sequence[Method],
    predictions: Iterable[float],
    prior_seconds: Iterable[float],
    budgets: Sequence[float | None] = (None,),
) -> list[dict[str, Any]]:
    """Rows of the choice over the cost of a prior call, predictions per adaptation and allowed time of a prediction."""
    rows = []
    for seconds in prior_seconds:
        for number in predictions:
            for budget in budgets:
                found = choose(methods, number, seconds, budget=budget)
                rows.append(
                    {
                        "prior_seconds": seconds,
                        "predictions_per_adaptation": number,
                        "budget_seconds_per_prediction": budget,
                        "choice": found.name if found else None,
                        "error_meV_per_A": found.error if found else None,
                        "seconds_per_prediction": found.cost(number, seconds) if found else None,
                        "frontier": " > ".join(m.name for m in reversed(frontier(methods, number, seconds))),
                    }
                )
    return rows
