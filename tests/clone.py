"""A copy of the repository as a fresh clone would have it, and runs in it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
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


def environment():
    """Environment of this interpreter without the tests' own path."""
    inherited = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    return inherited | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{inherited['PATH']}"}


def snakemake(directory, *arguments, check=True):
    """Run Snakemake in `directory` with this interpreter's environment; returns the completed process."""
    done = subprocess.run(
        ["snakemake", "--cores", "2", *arguments],
        cwd=directory,
        env=environment(),
        capture_output=True,
        text=True,
    )
    if check and done.returncode:
        raise AssertionError(f"snakemake {' '.join(arguments)} failed:\n{done.stdout}\n{done.stderr}")
    return done


def tables(directory):
    """{name: bytes} of the result tables of a run."""
    return {path.name: path.read_bytes() for path in sorted((directory / "results/tables").glob("*.csv"))}


def assert_same_tables(first, second):
    """Byte for byte, in two folders."""
    one, other = tables(first), tables(second)
    assert one.keys() == other.keys() and len(one) >= 12
    assert [name for name in one if one[name] != other[name]] == []
