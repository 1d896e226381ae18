"""What a run shows on the terminal: one line per job, its warnings, and at the very end one line per failed job.

Works on the log records of Snakemake by their attributes, without importing Snakemake; what is not known
here passes unchanged, so that no message is lost.
"""

import atexit
import logging
import os
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from mlipshift.base.files import NO_SPACE
from mlipshift.base.log import RELAY, WARNING

CHATTER = re.compile(
    r"Assuming unrestricted|Building DAG|Using shell|Provided cores|Rules claiming|Select jobs|Execute \d|"
    r"Config file .* is (extended|replaced)|host: |Shutting down|Exiting because|Complete log|Elapsed time|"
    r"RuleException:\s*CalledProcessError|Conda environments: ignored|Retrieving|"
    r"Removing output|Ignore corrupted or currently written|Will exit after|Terminating|"
    r"SLURM run ID|No SLURM account|No account was given|Unable to guess SLURM|Guessed SLURM|Cleaning up SLURM|"
    r"Job \S+ has been submitted|Submitted (array )?job |Array job submission does not|Exception in run_job|"
    r"(WorkflowError:\s*)?At least one job did not complete"
)
FULL = f"error: {NO_SPACE}"
# what Snakemake says in several lines -> one
CAUSES = {
    "LockException": "error: another run is at work on these files in this folder; wait until it has ended, or give "
    "this run a name of its own (setting run)",
    "No space left on device": FULL,
    "Disk quota exceeded": FULL,
}
SPACE = 2**16  # bytes
RESTART = re.compile(r"Trying to restart job (\S+)\.")
# what a cluster says in the status or the log of a job -> what that means
ENDED = {
    r"exceeded memory limit|oom.kill|OUT_OF_MEMORY": "for memory: it used more than it asked for (mem_mb)",
    r"DUE TO TIME LIMIT|TIMEOUT": "for time: it ran past its time limit (runtime)",
    r"NODE_FAIL|BOOT_FAIL|PREEMPTED": "because its node failed or was taken away",
    r"\bCANCELLED\b": "because somebody cancelled it",
}
QUIET_EVENTS = {
    "WORKFLOW_STARTED",
    "RUN_INFO",
    "RESOURCES_INFO",
    "SHELLCMD",
    "JOB_STARTED",
    "JOB_FINISHED",
    "PROGRESS",
    "GROUP_INFO",
    "GROUP_ERROR",
}


class Console:
    """Log filter that prints progress by itself and keeps failures for the end."""

    def __init__(self, stream: TextIO = sys.stderr):
        self.stream, self.total, self.started = stream, 0, 0
        self.failures: dict[int | str | None, str] = {}  # by number of the job, or by cause
        self.logs: dict[int | None, list[str]] = {}  # by number of the job

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the default handler is to print a record."""
        about: Any = record  # with the attributes that Snakemake gives it
        event = getattr(getattr(record, "event", None), "name", None)
        if event == "RUN_INFO":
            self.total = about.stats.get("total", 0)
        elif event == "JOB_INFO":
            self.started += 1
            text = " ".join((about.rule_msg or about.rule_name).split())
            print(f"[{self.started}/{max(self.total, self.started)}] {text}", file=self.stream, flush=True)
            self.logs[getattr(record, "jobid", None)] = list(getattr(record, "log", None) or [])
            return False
        elif event == "JOB_ERROR":
            message = getattr(record, "rule_msg", None)
            self.failures[about.jobid] = failure(about.rule_name, list(about.log or []), message)
            return False
        elif event == "JOB_FINISHED":
            job = getattr(record, "job_id", None)
            self.failures.pop(job, None)  # of a group, that is tried again as a whole
            for line in warnings(self.logs.pop(job, [])):
                print(line, file=self.stream, flush=True)
        text = record.getMessage().strip()
        for cause, line in CAUSES.items():
            if cause in text:
                self.failures[cause] = line
                return False
        restart = RESTART.match(text)
        if restart:
            # what a retry mends is no failure of the run, and no further job
            self.started -= 1
            job = int(restart[1]) if restart[1].isdecimal() else None  # a group of jobs has no number
            reason = self.failures.pop(job, "a group of jobs failed").removeprefix("error: ")
            print(f"trying again: {reason}", file=self.stream, flush=True)
            return False
        return event not in QUIET_EVENTS and not CHATTER.match(text)

    def summary(self) -> None:
        """Print one line per distinct failure; a full disk, which all jobs meet, counts once."""
        lines = {FULL if line.startswith(FULL) else line: line for line in self.failures.values()}
        for line in lines.values():
            print(line, file=self.stream, flush=True)


def failure(rule: str, logs: list[Path | str], message: str | None = None) -> str:
    """One line on a failed job: why a cluster ended it, the last `error:` line of its logs, or where to look.

    logs: paths, that of the cluster's own log last; message: what the executor says, which ends with a reference
    to that log if the job was on a cluster.
    """
    told, remote, _ = (message or "").partition("For further error details see the cluster")
    texts = [Path(path).read_text(errors="replace") if Path(path).exists() else "" for path in logs]
    paths = [str(path).removeprefix(os.getcwd() + os.sep) for path in logs]
    where = f"rule {rule}" + (f", log {paths[0]}" if paths else "")
    everywhere = f"rule {rule}" + (f", log {' and '.join(paths)}" if paths else "")
    if remote:
        said = told + "".join(texts[-1:])
        for pattern, reason in ENDED.items():
            if re.search(pattern, said):
                return f"error: the cluster ended the job {reason} ({everywhere})"
    for text in texts:
        # srun's remarks on a dead process say no reason
        found = [line.split("error: ", 1)[1] for line in text.splitlines() if re.match(r"(?!srun:).*error: ", line)]
        if found:
            return f"error: {found[-1]} ({where})"
    # the log itself may be what did not fit
    if shutil.disk_usage(".").free < SPACE:
        return f"{FULL} ({where})"
    if remote and told and "status is" not in told:
        return f"error: {' '.join(told.partition('sbatch call:')[0].split())} ({everywhere})"
    return f"error: a job ended without a message, perhaps killed for memory or time ({everywhere})"


def warnings(logs: Sequence[Path | str]) -> list[str]:
    """The warnings in the logs of a job, each once; what is said of several files is one line, with the first one."""
    files: dict[str, list[str]] = {}
    for path in filter(os.path.exists, logs):
        for line in Path(path).read_text(errors="replace").splitlines():
            text = line.partition(f" {WARNING}")[2]
            if text:
                file, _, said = text.partition(": ") if ": " in text else ("", "", text)
                files.setdefault(said, []).append(file)
    lines = []
    for said, names in files.items():
        first, *others = dict.fromkeys(names)
        more = f" and {len(others)} more files" if len(others) > 1 else f" and {others[0]}" if others else ""
        lines.append(f"{WARNING}{first}{more}: {said}" if first else f"{WARNING}{said}")
    return lines


def prepare_jobs(library: Path | str) -> None:
    """Environment that jobs inherit: the library, one thread each, this Python unless conda has one."""
    os.environ["PYTHONPATH"] = str(library)
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[variable] = "1"


def install(logger: logging.Logger) -> None:
    """Put a Console on Snakemake's default stream handler; jobs then leave their errors to it."""
    console = Console()
    for handler in logger.handlers:
        if handler.name == "DefaultStreamHandler":
            handler.addFilter(console)
    os.environ[RELAY] = "1"
    logging.raiseExceptions = False  # Snakemake's own log on a full disk
    atexit.register(console.summary)
