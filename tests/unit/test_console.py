"""Terminal output of a run: one line per job, failures at the end, nothing lost."""

import io
import logging
from enum import Enum

import pytest

from mlipshift.run.console import Console, failure

Event = Enum("Event", ["RUN_INFO", "JOB_INFO", "JOB_ERROR", "JOB_FINISHED", "SHELLCMD"])


def record(text, level=logging.INFO, **extra):
    made = logging.LogRecord("snakemake", level, "", 0, text, None, None)
    made.__dict__.update(extra)
    return made


def test_progress_is_one_line_per_job():
    out = io.StringIO()
    console = Console(out)
    assert not console.filter(record("Job stats", event=Event.RUN_INFO, stats={"total": 2}))
    for text in ("Do this\n  now.", None):
        assert not console.filter(record("job", event=Event.JOB_INFO, rule_msg=text, rule_name="second"))
    assert not console.filter(record("x", event=Event.JOB_FINISHED))
    assert out.getvalue() == "[1/2] Do this now.\n[2/2] second\n"


def test_chatter_is_dropped_and_what_is_unknown_is_kept():
    console = Console(io.StringIO())
    for text in ("Building DAG of jobs...", "Select jobs to execute...", "Complete log(s): /x"):
        assert not console.filter(record(text))
    for text in ("Nothing to be done", "MissingInputException"):
        assert console.filter(record(text, logging.ERROR))


def test_what_snakemake_says_in_several_lines_becomes_one():
    for text in (
        "LockException:\nError: Directory cannot be locked. Please ...",
        "WorkflowError:\nError recording metadata ([Errno 28] No space left on device). Please ...",
    ):
        out = io.StringIO()
        console = Console(out)
        for _ in range(2):
            assert not console.filter(record(text, logging.ERROR))
        console.summary()
        assert out.getvalue().count("\n") == 1 and out.getvalue().startswith("error: ")


def test_failures_come_at_the_end_once_each(tmp_path):
    log = tmp_path / "a.log"
    log.write_text("10:00 started\n10:01 error: this file is bad; mend it\n")
    out = io.StringIO()
    console = Console(out)
    for job in (1, 2):
        console.filter(record("x", event=Event.JOB_ERROR, jobid=job, rule_name="curate", log=[str(log)]))
    assert out.getvalue() == ""
    console.summary()
    assert out.getvalue() == f"error: this file is bad; mend it (rule curate, log {log})\n"


def test_warnings_of_a_job_come_when_it_has_ended_those_of_several_files_in_one_line(tmp_path):
    log = tmp_path / "curate.log"
    said = [f"{name}.npz: no charge in it" for name in "abcc"] + ["a.npz: read in eV", "without a file"]
    log.write_text("".join(f"2026-01-01 10:00:00,000 warning: {text}\n" for text in said) + "10:01 a warning\n")
    out = io.StringIO()
    console = Console(out)
    console.filter(record("x", event=Event.JOB_INFO, jobid=1, rule_msg="Curate.", rule_name="curate", log=[str(log)]))
    assert out.getvalue() == "[1/1] Curate.\n"
    for _ in range(2):
        console.filter(record("x", event=Event.JOB_FINISHED, job_id=1))
    assert out.getvalue().splitlines()[1:] == [
        "warning: a.npz and 2 more files: no charge in it",
        "warning: a.npz: read in eV",
        "warning: without a file",
    ]


def test_a_silent_death_names_rule_and_log(tmp_path):
    assert "perhaps killed for memory or time (rule train, log gone.log)" in failure("train", ["gone.log"])
    assert "rule train)" in failure("train", [])


@pytest.mark.parametrize(
    ("status", "log", "said"),
    [
        (2, "usage: predict.py [-h]\npredict.py: error: unrecognized arguments: w v1.txt\n", "unrecognized arguments"),
        (2, "python: can't open file '/my': [Errno 2]\n", "error: python: can't open file '/my': [Errno 2] (rule"),
        (1, "Traceback ...\nModuleNotFoundError: No module named 'mace'\n\n", "error: ModuleNotFoundError: No module"),
        (127, "/usr/bin/bash: line 1: pythn: command not found\n", "error: /usr/bin/bash: line 1: pythn: command not"),
        (137, "", "ended by SIGKILL, perhaps for memory (rule"),
        (137, "2026-11-23 08:00:01,123 epoch 3\nbash: line 1: 77 Killed  python\n", "its last words: epoch 3 (rule"),
        (139, "epoch 3\n", "ended by SIGSEGV; its last words: epoch 3"),
        (3, "", "ended with exit status 3 and without a message"),
    ],
)
def test_the_true_last_line_of_a_failed_program_is_shown(tmp_path, status, log, said):
    """The status stands in another record than the failure, beside the command."""
    path, out = tmp_path / "a.log", io.StringIO()
    path.write_text(log)
    console = Console(out)
    command = f"python a.py --log {path} >> {path} 2>&1"
    text = f"RuleException:\nCalledProcessError in file x, line 3:\nCommand 'set -euo pipefail;  {command}' returned"
    assert not console.filter(record(f"{text} non-zero exit status {status}.", logging.ERROR))
    about = {"jobid": 1, "rule_name": "train", "log": [str(path)], "shellcmd": command}
    console.filter(record("x", event=Event.JOB_ERROR, **about))
    console.summary()
    line = out.getvalue()
    assert said in line and line.count("\n") == 1 and line.startswith("error: ")
    assert ("memory" in line) == (status == 137)


