"""The tutorial docs/own_data.md, block by block, in a fresh clone."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd

from clone import ROOT, copy_repository, environment

PAGE = ROOT / "docs" / "own_data.md"


def blocks():
    """Shell blocks of the tutorial, in order."""
    return re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.S | re.M)


def follow(directory):
    """What each block prints in a clone."""
    # the environment of the tests, as one that `make venv-run` has made from the lock of this clone
    venv = directory / ".venv"
    venv.mkdir()
    for entry in Path(sys.prefix).iterdir():
        if entry.suffix != ".lock":
            (venv / entry.name).symlink_to(entry)
    shutil.copy2(directory / "envs/lock/run.txt", venv / "run.lock")
    for block in blocks():
        command = ["bash", "-euo", "pipefail", "-c", block]
        done = subprocess.run(command, cwd=directory, env=environment(), capture_output=True, text=True)
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
        yield done.stdout + done.stderr


def test_every_step_ends_well_and_shows_what_the_page_says(tmp_path):
    directory = copy_repository(tmp_path / "clone")
    printed = list(follow(directory))
    assert len(printed) == 6
    assert "Installing" not in printed[0], "the environment is reused"
    assert not (directory / ".venv" / "test.lock").exists()
    for name in ("mine/diagnosis.html", "mitigated/report.html"):
        assert (directory / "results" / name).stat().st_size > 100_000
    # a second model computes only what is new
    started = [line for line in printed[4].splitlines() if re.match(r"\[\d+/\d+\]", line)]
    assert started and not [line for line in started if "input structures" in line or "on the three shift axes" in line]
    for model in ("emt", "lj"):
        groups = pd.read_csv(directory / f"results/mine/diagnosis/{model}/groups.csv").set_index("group")
        assert groups.mean_meV_per_A[["id_test", "ood_new"]].gt(0).all()
    paired = pd.read_csv(directory / "results/mitigated/tables/paired.csv")
    compared = {(row.method, row.baseline) for row in paired[paired.group == "ood_all"].itertuples()}
    assert {("joint_ttt", "joint"), ("joint_ttt", "delta"), ("joint_rr", "joint")} <= compared
    assert "joint_ttt" in printed[5]
