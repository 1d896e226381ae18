"""Tables of the comparison on predictions whose errors are known, and tables without a row."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from mlipshift.base.errors import UserError
from mlipshift.base.frames import Frames, Labels
from mlipshift.base.predictions import Predictions
from mlipshift.base.tables import read_table, write_table
from mlipshift.base.timing import CPU, GPU, Stopwatch, Timing
from mlipshift.catalogue import methods
from mlipshift.catalogue.adaptation import CORRECTIONS
from mlipshift.catalogue.strategies import STRATEGIES
from mlipshift.evaluate import ablations, bins, comparisons, conformers, gains, published, timings
from mlipshift.evaluate.diagnosed import Diagnosed
from mlipshift.evaluate.errors import Errors
from mlipshift.evaluate.statistics import MEAN
from mlipshift.evaluate.tables import tables_of
from mlipshift.evaluate.weights import CORRECTION_WEIGHTS, correction_weights
from mlipshift.shift import measures

ROOT = Path(__file__).parents[2]
RADII = ["id", "trained_cutoff_A", "published_A", "edges_removed", "reason_for_fallback"]


def structures(folder, groups, unlabelled=()):
    """Frames and labels of structures of three atoms, molecules of two geometries, in the groups [S]; a maker of files.

    predictions(method, seed, offsets): offsets [T][S], error of every component in eV/Å, None for a missing one.
    """
    rng = np.random.default_rng(0)
    rows, results = [], []
    for k, group in enumerate(groups):
        molecule = "abcdefgh"[k // 2]
        rows.append(
            {"id": f"{molecule}{k % 2}", "group": group, "molecule": molecule, "numbers": [6, 1, 1]}
            | {"positions": rng.normal(size=(3, 3)), "charge": 0, "multiplicity": 1}
        )
        results.append((0.0, rng.normal(size=(3, 3))))
    frames = Frames.build(rows)
    labels = lambda shift: [(0.0, f + shift) for _, f in results]
    reference = Labels.build(frames, [None if k in unlabelled else r for k, r in enumerate(labels(0))], "reference")

    def predictions(method, seed, offsets):
        table = [
            None
            if offsets[0][k] is None
            else ([0.0] * len(offsets), np.stack([results[k][1] + step[k] for step in offsets]))
            for k in range(len(groups))
        ]
        path = folder / f"{method}{seed}.h5"
        loss = np.zeros((len(offsets), len(groups)))
        Predictions.build(frames, table, range(len(offsets)), 5.0, method, seed, loss).save(path)
        return path

    return frames, reference, Labels.build(frames, labels(0.3), "prior"), predictions


@pytest.fixture()
def made(tmp_path):
    """Two molecules of two geometries each in a held-out group; predictions off by a known amount."""
    frames, reference, prior, predictions = structures(tmp_path, ["ood_larger"] * 4)
    paths = [
        predictions("joint", 0, [[0.1, 0.2, 0.3, 0.4]]),
        predictions("joint", 1, [[0.3, 0.2, 0.1, 0.0]]),
        predictions("joint_ttt", 0, [[0.1, 0.2, 0.3, 0.4], [0.05, 0.05, 0.05, 0.5]]),
        predictions("delta", 0, [[0.1, None, 0.1, 0.1]]),
    ]
    return frames, reference, prior, paths


def errors_of(made):
    return Errors(*made, resamples=100, seed=0)


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
    assert row_of(rows, group="ood_all", method="joint_ttt", step=0)["mean_meV_per_A"] == pytest.approx(800 / 3)
    # of those that delta predicts
    assert row_of(rows, group="ood_all", method="joint_ttt", step=1)["mean_meV_per_A"] == pytest.approx(200)


def test_prior_calls_are_those_that_are_given_and_never_guessed(made):
    errors = errors_of(made)
    given = {"prior": 1.0, "joint": 0.0, "joint_ttt": 2.0, "delta": 1.0}
    table = comparisons.frontier(comparisons.summary(errors), given)
    assert {row["method"]: row["prior_calls_per_structure"] for row in table} == given
    with pytest.raises(UserError, match="joint_ttt calls the prior; state it in"):
        comparisons.frontier(comparisons.summary(errors), {m: given[m] for m in given if m != "joint_ttt"})

    curve = [
        {"group": "ood_common", "scheme": s, "strategy": of, "geometries": 4, "baseline": b}
        | {"baseline_mean_meV_per_A": 9.0, "mean_meV_per_A": 5.0, "prior_calls_per_molecule": 12}
        for s, of in (("s", "supervised"), ("untimed", "joint"))
        for b in ("delta_joint", "supervised", "prior", "joint")
    ]
    seconds = {"delta_joint": 0.1, "supervised": 0.2, "prior": 7.0}
    adaptations = {("s", 4): [1.0, 3.0], ("untimed", 4): [1.0]}
    found = conformers.decision_methods(curve, seconds, adaptations, methods.prior_calls())
    assert [(m.name, m.prior_calls, m.seconds) for m in found] == [
        ("delta_joint", 1.0, 0.1),
        ("supervised", 0.0, 0.2),
        ("prior", 1.0, 0.0),
        ("s (4)", 0.0, 0.2),
    ]
    with pytest.raises(UserError, match="a prediction of delta_joint"):
        conformers.decision_methods(curve, seconds, adaptations, given)


def test_the_catalogue_has_every_method_that_a_configuration_can_ask_for():
    schema = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())
    refined = schema["properties"]["refine"]["properties"]["strategies"]["items"]["enum"]
    adapted = schema["$defs"]["adapted"]["items"]["enum"]
    asked = {"zero", "prior", *(name for name, strategy in STRATEGIES.items() if strategy.recipe != "pretrain")}
    asked |= {f"{name}_{ending}" for name in refined for ending in ("rr", "rr_fallback")}
    made = ("ttt", "placebo", *CORRECTIONS.values(), "ttt_delta", "corrected_delta")
    asked |= {f"{name}_{ending}" for name in adapted for ending in made}
    assert asked <= set(methods.prior_calls())
    assert all(methods.METHODS[method].before == before for method, before in comparisons.MITIGATIONS.items())


def test_missing_predictions_are_left_out_of_pairs(made):
    errors = errors_of(made)
    row = row_of(comparisons.paired(errors), group="ood_all", method="joint_ttt", baseline="delta")
    assert row["n_structures"] == 3
    assert row["difference_meV_per_A"] == pytest.approx((50 + 50 + 500) / 3 - 100)


def test_the_shifts_are_the_held_out_groups_of_the_run(made):
    row = {"method": "joint", **dict.fromkeys(comparisons.COUNTS, 1), **dict.fromkeys(MEAN, 1.0)}
    rows = comparisons.shift_axes([row | {"group": g} for g in ("id_test", "ood_hot", "ood_all")])
    assert [(r["axis"], r["group"]) for r in rows] == [("hot", "id_test"), ("hot", "ood_hot")]


def test_one_molecule_has_intervals_over_its_structures(made):
    frames, *rest = made
    one = Frames(**{**frames.__dict__, "molecule": np.array(["a"] * 4, dtype=object)})
    row = row_of(comparisons.summary(errors_of((one, *rest))), group="ood_all", method="joint_ttt")
    assert row["n_molecules"] == 1 and row["ci_low_meV_per_A"] < row["mean_meV_per_A"] < row["ci_high_meV_per_A"]


def test_the_tenth_most_improved_is_chosen_among_the_reported(made):
    errors = errors_of(made)
    chosen = bins.most_improved(errors, "joint_ttt", "joint", share=0.5)
    assert chosen.sum() == 2 and not chosen[3]  # the last one gets worse
    assert not bins.most_improved(errors, "joint", "joint").any()


def test_error_bins_count_every_structure_once(made):
    errors = errors_of(made)
    rows = [r for r in bins.error_bins(errors) if r["method"] == "joint"]
    assert sum(r["n_structures"] for r in rows) == pytest.approx(3)  # delta lacks one, and it counts for no method


def test_a_method_that_fails_where_it_is_hardest_gains_nothing_by_it(tmp_path):
    frames, reference, prior, predictions = structures(tmp_path, ["ood_larger"] * 4 + ["id_test"] * 2)
    paths = [
        predictions("joint", 0, [[0.1, 0.1, 0.1, 0.9, 0.1, 0.1]]),
        predictions("joint_ttt", 0, [[0.1, 0.1, 0.1, 0.9, 0.1, 0.1], [0.05, 0.05, 0.05, 0.1, 0.1, 0.1]]),
        predictions("delta", 0, [[0.2, 0.2, 0.2, None, 0.1, 0.1]]),
        predictions("freeze", 0, [[None] * 4 + [0.1, 0.1]]),  # of another group alone: no part of this one
    ]
    found = Errors(frames, reference, prior, paths, 20, 0)
    made_tables = tables(found)
    for name in ("summary", "shift_axes", "frontier", "steps", "bins"):
        rows = [r for r in made_tables[name][1] if r.get("group", "ood_all") != "id_test"]
        assert {r["n_structures"] for r in rows if r.get("subset", "all") == "all"} <= {1, 2, 3}, name
    means = {r["method"]: r["mean_meV_per_A"] for r in made_tables["summary"][1] if r["group"] == "ood_all"}
    assert means == pytest.approx({"zero": means["zero"], "prior": 300, "joint": 100, "joint_ttt": 50, "delta": 200})
    counts = {m: sum(r["n_structures"] for r in made_tables["error_bins"][1] if r["method"] == m) for m in means}
    assert set(counts.values()) == {3}
    assert len([r for r in made_tables["per_structure"][1] if r["method"] == "joint"]) == 6, "nothing is lost"
    (line,) = [text for text in found.missing() if text.startswith("ood_all")]
    assert line == "ood_all: 1 of 4 structures are in no comparison, since delta has no result for them"


def test_an_ablation_compares_its_models_on_the_same_structures(tmp_path):
    frames, reference, _, predictions = structures(tmp_path, ["ood_larger"] * 3)
    offsets = {"joint": [0.1, 0.1, 0.9], "joint_ttt": [0.1, 0.1, 0.5], "delta": [0.2, 0.2, None]}
    offsets |= {"prior": [0.3, 0.3, 0.3], "supervised": [0.4, 0.4, 0.4], "joint_corrected": [0.15] * 3}
    none = Labels.build(frames, [None] * 3, "none")
    found = Errors(frames, reference, none, [predictions(m, 0, [v]) for m, v in offsets.items()], 20, 0)
    row = row_of(ablations.ablation(found, dict.fromkeys(ablations.POINT, "p")), group="ood_all")
    assert row["n_structures"] == 2
    assert [row[f"{m}_meV_per_A"] for m in offsets] == pytest.approx([100, 100, 200, 300, 400, 150])


def test_geometries_and_what_they_are_compared_with_are_of_the_same_structures(tmp_path):
    frames, reference, prior, predictions = structures(tmp_path, ["ood_larger"] * 4)
    paths = [
        predictions("joint", 0, [[0.5] * 4]),
        predictions("delta", 0, [[0.1, 0.1, 0.1, None]]),
        predictions("s_1", 0, [[None, 0.2, None, 0.9]]),
    ]
    rows = conformers.conformers(Errors(frames, reference, prior, paths, 20, 0), {"s": "joint"}, 2)
    assert rows
    for row in rows:
        assert row["n_structures"] == 1 and row["mean_meV_per_A"] == pytest.approx(200)
        assert row["difference_meV_per_A"] == pytest.approx(200 - row["baseline_mean_meV_per_A"])


def test_every_table_with_an_interval_says_of_how_many_molecules(made):
    for name, (columns, _) in tables(errors_of(made)).items():
        assert not any("ci_low" in c for c in columns) or {"n_structures", "n_molecules"} <= set(columns), name
    for columns in (comparisons.PAIRED, conformers.CONFORMERS, ablations.ABLATION):
        assert {"n_structures", "n_molecules"} <= set(columns)


def test_bins_hold_every_value():
    values = np.random.default_rng(0).exponential(size=200)
    edges = bins.bin_edges(values)
    assert edges[0] <= values.min() and edges[-1] > values.max()
    assert len(bins.bin_edges(np.zeros(10))) == 2


def test_no_held_out_structure_is_refused(made):
    frames, reference, prior, _ = made
    inside = Frames(**{**frames.__dict__, "group": np.array(["id_test"] * 4, dtype=object)})
    with pytest.raises(UserError, match="held-out"):
        Errors(inside, reference, prior, [], 10, 0)


def tables(found, radii=None):
    """tables_of Errors; force norms and eigenvalues are made up."""
    rng = np.random.default_rng(1)
    axes = {axis: (rng.uniform(size=len(found.frames)), rng.uniform(size=5)) for axis in ("a", "b")}
    return tables_of(found, axes, radii or {}, methods.prior_calls() | {"s_1": 0.0})


def chosen_radii(frames):
    return pd.DataFrame([dict(zip(RADII, (name, 5.0, 4.0, 2, None))) for name in frames.ids], columns=RADII)


def test_every_table_has_the_columns_that_are_stated(tmp_path, made):
    """In whichever order rows have them: write_table leaves out what is not among the columns."""
    frames, reference, prior, paths = made
    *_, predictions = structures(tmp_path, ["ood_larger"] * 4)
    more = [predictions("supervised", 0, [[0.1] * 4]), predictions("s_1", 0, [[None, 0.1, None, 0.2]])]
    more.append(predictions("joint_corrected", 0, [[0.1] * 4]))
    found = Errors(frames, reference, prior, [*paths, *more], 20, 0)
    made_tables = tables(found, {"joint": chosen_radii(frames)})
    made_tables["compared"] = comparisons.PAIRED, comparisons.compared(found, {"joint_ttt": "joint"})
    made_tables["conformers"] = conformers.CONFORMERS, conformers.conformers(found, {"s": "joint"}, 2)
    costs = ({"joint": 0.1, "joint_corrected": 0.1}, {("s", 1): [0.5]}, {"joint": 0.0, "joint_corrected": 1.0})
    costs[2].update(supervised=0.0, delta=1.0, prior=1.0)
    choice = conformers.decision_methods(made_tables["conformers"][1], *costs)
    made_tables["choices"] = conformers.CHOICES, conformers.choices(found, {"s": "joint"}, choice)
    point = dict(zip(ablations.POINT, ("p", 1.0, 0.0, "GFN2-xTB")))
    made_tables["ablations"] = ablations.ABLATION, ablations.ablation(found, point)
    labels = (reference, reference)
    files = tmp_path / "joint0.h5", tmp_path / "joint1.h5"
    shifts = tmp_path / "shifts.csv"
    again = frames.take(np.arange(4))
    again.ids[:] = [f"t{k}" for k in range(4)]
    about = [*((i, "train") for i in frames.ids), *((i, "ood_larger") for i in again.ids)]
    rows = [{"id": i, "group": g} | dict.fromkeys(measures.MEASURED, k % 3) for k, (i, g) in enumerate(about)]
    write_table(shifts, rows)
    both = tuple(Predictions.load(path) for path in files)
    one = Diagnosed.of((frames, again), labels, both, shifts, (np.eye(4), np.eye(4)))
    made_tables |= {f"diagnosis {name}": table for name, table in one.tables(1.0, 20, 0).items()}
    for name, (columns, rows) in made_tables.items():
        assert rows, name
        assert all(set(row) == set(columns) for row in rows), name
    assert [text.split(" (")[0] for text in one.summary("m")["missing"]] == ["No validation groups"]


UNADAPTED = ["steps", "gains", "gain_correlation"]
OF_ERRORS = ["summary", "per_structure", "frontier", "shift_axes", "bins", "paired"]
# groups, structures without a reference label, tables without a row
EMPTY = {
    "no adapted method": (["id_test", "ood_larger", "ood_larger", "ood_hot"], (), UNADAPTED),
    "held-out structures alone": (["ood_larger"] * 3, (), UNADAPTED),
    "one structure": (["ood_larger"], (), UNADAPTED),
    "no reference label": (["ood_larger"] * 2, (0, 1), [*UNADAPTED, *OF_ERRORS]),
}


@pytest.mark.parametrize("case", EMPTY)
@pytest.mark.filterwarnings("error")
def test_tables_without_a_row_have_their_columns(case, tmp_path):
    groups, unlabelled, empty = EMPTY[case]
    frames, reference, prior, predictions = structures(tmp_path, groups, unlabelled)
    paths = [predictions(name, 0, [[0.1] * len(groups)]) for name in ("supervised", "joint", "joint_rr")]
    found = Errors(frames, reference, prior, paths, 20, 0)
    # a model whose graphs were refined, and one of other structures
    made_tables = tables(found, {"joint": chosen_radii(frames), "freeze": chosen_radii(frames)[:0]})
    for name, (columns, rows) in made_tables.items():
        write_table(tmp_path / f"{name}.csv", rows, columns)
        table = read_table(tmp_path / f"{name}.csv")
        assert list(table.columns) == columns and len(table) == len(rows), name
    assert {name for name, (_, rows) in made_tables.items() if not rows} == set(empty)

    summary = read_table(tmp_path / "summary.csv")
    rows = published.beside(read_table(ROOT / "resources/published.csv"), summary)
    assert rows and all(np.isnan(row["ours"]) for row in rows if "freeze" in row["ours_is"])
    assert conformers.conformers(found, {"s": "joint"}, 2) == []
    assert conformers.decision_methods([], {}, {}, {}) == []


def test_nothing_is_drawn_of_an_axis_without_a_value():
    missing, known = np.full(3, np.nan), np.array([1.0, 2.0])
    assert bins.training_density({"force_norm": (known, missing)}) == []
    assert len(bins.training_density({"force_norm": (missing, known)})) == bins.DENSITY_COUNT
    constant = 1 / 3 + 1e-16 * np.arange(-2, 3)
    density = bins.training_density({"force_norm": (missing, constant)})
    assert sum(row["bin_right"] - row["bin_left"] for row in density) == pytest.approx(1), "no range of rounding"


def test_the_error_by_the_weight_of_the_correction_is_that_of_the_validation_groups(tmp_path):
    """Errors of 0.4 eV/Å before and −0.1 after half of the residual: least with two fifths of it, 0 there."""
    frames, reference, prior, predictions = structures(tmp_path, ["val_a", "val_b", "ood_larger", "ood_larger"])
    paths = [predictions("joint", s, [[0.4] * 4]) for s in (0, 1)]
    paths += [predictions("joint_corrected", s, [[-0.1, -0.1, 0.3, None]]) for s in (0, 1)]
    found = Errors(frames, reference, prior, paths, 20, 0)
    rows = correction_weights(found, reference, paths, 0.4)
    expected = {0: 400, 0.25: 87.5, 0.4: 100, 0.5: 225, 0.75: 537.5, 1: 850, 1.25: 1162.5}
    assert {row["weight"]: row["mean_meV_per_A"] for row in rows} == pytest.approx(expected)
    assert {row["weight"] for row in rows if row["used"]} == {0.4}
    assert all((row["method"], row["n_structures"], row["n_seeds"]) == ("joint_corrected", 2, 2) for row in rows)
    assert all(set(row) == set(CORRECTION_WEIGHTS) for row in rows)
    # what a weight of zero added says nothing of the others
    assert correction_weights(found, reference, paths, 0.0) == []
    # as a run without validation groups
    frames, reference, prior, predictions = structures(tmp_path, ["ood_larger"] * 2)
    paths = [predictions(name, 0, [[0.1] * 2]) for name in ("joint", "joint_corrected")]
    assert correction_weights(Errors(frames, reference, prior, paths, 20, 0), reference, paths, 1.0) == []


def test_gains_are_those_of_adaptations_alone(made):
    found = errors_of(made)
    found.final["supervised_rr"] = found.final["supervised"] = found.final["joint"]
    assert {row["method"] for row in gains.gains(found)} == {"joint_ttt"}


def test_seconds_include_adaptation_and_prior_calls(tmp_path):
    def timing(stage, name, seconds, structures, measured=CPU):
        path = tmp_path / stage / f"{name}.json"
        path.parent.mkdir(exist_ok=True)
        Timing(seconds, structures, measured).write(path)
        return path

    prior = timing("prior", "test", 5.0, 10)
    paths = [timing("predict", f"joint_{seed}", 1.0 + seed, 10) for seed in range(2)]
    paths += [timing("refine", "joint_0", 4.0, 10), timing("adapt", "structure_joint_0", 30.0, 10)]
    paths += [timing("adapt", "placebo_joint_0", 20.0, 10, GPU), timing("predict", "freeze_0", 9.0, 0)]
    paths += [timing("correct", "structure_joint_0", 2.0, 10), timing("correct", "placebo_joint_0", 3.0, 10)]
    paths += [timing("mean", "joint_ttt_delta_0", 3.5, 1)]
    calls = {"joint": 0.0, "joint_rr": 0.0, "joint_ttt": 1.0, "joint_placebo": 1.0}
    calls |= dict.fromkeys(["joint_corrected", "joint_corrected_placebo", "joint_ttt_delta"], 1.0)
    rows = timings.summarise(prior, paths, calls)
    assert all(list(row) == timings.SECONDS for row in rows)
    assert {row["method"]: tuple(row[c] for c in timings.SECONDS[1:]) for row in rows} == {
        "prior": (0.5, CPU, 10),
        "joint": (0.15, CPU, 20),
        "joint_rr": (0.4, CPU, 10),
        "joint_ttt": (3.5, CPU, 10),
        "joint_placebo": (2.5, "wall time, GPU; CPU time of prior calls", 10),
        "joint_corrected": (0.7, CPU, 10),
        "joint_corrected_placebo": (0.8, CPU, 10),
        "joint_ttt_delta": (4.0, CPU, 1),
    }


def test_a_stopwatch_counts_work_and_not_waiting():
    """Its own, that of its threads and that of children that have ended; a busy machine makes all of them wait."""
    waiting = Stopwatch()
    time.sleep(0.5)
    assert waiting.seconds < 0.25 and waiting.measured == CPU
    work = "import time\nwhile time.process_time() < 0.3: pass"
    watch = Stopwatch()
    subprocess.run([sys.executable, "-c", work], check=True)
    assert watch.timing(3).each >= 0.1

    def busy():
        while time.thread_time() < 0.2:
            pass

    watch, thread = Stopwatch(), threading.Thread(target=busy)
    thread.start()
    thread.join()
    assert watch.seconds >= 0.2