def test_a_stopped_run_says_so_and_nothing_of_the_jobs_that_it_stopped():
    out = io.StringIO()
    console = Console(out)
    console.stop("SIGTERM")
    console.filter(record("x", event=Event.JOB_ERROR, jobid=1, rule_name="train", log=[]))
    console.summary()
    assert out.getvalue() == "stopped by SIGTERM; the same command goes on from here\n"


def test_a_run_that_finds_nothing_to_do_names_its_report():
    out = io.StringIO()
    console = Console(out)
    assert console.filter(record("Nothing to be done (all requested files are present and up to date)."))
    console.made = lambda: ["results/mine/report.html"]
    assert not console.filter(record("Nothing to be done (all requested files are present and up to date)."))
    assert out.getvalue() == "Nothing to be done, up to date: results/mine/report.html\n"


REMOTE = "SLURM-job '7' failed, SLURM status is: '{}'. For further error details see the cluster/cloud log and ..."


@pytest.mark.parametrize(
    ("status", "cluster_log", "said"),
    [
        ("FAILED", "slurmstepd-n1: error: StepId=7.0 exceeded memory limit (9 > 8), being killed", "for memory"),
        ("OUT_OF_MEMORY", "", "for memory"),
        ("TIMEOUT", "slurmstepd-n1: error: *** JOB 7 ON n1 CANCELLED AT 12:00 DUE TO TIME LIMIT ***", "for time"),
        ("CANCELLED", "slurmstepd-n1: error: *** JOB 7 ON n1 CANCELLED AT 12:00 ***", "somebody cancelled it"),
        ("NODE_FAIL", "", "its node failed"),
        ("FAILED", "srun: error: n1: task 0: Exited with exit code 1", "error: bad file; mend it"),
    ],
)
def test_a_failure_on_a_cluster_is_one_line_with_reason_and_logs(tmp_path, status, cluster_log, said):
    logs = [tmp_path / "rule.log", tmp_path / "slurm.log"]
    logs[0].write_text("10:01 error: bad file; mend it\n")
    logs[1].write_text(cluster_log + "\nsrun: error: n1: task 0: Killed\n")
    line = failure("curate", [str(path) for path in logs], REMOTE.format(status))
    assert said in line and "rule curate" in line and "rule.log" in line and "\n" not in line
    assert ("slurm.log" in line) == (status != "FAILED" or "memory" in said)


def test_a_refused_submission_is_shown_without_the_command():
    message = "SLURM sbatch failed. The error message was 'invalid partition'.\n    sbatch call:\n   sbatch -p x\n"
    line = failure("curate", ["a.log"], message + REMOTE.partition(". ")[2])
    assert "invalid partition" in line and "-p x" not in line and "\n" not in line


def test_what_a_retry_mends_is_no_failure_of_the_run():
    out = io.StringIO()
    console = Console(out)
    started = record("job", event=Event.JOB_INFO, rule_msg="Do this.", rule_name="curate")
    console.filter(started)
    console.filter(record("x", event=Event.JOB_ERROR, jobid=3, rule_name="curate", log=[]))
    assert not console.filter(record("Trying to restart job 3."))
    console.filter(started)
    console.summary()
    lines = out.getvalue().splitlines()
    assert lines[0] == lines[2] == "[1/1] Do this."  # not a further job
    assert lines[1].startswith("trying again: ") and "rule curate" in lines[1] and len(lines) == 3


def test_a_group_of_jobs_that_is_tried_again_leaves_no_failures():
    out = io.StringIO()
    console = Console(out)
    for job in (3, 4):
        console.filter(record("x", event=Event.JOB_ERROR, jobid=job, rule_name="label_prior", log=[]))
    assert not console.filter(record("Trying to restart job 816f3a2b-0a24-56ba."))
    console.filter(record("x", event=Event.JOB_FINISHED, job_id=3))
    console.summary()
    assert [line.split(":")[0] for line in out.getvalue().splitlines()] == ["trying again", "error"]
    console.filter(record("x", event=Event.JOB_FINISHED, job_id=4))
    assert console.failures == {}
