"""Section simulate: what is asked for is planned, and what cannot be made is one line."""

import json

import pytest

from clone import ROOT, SMOKE, copy_repository, snakemake
from reruns import planned

GROUP = "ood_larger"


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    return copy_repository(tmp_path_factory.mktemp("simulation"))


def dry_run(folder, runs, check=True, **settings):
    asked = {"molecules": [GROUP], "runs": runs, **settings}
    return snakemake(folder, "-n", *SMOKE, "--config", f"simulate={json.dumps(asked)}", check=check)


def test_runs_share_what_they_can(repository):
    """One training for the other forces, one adaptation for runs that differ in their dynamics alone."""
    adapted = {"model": "joint", "scheme": "joint_ttt", "geometries": 1}
    runs = {
        "prior": {"model": "prior"},
        "delta": {"model": "delta"},
        "joint_ttt": adapted,
        "joint_ttt_nve": adapted | {"ensemble": "nve"},
        "on_the_fly": adapted | {"on_the_fly": True},
        "gradient": {"model": "joint", "forces": "gradient"},
        "distilled": {"model": "joint", "scheme": "joint_distil", "geometries": 1},
    }
    jobs = planned(dry_run(repository, runs))
    assert jobs["simulate_molecule"] == 7 and jobs["adapt_molecule"] == jobs["predict_adapted"] == 2
    assert jobs["train_other_forces"] == 2, "what joint starts from, too"
    assert jobs["evaluate_dynamics"] == 1 and jobs["plot_figure"] > 8
    # nothing of it is part of a run that names no molecule
    assert "simulate_molecule" not in planned(snakemake(repository, "-n", *SMOKE))


@pytest.mark.parametrize(
    ("runs", "settings", "said"),
    [
        ({"joint": {"model": "joint"}}, {"molecules": ["ood_x"]}, "ood_x is no group of data.files"),
        ({"joint": {"model": "joint"}}, {"reference": {GROUP: "md"}}, "md is no recipe of section import"),
        ({}, {}, "simulate.runs is empty"),
        ({"a": {"model": "supervised", "scheme": "joint_ttt"}}, {}, "joint_ttt is no adaptation of supervised"),
        ({"a": {"model": "joint", "on_the_fly": True}}, {}, "needs a scheme"),
        ({"a": {"model": "delta", "corrected": True}}, {}, "take freeze or joint"),
        ({"a": {"model": "joint", "scheme": "joint_distil", "forces": "gradient"}}, {}, "take another scheme"),
    ],
)
def test_what_cannot_be_made_is_one_line(runs, settings, said):
    done = dry_run(ROOT, runs, check=False, **settings)
    errors = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("error:")]
    assert done.returncode and len(errors) == 1 and said in errors[0], done.stderr
