"""The whole paper as one graph: every figure and table by name, from an empty folder."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mlipshift.base.errors import UserError
from mlipshift.catalogue.paper import ITEMS
from mlipshift.run import configuration
from mlipshift.run.experiments import Paper

ROOT = Path(__file__).resolve().parents[2]
CONFIG = configuration.read(ROOT / "config" / "paper.yaml")


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    """What Snakemake would do in an empty folder; environments that cannot be had here are links to this one."""
    home, work = (tmp_path_factory.mktemp(name) for name in ("home", "work"))
    shutil.copytree(ROOT / "workflow", home / "workflow", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "Snakefile", home)
    for folder in ("config", "resources", "envs"):
        (home / folder).symlink_to(ROOT / folder)
    for name in ("mace", "fairchem", "jmp"):
        (home / f".venv-{name}" / "bin").mkdir(parents=True)
        (home / f".venv-{name}" / "bin" / "python").symlink_to(sys.executable)
    command = [sys.executable, "-P", "-m", "snakemake", "--snakefile", home / "workflow" / "paper.smk", "--cores", "1"]
    done = subprocess.run(
        [*command, "--dry-run", "--printshellcmds", "--config", "trust=true"], cwd=work, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout + done.stderr


def test_every_figure_and_table_of_the_paper_is_made(plan):
    paper = Paper.of(CONFIG | {"trust": True}, ROOT)
    outputs = {word for line in re.findall(r"Missing output files: ([^;\n]+)", plan) for word in line.split(", ")}
    assert {path for files in paper.figures.values() for path in files} <= outputs
    assert [*paper.figures] == [*ITEMS]
    text = (ROOT / "docs" / "paper.md").read_text()
    assert [name for name in ITEMS if f"`{name}`" not in text] == []


def test_all_experiments_train_with_their_own_settings_and_one_rule_downloads(plan):
    assert set(re.findall(r"^(\w+)_curate +1$", plan, re.M)) == {i.experiment for i in ITEMS.values()}
    assert set(re.findall(r"^(\w+)_retrieve_file +\d+$", plan, re.M)) == {"spice"}
    trained = [line for line in plan.splitlines() if "train_model.py" in line]
    assert trained and all("--device cuda" in line for line in trained)
    own = [line for line in trained if "results/spice/models" in line]
    assert {re.search(r'"steps": (\d+)', line)[1] for line in own} == {"3000000", "7500000"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"trust": None}, "trust=true"),
        ({"trust": True, "figures": []}, "figures: no such setting"),
        ({"trust": True, "experiments": {"spice": {}}}, "has to have the entries spice, mptrj"),
    ],
)
def test_what_cannot_be_is_one_line(change, said):
    with pytest.raises(UserError, match=said):
        Paper.of(CONFIG | change, ROOT)
