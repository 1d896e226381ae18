"""Simulated molecules: observables against what is known, tables, figures and the report of small trajectories."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from drawn import faults
from mlipshift.base.tables import read_table, write_table
from mlipshift.base.timing import Timing
from mlipshift.catalogue.captions import filled
from mlipshift.catalogue.motion import MOTION
from mlipshift.evaluate import dynamics, published
from mlipshift.show import drawing, runs
from mlipshift.show.report import messages_motion, motion
from mlipshift.show.report.results import Results
from mlipshift.simulate import observables
from mlipshift.simulate.trajectories import Trajectory

PUBLISHED = Path(__file__).resolve().parents[2] / "resources" / "published.csv"
SIMULATED = [name for name, figure in MOTION.items() if figure.setting == "simulate.molecules"]
NUMBERS = np.array([6, 6, 8, 1, 1, 1])
RING = np.array([[0.0, 0, 0], [1.5, 0, 0], [2.1, 1.2, 0], [-0.5, 1.0, 0], [-0.5, -0.5, 0.9], [-0.5, -0.5, -0.9]])
USUAL = {"model": "joint", "scheme": None, "geometries": 12, "on_the_fly": False, "corrected": False}
USUAL |= {"forces": "gradient", "ensemble": "nvt", "precision": "float32"}
RUNS = {
    "supervised": {"model": "supervised"},
    "joint": {},
    "joint_ttt_1": {"scheme": "joint_ttt", "geometries": 1},
    "joint_ttt": {"scheme": "joint_ttt"},
    "joint_on_the_fly": {"scheme": "joint_ttt", "geometries": 1, "on_the_fly": True},
    "joint_corrected": {"corrected": True},
    "prior": {"model": "prior"},
    "joint_direct": {"forces": "direct"},
    "joint_ttt_direct": {"scheme": "joint_ttt", "forces": "direct"},
    "joint_ttt_nve": {"scheme": "joint_ttt", "ensemble": "nve"},
    "joint_ttt_nve_float64": {"scheme": "joint_ttt", "ensemble": "nve", "precision": "float64"},
}

WHOLE = ("joint_ttt", "joint_ttt_direct")


def trajectory(ends=(None, 20), frames=60, noise=0.03, calls=0):
    """Replicas that rattle about RING; one that ends does so with its first atom far away."""
    rng = np.random.default_rng(len(ends) + calls)
    positions = RING + noise * rng.normal(size=(frames, len(ends), *RING.shape))
    energy, kinetic = 0.01 * rng.normal(size=(2, frames, len(ends)))
    event, ended = np.full(len(ends), "none", dtype=object), np.full(len(ends), frames)
    stretched = np.full((len(ends), 2), -1)
    for r, end in enumerate(ends):
        if end is not None:
            positions[end, r, 0] -= [2.0, 0, 0]
            for values in (positions, energy, kinetic):
                values[end + 1 :, r] = np.nan
            event[r], ended[r], stretched[r] = "bond", end, (0, 1)
    about = {"frame_ps": 0.1, "attempted_ps": 0.1 * (frames - 1), "field": {"prior_calls": calls}}
    return Trajectory(NUMBERS, positions, energy, 0.3 + kinetic, np.zeros_like(energy), event, ended, stretched, about)


def tables(folder, ends=(None, 20), names=RUNS, molecules=("ood_toluene", "ood_naphthalene")):
    """{name: path} of the tables of all runs of molecules."""
    geometries = RING + 0.03 * np.random.default_rng(9).normal(size=(50, *RING.shape))
    made = [
        dynamics.Run(
            {**USUAL, **RUNS[name], "molecule": molecule, "run": name, "adapted_on": 36},
            trajectory((None, None) if name in WHOLE else ends, calls=100 * (name == "prior")),
            Timing(12.0, 2),
            geometries,
            (100.0, 30),
        )
        for molecule in molecules
        for name in names
    ]
    rows = [dynamics.dynamics(run) for run in made]
    found = {
        "dynamics": (dynamics.DYNAMICS, sum(rows, [])),
        "dynamics_summary": (dynamics.SUMMARY, [dynamics.summary(run, own) for run, own in zip(made, rows)]),
        "h_of_r": (dynamics.H_OF_R, dynamics.h_of_r(made)),
        "energy_traces": (dynamics.TRACES, sum(map(dynamics.traces, made), [])),
        "unphysical": (dynamics.UNPHYSICAL, sum(map(dynamics.unphysical, made), [])),
        "dynamics_costs": (dynamics.COSTS, list(map(dynamics.costs, made))),
    }
    for name, (columns, values) in found.items():
        write_table(folder / f"{name}.csv", values, columns)
    nothing = pd.DataFrame(columns=["group", "method", "mean_meV_per_A", "below_25_meV_per_A"])
    beside = published.beside(pd.read_csv(PUBLISHED), nothing, read_table(folder / "dynamics_summary.csv"))
    write_table(folder / "published.csv", beside, published.OURS)
    return drawing.find_tables([folder])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return tables(tmp_path_factory.mktemp("motion"))


def test_bonds_are_near_pairs_and_break_at_half_an_angstrom():
    bonds = observables.bonds_of(NUMBERS, RING[None])
    assert bonds.pairs.tolist() == [[0, 1], [0, 3], [0, 4], [0, 5], [1, 2]]
    moved = np.stack([RING, RING, RING, RING])
    moved[1, 2] += 0.49 * (RING[2] - RING[1]) / np.linalg.norm(RING[2] - RING[1])
    moved[2, 2] += 0.51 * (RING[2] - RING[1]) / np.linalg.norm(RING[2] - RING[1])
    moved[3, 0, 0] = np.nan
    assert bonds.broken(moved).tolist() == [False, False, True, True]
    assert bonds.pairs[bonds.first(moved[2])].tolist() == [1, 2]


def test_h_of_r_is_a_density_and_its_error_the_area_between():
    r, density = observables.h_of_r(RING[None])
    assert len(r) == 500 and density.sum() * 0.02 == pytest.approx(1.0) and r[0] == pytest.approx(0.01)
    pair = np.array([[[0.0, 0, 0], [1.01, 0, 0]], [[0.0, 0, 0], [2.01, 0, 0]]])
    both, first = observables.h_of_r(pair)[1], observables.h_of_r(pair[:1])[1]
    assert observables.h_of_r_error(both, first) == pytest.approx(1.0)
    assert observables.h_of_r_error(observables.h_of_r(pair[1:])[1], first) == pytest.approx(2.0)
    assert not observables.h_of_r(pair[:1] * 20)[1].any()


def test_drift_is_a_slope_per_atom():
    times = np.linspace(0, 10, 101)
    total = 5.0 + 0.006 * times
    total[50] = np.nan
    assert observables.drift(times, total, 3) == pytest.approx(2.0)
    assert observables.excursion(total, 3) == pytest.approx(20.0)
    assert np.isnan(observables.drift(times[:1], total[:1], 3))


def test_tables_are_of_the_time_before_anything_happened(made):
    summary = read_table(made["dynamics_summary"]).set_index(["molecule", "run"])
    before, after = summary.loc[("ood_toluene", "joint")], summary.loc[("ood_toluene", "joint_ttt")]
    assert (before.n_replicas, before.n_stable, after.n_stable) == (2, 1, 2)
    assert before.stable_low_ps == pytest.approx(2.0) and after.stable_ps == pytest.approx(5.9)
    assert 0 < after.h_of_r_floor < 1 and after.h_of_r_low <= after.h_of_r_high
    assert after.h_of_r_error < 0.7, "the same geometries, and the same noise"
    assert summary.loc[("ood_toluene", "prior")].prior_calls_per_ps == pytest.approx(100 / 7.9)
    drawn = read_table(made["unphysical"])
    assert set(drawn.run) == set(RUNS) - {*WHOLE} and (drawn.groupby(["molecule", "run"]).size() == 5).all()
    lost = drawn[(drawn.length_A - drawn.mean_length_A).abs() > 0.5]
    assert (lost[["first", "second"]].min(axis=1) == 0).all()
    costs = read_table(made["dynamics_costs"])
    assert costs.seconds_per_ps.iloc[0] == pytest.approx(12 / 7.9)


@pytest.mark.parametrize("name", SIMULATED)
def test_figures_are_legible_and_their_captions_complete(name, made):
    figure, facts = drawing.draw(name, made, MOTION[name].title)
    assert faults(figure) == []
    caption = filled(MOTION[name].caption, facts)
    assert "{" not in caption and "[[" not in caption
    if name == "fig_stable_time":
        assert "Toluene: 0 ps → 100 ps" in caption


@pytest.mark.parametrize("name", SIMULATED)
def test_figures_of_one_run_and_of_none(name, tmp_path):
    one = tables(tmp_path / "one", names=["joint"], molecules=["ood_my_own_molecule_of_long_name"])
    assert faults(drawing.draw(name, one, MOTION[name].title)[0]) == []
    none = tables(tmp_path / "none", names=["joint_ttt"])
    drawing.draw(name, none, MOTION[name].title)


def test_published_values_stand_beside_their_runs(made):
    table = read_table(made["published"]).set_index("quantity")
    assert table.loc["Stable time of toluene with TTT", "ours"] == pytest.approx(5.9)
    assert table.loc["Stable time of naphthalene without TTT", "published"] == 0
    assert 0 < table.loc["h(r) error of naphthalene with TTT", "ours"] < 2
    assert np.isnan(table.loc["Structures to reach 15 meV/Å with TTT", "ours"])


def test_the_report_has_a_row_per_run_and_says_what_became_of_each(made):
    results = Results({name: read_table(path) for name, path in made.items()} | {"summary": None, "paired": None})
    table = motion.dynamics_table(results)
    assert len(table["rows"]) == 2 * len(RUNS) and all(len(row) == len(table["head"]) for row in table["rows"])
    heading, text = motion.dynamics_sentence(results)
    assert "Toluene: whole to the end in all replicas: Joint + TTT (12) and Joint + TTT (12), direct forces;" in text
    assert "not with Supervised (1 of 2, " in text
    assert "error of h(r): " in text and "Steepest drift" in text
    said = {name: make(results) for name, make in messages_motion.MAKERS.items()}
    assert "runs every replica stays whole to the end; the first to break is" in said["fig_stable_time"]
    assert said["fig_h_of_r"].startswith("Error of h(r) of Joint before and after test-time training: Toluene ")
    assert said["fig_energy_traces"].startswith("Steepest drift without a thermostat: ")
    assert "simulated replicas do not stay whole" in said["fig_unphysical"]
    assert said["fig_dynamics_cost"].startswith("A picosecond takes ")
    nothing = Results({"summary": None, "paired": None})
    assert motion.dynamics_table(nothing) is None
    assert {make(nothing) for make in messages_motion.MAKERS.values()} == {None}


def test_runs_are_called_by_what_they_are():
    table = pd.DataFrame([{**USUAL, **row, "molecule": "ood_x", "run": name} for name, row in RUNS.items()])
    names = runs.titles(table)
    assert names["joint_on_the_fly"] == "Joint + TTT (1), on the fly"
    assert names["joint_direct"] == "Joint, direct forces" and names["prior"] == "Prior"
    assert names["joint_ttt_nve_float64"] == "Joint + TTT (12), NVE, float64"
    assert len(set(names.values())) == len(names) and runs.molecule("ood_toluene") == "Toluene"
