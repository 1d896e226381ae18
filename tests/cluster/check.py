"""Checks of the workflow on a real Slurm, which run.sh has started: one line each, exit status 1 if one fails.

Usage: check.py FOLDER   (the folder of the cluster; SLURM_CONF and PATH as run.sh sets them)
"""

import re
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from clone import SMOKE, assert_same_tables, copy_repository, environment, tables

CLUSTER = Path(sys.argv[1])
LIMIT = 7200  # s, for one run; only what hangs takes so long
CURATED = "results/frames/train.h5"  # made by a single job
# this cluster has no accounting; the rest shortens the waiting
TEST_ONLY = """
slurm-status-command: squeue
slurm-init-seconds-before-status-checks: 3
seconds-between-status-checks: 3
latency-wait: 15
"""
HOLD = """
import pathlib, time
pathlib.Path("held").touch()
while pathlib.Path("hold").exists():
    time.sleep(0.2)
"""


class Run:
    """A fresh copy of the repository, and one run of Snakemake in it through Slurm."""

    def __init__(self, name, site_lines=False):
        self.folder = copy_repository(CLUSTER / name)
        profile = (self.folder / "profiles/slurm/profile.yaml").read_text()
        if site_lines:
            profile = profile.replace("#:", "").replace("\nslurm-status-command: squeue\n", "\n")
        own = [line.split(":")[0] for line in TEST_ONLY.split()[::2]]
        kept = [line for line in profile.splitlines() if line.split(":")[0] not in own]
        (self.folder / "profiles/test").mkdir()
        (self.folder / "profiles/test/profile.yaml").write_text("\n".join(kept) + TEST_ONLY)

    def held(self):
        """Make curate wait until it is released, killed or cancelled."""
        (self.folder / "hold").touch()
        script = self.folder / "workflow/scripts/curate.py"
        first, rest = script.read_text().split("\n", 1)
        script.write_text(first + HOLD + rest)
        return self

    def released(self):
        (self.folder / "hold").unlink()
        return self

    def until(self, condition):
        """Wait for a condition while the run goes on."""
        end = time.monotonic() + LIMIT
        while not condition():
            assert time.monotonic() < end and self.process.poll() is None, f"it never came: {self.jobs()}"
            time.sleep(0.5)

    def start(self, *arguments):
        self.process = subprocess.Popen(
            ["snakemake", "--workflow-profile", "profiles/test", *arguments, *SMOKE],
            cwd=self.folder,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return self

    def end(self):
        try:
            self.output = self.process.communicate(timeout=LIMIT)[0]
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.output = self.process.communicate()[0] + f"\nno end after {LIMIT} s"
        (self.folder / "terminal.txt").write_text(self.output)
        return self

    def jobs(self):
        """Slurm's view of the jobs of this run, in order of submission."""
        fields = {"id": "%i", "rule": "%k", "state": "%T", "memory": "%m", "limit": "%l", "gres": "%b", "where": "%Z"}
        fields |= {"partition": "%P", "account": "%a"}
        out = subprocess.run(
            ["squeue", "--states=all", "--noheader", "--format", "|".join(fields.values())],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        rows = [dict(zip(fields, line.split("|"))) for line in out.splitlines()]
        rows = [row for row in rows if row["where"] == str(self.folder)]
        for row in rows:
            row["rule"] = re.sub(r"^rule_|_wildcards_.*", "", row["rule"])
        return sorted(rows, key=lambda row: int(row["id"]))

    def completed(self):
        """{job id: state} of this run in Slurm's job-completion log."""
        lines = [
            dict(re.findall(r"(\w+)=(\S*)", line)) for line in (CLUSTER / "completed.txt").read_text().splitlines()
        ]
        return {line["JobId"]: line["JobState"] for line in lines if line["WorkDir"] == str(self.folder)}

    def errors(self):
        return [line for line in self.output.splitlines() if re.search(r"error\b|exception|traceback", line, re.I)]

    def succeeded(self):
        assert self.process.returncode == 0, f"ended with {self.process.returncode}"
        assert not self.errors(), f"errors in the output of a run that succeeded: {self.errors()}"

    def failed_with_one_line(self, *parts):
        assert self.process.returncode == 1, f"ended with {self.process.returncode}"
        assert len(self.errors()) == 1, f"one line about the failure, not {self.errors()}"
        line = self.errors()[0]
        assert line.startswith("error: ") and "rule curate" in line, line
        assert all(part in line for part in parts), line
        logs = re.search(r"log (.*)\)$", line)[1].split(" and ")
        assert any((self.folder / log).is_file() for log in logs), f"no such log: {logs}"
        return line


def states(jobs, *keys):
    return [tuple(job[key] for key in ("state", *keys)) for job in jobs]


def smoke():
    """the smoke run gives the same tables as a local run"""
    local = copy_repository(CLUSTER / "local")
    with open(CLUSTER / "local.txt", "w") as out:
        command = ["snakemake", "--workflow-profile", "none", "--cores", "1", *SMOKE]
        here = subprocess.Popen(command, cwd=local, env=environment(), stdout=out, stderr=subprocess.STDOUT)
    run = Run("smoke").start().end()
    run.succeeded()
    assert here.wait(LIMIT) == 0, (CLUSTER / "local.txt").read_text()[-2000:]
    assert_same_tables(run.folder, local)
    jobs, done = run.jobs(), run.completed()
    assert {job["id"] for job in jobs} == set(done) and set(done.values()) == {"COMPLETED"}, done
    sent = Counter(job["rule"] for job in jobs)
    # the rest of the run's jobs are those that stay on the login node
    lines = [line for line in run.output.splitlines() if not line.startswith("Using workflow specific profile")]
    progress = [re.match(r"\[(\d+)/(\d+)\] ", line) for line in lines]
    assert all(progress), [line for line, match in zip(lines, progress) if not match]
    total = int(progress[-1][2])
    assert [int(match[1]) for match in progress] == list(range(1, total + 1))
    rules = " ".join(f"{rule}:{count}" for rule, count in sorted(sent.items()))
    return (
        f"{len(tables(local))} tables, equal byte for byte; {len(done)} of {total} jobs through sbatch ({rules}); "
        f"{len(lines)} lines on the terminal"
    )


def memory_retried():
    """a job killed for memory is sent again with more"""
    run = Run("memory_retried").start(CURATED, "--set-resources", "curate:mem_mb=100*attempt**3").end()
    run.succeeded()
    assert states(run.jobs(), "memory") == [("FAILED", "100M"), ("COMPLETED", "800M")], run.jobs()
    killed = f"[{run.jobs()[0]['id']}."
    slurmd = [line for line in (CLUSTER / "slurmd.log").read_text().splitlines() if killed in line]
    assert any("exceeded memory limit" in line for line in slurmd), "it was not Slurm that killed the job"
    again = [line for line in run.output.splitlines() if line.startswith("trying again: ")]
    assert len(again) == 1 and "for memory" in again[0]
    return "100 MB: killed by Slurm; 800 MB: completed; " + again[0]


def memory_reported():
    """a job killed for memory, without retries, is one line with its log"""
    run = Run("memory").start(CURATED, "--retries", "0", "--set-resources", "curate:mem_mb=100").end()
    line = run.failed_with_one_line("for memory", ".snakemake/slurm_logs/rule_curate/")
    assert states(run.jobs()) == [("FAILED",)]
    return line


def time_retried():
    """a job over its time limit is sent again with more time"""
    run = Run("time_retried").held().start(CURATED, "--set-resources", "curate:runtime=1+59*(attempt-1)")
    run.until(lambda: run.jobs() and run.jobs()[0]["state"] == "TIMEOUT")
    run.released().end()
    run.succeeded()
    assert states(run.jobs(), "limit") == [("TIMEOUT", "1:00"), ("COMPLETED", "1:00:00")], run.jobs()
    return "1 minute: TIMEOUT; 1 hour: completed"


def time_reported():
    """a job over its time limit, without retries, is one line with its log"""
    run = Run("time").held()
    run.start(CURATED, "--retries", "0", "--set-resources", "curate:runtime=1").end()
    line = run.failed_with_one_line("for time", ".snakemake/slurm_logs/rule_curate/")
    assert states(run.jobs()) == [("TIMEOUT",)]
    return line


def cancel(run):
    """scancel the job of a run once it computes."""
    run.until((run.folder / "held").exists)
    subprocess.run(["scancel", run.jobs()[0]["id"]], check=True)
    run.until(lambda: run.jobs()[0]["state"] == "CANCELLED")
    return run.released().end()


def cancel_retried():
    """a cancelled job is sent again, with twice the memory and time of its rule"""
    run = cancel(Run("cancel_retried").held().start(CURATED))
    run.succeeded()
    first, second = run.jobs()
    assert (first["state"], second["state"]) == ("CANCELLED", "COMPLETED")
    assert int(second["memory"][:-1]) == 2 * int(first["memory"][:-1]), (first, second)
    assert int(second["limit"].split(":")[0]) == 2 * int(first["limit"].split(":")[0]), (first, second)
    return f"{first['memory']}, {first['limit']} -> {second['memory']}, {second['limit']}"


def cancel_reported():
    """a cancelled job, without retries, is one line with its log"""
    run = cancel(Run("cancel").held().start(CURATED, "--retries", "0"))
    return run.failed_with_one_line("cancelled", ".snakemake/slurm_logs/rule_curate/")


def script_error():
    """what a script refuses is shown in its own words"""
    run = Run("refused")
    with open(run.folder / "resources/benchmark/train.extxyz", "a") as file:
        file.write(" ")
    return run.start(CURATED, "--retries", "0").end().failed_with_one_line("train.extxyz", "log logs/curate.log")


def submission_error():
    """what sbatch refuses is shown in its own words"""
    run = Run("partition").start(CURATED, "--retries", "0", "--default-resources", "slurm_partition=nowhere").end()
    assert run.process.returncode == 1 and run.jobs() == []
    assert len(run.errors()) == 1 and "invalid partition" in run.errors()[0], run.errors()
    return run.errors()[0]


def site_lines():
    """the lines of the profile that a site fills in reach Slurm: partition, account, GPU, groups"""
    targets = ["results/models/supervised/seed0/weights.pt", "results/prior/test.h5"]
    run = Run("site", site_lines=True).start(*targets).end()
    run.succeeded()
    asked = {job["rule"]: job for job in run.jobs()}
    expected = ["augment", "check_labels", "curate", "gather_prior", "gather_prior", "prior_label_prior", "train_model"]
    assert sorted(job["rule"] for job in run.jobs()) == expected
    assert set(run.completed().values()) == {"COMPLETED"}
    assert {job["partition"] for job in asked.values()} == {"compute"}
    assert {job["account"] for job in asked.values()} == {"project"}
    assert "gpu:1" in asked["train_model"]["gres"] and "gpu" not in asked["curate"]["gres"], asked
    gres = asked["train_model"]["gres"]
    return f"train_model asked for {gres}, curate for none; compute, account project; four shards were one job"


CHECKS = [
    smoke,
    time_retried,
    time_reported,
    memory_retried,
    memory_reported,
    cancel_retried,
    cancel_reported,
    script_error,
    submission_error,
    site_lines,
]


def outcome(check):
    """(whether it passed, one line) of a check."""
    start = time.monotonic()
    try:
        passed, text = True, check()
    except Exception as error:
        passed, text = False, f"{type(error).__name__}: {error}"
    return passed, f"{'ok  ' if passed else 'FAIL'} {time.monotonic() - start:4.0f} s  {check.__doc__}: {text}"


def main():
    # most of them wait for Slurm most of the time
    with ThreadPoolExecutor(max_workers=4) as pool:
        passed = []
        for result in pool.map(outcome, CHECKS):
            passed.append(result[0])
            print(result[1], flush=True)
    print(f"{sum(passed)} of {len(passed)} checks passed", flush=True)
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
