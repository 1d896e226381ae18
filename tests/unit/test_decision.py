"""The rational choice between methods, by brute force and in limits that are known."""

import itertools

import numpy as np
import pytest

from mlipshift.base.errors import UserError
from mlipshift.mitigate.decision import Method, breakeven, choose, frontier, table

SUPERVISED = Method("supervised", 500, seconds=0.001)
PRIOR = Method("prior", 300, prior_calls=1)
DELTA = Method("delta", 150, seconds=0.001, prior_calls=1)
TTT = Method("ttt", 320, seconds=0.001, adaptation_calls=5, adaptation_seconds=0.5)
DISTILLED = Method("distilled", 250, seconds=0.001, adaptation_calls=5, adaptation_seconds=0.6)
ALL = [SUPERVISED, PRIOR, DELTA, TTT, DISTILLED]


@pytest.mark.parametrize("predictions, prior", list(itertools.product([1, 10, 1e6], [0, 0.01, 10])))
def test_the_frontier_is_what_no_method_dominates(predictions, prior):
    cost = lambda m: m.cost(predictions, prior)
    beaten = lambda a: any(
        cost(b) <= cost(a) and b.error <= a.error and (cost(b) < cost(a) or b.error < a.error) for b in ALL
    )
    found = frontier(ALL, predictions, prior)
    assert {m.name for m in found} == {m.name for m in ALL if not beaten(m)}
    assert np.all(np.diff([cost(m) for m in found]) > 0) and np.all(np.diff([m.error for m in found]) < 0)


def test_without_a_limit_the_most_accurate_method_is_chosen():
    assert choose(ALL, 1000, 1.0) is DELTA


def test_a_dear_prior_and_many_predictions_make_an_adaptation_rational():
    assert choose(ALL, 10_000, 1.0, budget=0.01) is DISTILLED
    assert choose(ALL, 1, 1.0, budget=0.01) is SUPERVISED
    assert choose(ALL, 10_000, 1.0, budget=1e-6) is None


def test_the_cheapest_of_what_is_good_enough():
    assert choose(ALL, 10_000, 1.0, tolerance=330) is TTT
    assert choose(ALL, 1, 0.0, tolerance=600).error <= 600
    assert choose(ALL, 1, 1.0, tolerance=10) is DELTA  # none is good enough: the best there is


@pytest.mark.parametrize("prior", [0.01, 1.0])
def test_breakeven_is_where_the_costs_cross(prior):
    number = breakeven(DISTILLED, DELTA, prior)
    assert DISTILLED.cost(1.01 * number, prior) < DELTA.cost(1.01 * number, prior)
    assert DISTILLED.cost(0.99 * number, prior) > DELTA.cost(0.99 * number, prior)
    assert breakeven(DISTILLED, SUPERVISED, prior) == np.inf


def test_the_table_has_every_combination():
    rows = table(ALL, [1, 100], [0.01, 1.0], [None, 0.1])
    assert len(rows) == 8
    for row in rows:
        found = choose(
            ALL, row["predictions_per_adaptation"], row["prior_seconds"], budget=row["budget_seconds_per_prediction"]
        )
        assert row["choice"] == (found.name if found else None)


@pytest.mark.parametrize("predictions, prior, word", [(0, 1.0, "predictions"), (1, -1.0, "cost of a prior call")])
def test_impossible_numbers_are_refused(predictions, prior, word):
    with pytest.raises(UserError, match=word):
        choose(ALL, predictions, prior)


def test_a_method_without_an_error_is_not_chosen():
    assert choose([Method("unknown", np.nan), SUPERVISED], 1, 0.1) is SUPERVISED
    with pytest.raises(UserError, match="no method"):
        choose([Method("unknown", np.nan)], 1, 0.1)
