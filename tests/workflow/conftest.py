"""A copy of the repository as a fresh clone would have it, and one smoke run in it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SMOKE = ["--configfile", "config/smoke.yaml"]


def copy_repository(target):
    """Copy what git tracks (or would track) and nothing else, so that no built file is relied upon."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        source, copy = ROOT / name, target / name
        if source.is_file():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, copy)
    return target


def snakemake(directory, *arguments, check=True):
    """Run Snakemake in `directory` with this interpreter's environment; returns the completed process."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    done = subprocess.run(
        ["snakemake", "--cores", "2", *arguments],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
    )
    if check and done.returncode:
        raise AssertionError(f"snakemake {' '.join(arguments)} failed:\n{done.stdout}\n{done.stderr}")
    return done


@pytest.fixture(scope="session")
def smoke_run(tmp_path_factory):
    """Directory of a finished smoke run."""
    directory = copy_repository(tmp_path_factory.mktemp("smoke"))
    snakemake(directory, *SMOKE)
    return directory
