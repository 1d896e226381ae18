"""Runs that are killed at any moment and started again, runs beside each other, and what a stopped one leaves."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from clone import ROOT, SMOKE, assert_same_tables, copy_repository, environment

COMMAND = ["snakemake", "--workflow-profile", "none", "--rerun-incomplete", "--quiet", "host", "--cores", "2"]
LIMIT = 120  # s


def start(directory):
    """A run in a process group of its own; its output goes to run.log."""
    with open(directory / "run.log", "a") as handle:
        return subprocess.Popen(
            [*COMMAND, *SMOKE],
            cwd=directory,
            env=environment(),
            stdout=handle,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=heed_signals,
        )


def heed_signals():
    """Whatever these tests were started by: a job in the background ignores the one, under nohup the other."""
    for name in (signal.SIGINT, signal.SIGHUP):
        signal.signal(name, signal.SIG_DFL)


def kill(run, everything):
    """SIGKILL of the whole run, or of Snakemake alone, whose jobs have to end by themselves."""
    if everything:
        os.killpg(run.pid, signal.SIGKILL)
    else:
        run.kill()
    run.wait()


def finish(directory, run):
    assert run.wait() == 0, (directory / "run.log").read_text()


def test_killed_at_random_moments_and_resumed(smoke_run, tmp_path, pytestconfig):
    """The same command again goes on, with nothing to unlock, and ends in byte-identical tables."""
    moments, left, runs = random.Random(20261123), pytestconfig.getoption("kills"), 0
    while left:
        runs += 1
        directory, ended = copy_repository(tmp_path / str(runs)), False
        while not ended and left:
            run = start(directory)
            try:
                run.wait(timeout=moments.uniform(0, 15))
                ended = True
            except subprocess.TimeoutExpired:
                kill(run, everything=left % 2)
                left -= 1
        finish(directory, run if ended else start(directory))
        assert_same_tables(smoke_run, directory)
    print(f"{pytestconfig.getoption('kills')} kills in {runs} runs, all resumed, all tables identical")


def alone(directory, *arguments):
    """A run that ends at once or makes one small file."""
    command = [*COMMAND, "results/frames/train.h5", *SMOKE, *arguments]
    return subprocess.run(command, cwd=directory, env=environment(), capture_output=True, text=True)


def refused(done):
    assert done.returncode != 0 and done.stdout == "" and len(done.stderr.splitlines()) == 1, done
    return done.stderr.startswith("error: another run is at work on these files: results (process ")


def test_runs_beside_each_other(smoke_run, tmp_path):
    """A second one of the same name ends with one line, whatever others did; one of another name has its own files."""
    directory = copy_repository(tmp_path / "shared")
    first = start(directory)
    until(lambda: holds(directory / "results/.lock"), first)
    assert refused(alone(directory, "--forceall"))
    other = [*COMMAND, "results/other/frames/train.h5", *SMOKE, "--config", "run=other"]
    done = subprocess.run(other, cwd=directory, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert refused(alone(directory, "--forceall")) and first.poll() is None
    kill(first, everything=False)
    finish(directory, start(directory))
    assert_same_tables(smoke_run, directory)


def holds(lock):
    """Whether a run has written itself into its lock."""
    return lock.exists() and lock.stat().st_size > 0


def until(condition, run=None):
    """Wait for a condition, or for the limit; a run has to be alive meanwhile."""
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline and (run is None or run.poll() is None), condition
        time.sleep(0.05)


# what the job does: a worker that is forked, a program, and a long time
LONG_JOB = """
def main(args):
    import multiprocessing, pathlib, subprocess, time
    multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,)).start()
    subprocess.Popen(["sleep", "600"])
    args.train.write_text("half")
    pathlib.Path("at-work").touch()
    time.sleep(600)

"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGKILL"])
def test_a_stopped_run_leaves_no_job_behind(tmp_path, name):
    """Sent to Snakemake alone: neither jobs nor what they started go on, and half-written files count for nothing."""
    directory = copy_repository(tmp_path / "stopped")
    script = directory / "workflow/scripts/curate.py"
    script.write_text(script.read_text().replace("def main(args):\n", LONG_JOB + "def unused(args):\n"))
    run = start(directory)
    until(lambda: (directory / "at-work").exists(), run)
    run.send_signal(signal.Signals[name])
    until(lambda: not processes_in(directory))
    lines = (directory / "run.log").read_text().splitlines()
    if name != "SIGKILL":
        assert run.wait() == 1 and lines[-1] == f"stopped by {name}; the same command goes on from here", lines
        return
    assert run.wait() == -signal.SIGKILL and (directory / "results/frames/train.h5").exists()
    planned = alone(directory, "--dryrun")
    assert re.search(r"^curate +1$", planned.stdout + planned.stderr, re.M), planned


def test_a_worker_ends_with_its_job(tmp_path):
    """Also when the system kills the job, for memory for one."""
    code = """
import multiprocessing, os, signal, sys, time
sys.path.insert(0, "workflow")
from mlipshift.run.processes import end_with_parent
with multiprocessing.get_context("fork").Pool(2, initializer=end_with_parent) as pool:
    pool.map(abs, range(4))
    print(*(worker.pid for worker in pool._pool), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL
    until(lambda: not [pid for pid in done.stdout.split() if alive(pid)])


def alive(pid):
    """Whether a process runs; one that has ended and waits to be collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False


def processes_in(directory):
    """Numbers of the processes that work in a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            here = os.readlink(path / "cwd") == os.path.realpath(directory)
        except OSError:
            continue
        found += [path.name] if here and alive(path.name) else []
    return found
