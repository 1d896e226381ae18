"""Terminal output of a run: one line per job, failures at the end, nothing lost."""

import io
import logging
from enum import Enum

from mlipshift.console import Console, failure

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


def test_a_silent_death_names_rule_and_log(tmp_path):
    assert "rule train, log gone.log" in failure("train", ["gone.log"])
    assert "rule train)" in failure("train", [])
