"""Runs that are killed at any moment and started again, and two runs at once."""

import os
import random
import signal
import subprocess
import time

from clone import SMOKE, assert_same_tables, copy_repository, environment

COMMAND = ["snakemake", "--workflow-profile", "none", "--rerun-incomplete", "--quiet", "host", "--cores", "2"]


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
        )


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


def test_two_runs_in_one_folder(smoke_run, tmp_path):
    """The second ends at once with one line; the first is not disturbed."""
    directory = copy_repository(tmp_path / "shared")
    first = start(directory)
    while not list(directory.glob(".snakemake/locks/*.lock")):
        assert first.poll() is None, (directory / "run.log").read_text()
        time.sleep(0.1)
    second = subprocess.run([*COMMAND, *SMOKE], cwd=directory, env=environment(), capture_output=True, text=True)
    assert second.returncode != 0 and first.poll() is None
    assert second.stdout == "" and len(second.stderr.splitlines()) == 1
    assert second.stderr.startswith("error: another run is at work on these files")
    finish(directory, first)
    assert_same_tables(smoke_run, directory)


def test_jobs_of_a_killed_run_end_by_themselves(tmp_path):
    directory = copy_repository(tmp_path / "orphans")
    run = start(directory)
    while "Train" not in (directory / "run.log").read_text():
        time.sleep(0.2)
    kill(run, everything=False)
    deadline = time.monotonic() + 60
    while processes_in(directory):
        assert time.monotonic() < deadline, processes_in(directory)
        time.sleep(0.2)


def processes_in(directory):
    """Command lines of the processes that work in a folder."""
    found = subprocess.run(["pgrep", "-f", "-a", "workflow/scripts"], capture_output=True, text=True).stdout
    inside = lambda pid: os.path.realpath(f"/proc/{pid}/cwd") == os.path.realpath(directory)
    return [line for line in found.splitlines() if inside(line.split()[0])]
