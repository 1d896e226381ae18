"""Errors, bootstrap intervals and paired comparisons."""

import numpy as np
import pytest

from mlipshift.evaluate import statistics


def test_force_mae_against_a_loop():
    rng = np.random.default_rng(0)
    sizes = [2, 5, 3]
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    predicted, reference = rng.normal(size=(4, 10, 3)), rng.normal(size=(10, 3))
    found = statistics.force_mae(predicted, reference, offsets)
    for t in range(4):
        for s in range(3):
            rows = slice(offsets[s], offsets[s + 1])
            expected = 1000 * np.abs(predicted[t, rows] - reference[rows]).mean()
            assert found[t, s] == pytest.approx(expected)


def test_missing_forces_give_a_missing_error():
    predicted = np.zeros((4, 3))
    predicted[2] = np.nan
    found = statistics.force_mae(predicted, np.zeros((4, 3)), np.array([0, 2, 4]))
    assert found[0] == 0 and np.isnan(found[1])


def test_interval_covers_the_true_mean_as_often_as_promised():
    """Cluster effects larger than the noise: resampling molecules must keep about 95 % coverage."""
    rng = np.random.default_rng(1)
    clusters = np.repeat(np.arange(30), 4)
    hits = 0
    for trial in range(200):
        values = rng.normal(size=30)[clusters] + 0.1 * rng.normal(size=120)
        low, high = statistics.Bootstrap(clusters, 400, trial).mean_interval(values)
        hits += low <= 0 <= high
    assert 0.88 <= hits / 200 <= 0.99


def test_interval_is_wider_than_that_of_independent_structures():
    rng = np.random.default_rng(2)
    clusters = np.repeat(np.arange(12), 6)
    values = rng.normal(size=12)[clusters]
    low, high = statistics.Bootstrap(clusters, 2000, 0).mean_interval(values)
    naive_low, naive_high = statistics.Bootstrap(np.arange(72), 2000, 0).mean_interval(values)
    assert high - low > 1.5 * (naive_high - naive_low)


def test_one_molecule_has_no_interval():
    assert all(np.isnan(v) for v in statistics.Bootstrap(["a", "a"], 100, 0).mean_interval(np.array([1.0, 2.0])))


def test_paired_signs_and_fractions():
    baseline, method = np.array([100.0, 100, 100, 20]), np.array([50.0, 110, 24, 20])
    row = statistics.paired(method, baseline, np.array(list("abcd")), np.arange(4), 200, 0)
    assert row["difference_meV_per_A"] == pytest.approx(-29.0)
    assert (row["fraction_improved"], row["fraction_worsened"]) == (0.5, 0.25)
    assert (row["below_25_before"], row["below_25_after"]) == (0.25, 0.5)
    assert row["ci_low_meV_per_A"] <= row["difference_meV_per_A"] <= row["ci_high_meV_per_A"]


def test_same_seed_same_interval():
    values, clusters = np.random.default_rng(3).normal(size=20), np.arange(20) // 2
    first = statistics.Bootstrap(clusters, 100, 5).mean_interval(values)
    assert first == statistics.Bootstrap(clusters, 100, 5).mean_interval(values)
    assert first != statistics.Bootstrap(clusters, 100, 6).mean_interval(values)
