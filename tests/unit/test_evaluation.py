"""Tables of the comparison on predictions whose errors are known."""

import numpy as np
import pytest

from mlipshift.base.errors import UserError
from mlipshift.base.frames import Frames, Labels
from mlipshift.base.predictions import Predictions
from mlipshift.evaluate import comparisons


@pytest.fixture()
def made(tmp_path):
    """Two molecules of two geometries each in a held-out group; predictions off by a known amount."""
    rng = np.random.default_rng(0)
    rows, results = [], []
    for molecule in "ab":
        for k in range(2):
            rows.append(
                {"id": f"{molecule}{k}", "group": "ood_larger", "molecule": molecule, "numbers": [6, 1, 1]}
                | {"positions": rng.normal(size=(3, 3)), "charge": 0, "multiplicity": 1}
            )
            results.append((0.0, rng.normal(size=(3, 3))))
    frames = Frames.build(rows)
    reference = Labels.build(frames, results, "reference")
    prior = Labels.build(frames, [(0.0, f + 0.3) for _, f in results], "prior")

    def predictions(method, seed, offsets):
        """One file of predictions; offsets [T][S]: error of every component in eV/Å, None for a missing one."""
        table = [
            None
            if offsets[0][k] is None
            else ([0.0] * len(offsets), np.stack([results[k][1] + step[k] for step in offsets]))
            for k in range(4)
        ]
        path = tmp_path / f"{method}{seed}.h5"
        loss = np.zeros((len(offsets), 4))
        Predictions.build(frames, table, range(len(offsets)), 5.0, method, seed, loss).save(path)
        return path

    paths = [
        predictions("joint", 0, [[0.1, 0.2, 0.3, 0.4]]),
        predictions("joint", 1, [[0.3, 0.2, 0.1, 0.0]]),
        predictions("joint_ttt", 0, [[0.1, 0.2, 0.3, 0.4], [0.05, 0.05, 0.05, 0.5]]),
        predictions("delta", 0, [[0.1, None, 0.1, 0.1]]),
    ]
    return frames, reference, prior, paths


def errors_of(made):
    return comparisons.Errors(*made, resamples=100, seed=0)


def row_of(rows, **keys):
    found = [r for r in rows if all(r[k] == v for k, v in keys.items())]
    assert len(found) == 1
    return found[0]


def test_seeds_are_averaged_per_structure(made):
    errors = errors_of(made)
    np.testing.assert_allclose(errors.mean("joint"), 200.0)
    row = row_of(comparisons.summary(errors), group="ood_all", method="joint")
    assert row["mean_meV_per_A"] == pytest.approx(200.0) and row["n_seeds"] == 2 and row["n_molecules"] == 2
    assert row_of(comparisons.summary(errors), group="ood_all", method="prior")["mean_meV_per_A"] == pytest.approx(300)


def test_the_last_step_counts_and_every_step_is_kept(made):
    errors = errors_of(made)
    np.testing.assert_allclose(errors.mean("joint_ttt"), [50, 50, 50, 500])
    rows = comparisons.steps(errors)
    assert row_of(rows, group="ood_all", method="joint_ttt", step=0)["mean_meV_per_A"] == pytest.approx(250)
    assert row_of(rows, group="ood_all", method="joint_ttt", step=1)["mean_meV_per_A"] == pytest.approx(162.5)


def test_prior_calls_of_the_methods(made):
    errors = errors_of(made)
    table = comparisons.frontier(errors, comparisons.summary(errors))
    assert row_of(table, method="joint_ttt")["prior_calls_per_structure"] == 1.0
    assert row_of(table, method="joint")["prior_calls_per_structure"] == 0.0
    assert row_of(table, method="delta")["prior_calls_per_structure"] == 1.0


def test_missing_predictions_are_left_out_of_pairs(made):
    errors = errors_of(made)
    row = row_of(comparisons.paired(errors), group="ood_all", method="joint_ttt", baseline="delta")
    assert row["n_structures"] == 3
    assert row["difference_meV_per_A"] == pytest.approx((50 + 50 + 500) / 3 - 100)


def test_the_shifts_are_the_held_out_groups_of_the_run(made):
    row = {"method": "joint", "n_structures": 4, "n_seeds": 1, **dict.fromkeys(comparisons.MEAN, 1.0)}
    rows = comparisons.shift_axes([row | {"group": g} for g in ("id_test", "ood_hot", "ood_all")])
    assert [(r["axis"], r["group"]) for r in rows] == [("hot", "id_test"), ("hot", "ood_hot")]


def test_one_molecule_has_intervals_over_its_structures(made):
    frames, *rest = made
    one = Frames(**{**frames.__dict__, "molecule": np.array(["a"] * 4, dtype=object)})
    row = row_of(comparisons.summary(errors_of((one, *rest))), group="ood_all", method="joint_ttt")
    assert row["n_molecules"] == 1 and row["ci_low_meV_per_A"] < row["mean_meV_per_A"] < row["ci_high_meV_per_A"]


def test_the_tenth_most_improved_is_chosen_among_the_reported(made):
    errors = errors_of(made)
    chosen = comparisons.most_improved(errors, "joint_ttt", "joint", share=0.5)
    assert chosen.sum() == 2 and not chosen[3]  # the last one gets worse
    assert not comparisons.most_improved(errors, "joint", "joint").any()


def test_error_bins_count_every_structure_once(made):
    errors = errors_of(made)
    rows = [r for r in comparisons.error_bins(errors) if r["method"] == "joint"]
    assert sum(r["n_structures"] for r in rows) == pytest.approx(4)


def test_bins_hold_every_value():
    values = np.random.default_rng(0).exponential(size=200)
    edges = comparisons.bin_edges(values)
    assert edges[0] <= values.min() and edges[-1] > values.max()
    assert len(comparisons.bin_edges(np.zeros(10))) == 2


def test_no_held_out_structure_is_refused(made):
    frames, reference, prior, _ = made
    inside = Frames(**{**frames.__dict__, "group": np.array(["id_test"] * 4, dtype=object)})
    with pytest.raises(UserError, match="held-out"):
        comparisons.Errors(inside, reference, prior, [], 10, 0)
