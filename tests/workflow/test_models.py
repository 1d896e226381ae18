"""Models of the registry through the workflow: an ASE calculator of one's own, what the user is told, trust."""

import json

import pytest

from clone import copy_repository, snakemake
from mlipshift.base.frames import Frames
from mlipshift.base.predictions import Predictions
from mlipshift.external.embedding import Embedding

EMT = {
    "title": "EMT",
    "family": "ase",
    "calculator": "ase.calculators.emt:EMT",
    "elements": ["H", "C", "N", "O"],
    "level": "none",
    "environment": "xtb",
}


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return copy_repository(tmp_path_factory.mktemp("models"))


def target(directory, models, *arguments, check=True):
    config = directory / "mine.yaml"
    config.write_text(json.dumps({"models": models, "data": {"max_structures_per_group": 3}}))
    return snakemake(directory, "predict_models", *arguments, "--configfile", "mine.yaml", check=check)


def errors(done):
    return [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("error:")]


def test_a_calculator_of_ones_own_is_predicted_and_the_user_told(directory):
    done = target(directory, {"emt": EMT})
    told = [line for line in done.stderr.splitlines() if line.startswith("emt: ")]
    assert len(told) == 2 and "structures, " in told[0] and "excluded (3 element " in told[0]
    assert told[1].startswith("emt: warning: it learned none, the labels are wB97M-D3(BJ)/def2-SVP;")
    for name in ("train", "test"):
        frames = Frames.load(directory / f"results/frames/{name}.h5")
        made = Predictions.load(directory / f"results/models/external/emt/{name}.h5", frames)
        Embedding.load(directory / f"results/models/external/emt/{name}_embedding.h5", frames)
        known = [bool(set(frames[k][0]) <= {1, 6, 7, 8}) for k in range(len(frames))]
        assert made.ok.tolist() == known
    # texts of an entry are no reason to predict again
    again = target(directory, {"emt": EMT | {"title": "Another name", "licence_code": "MIT"}}, "-n")
    assert "predict_model " not in again.stdout + again.stderr


@pytest.mark.parametrize(
    ("models", "part"),
    [
        ({"mace_off23_small": {}}, "set models.mace_off23_small.trust to true"),
        ({"chgnt": {}}, "did you mean 'chgnet'?"),
        ({"emt": EMT | {"environment": "nowhere"}}, "the environment nowhere is not there, .venv-nowhere/bin/python"),
        (
            {"m": {"title": "m", "family": "mace", "environment": "mace", "checkpoint": "no.model", "trust": True}},
            "no.",
        ),
    ],
)
def test_what_cannot_run_is_one_line_before_anything_runs(directory, models, part):
    done = target(directory, models, "-n", check=False)
    assert done.returncode != 0 and len(errors(done)) == 1 and part in errors(done)[0], done.stderr
