"""What a run shows on the terminal: one line per job, its warnings, and at the very end one line per failed job.

Works on the log records of Snakemake by their attributes, without importing Snakemake; what is not known
here passes unchanged, so that no message is lost.
"""

import atexit
import logging
import os
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TextIO

from mlipshift.base.errors import shortened
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
CACHES = Path(".snakemake", "caches")  # where there is no home that can be written
RESTART = re.compile(r"Trying to restart job (\S+)\.")
STATUS = re.compile(r"CalledProcessError.*?Command '(.*)' returned non-zero exit status (\d+)\.", re.S)
# what stands before the words of a log line, and lines of a shell on a dead process, which the exit status says better
STAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(,\d+)? ")
OBITUARY = re.compile(r"\S*bash: line \d+: +\d+ ")
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
        self.made: Callable[[], list[str]] = list  # reports of a run that finds nothing to do
        self.failures: dict[int | str | None, str] = {}  # by number of the job, or by cause
        self.statuses: dict[str, int] = {}  # by command
        self.logs: dict[int | None, list[str]] = {}  # by number of the job
        self.stopped = False

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
            message, command = getattr(record, "rule_msg", None), (getattr(record, "shellcmd", None) or "").strip()
            status = next((code for text, code in self.statuses.items() if command and text.endswith(command)), None)
            self.failures[about.jobid] = failure(about.rule_name, list(about.log or []), message, status)
            return False
        elif event == "JOB_FINISHED":
            job = getattr(record, "job_id", None)
            self.failures.pop(job, None)  # of a group, that is tried again as a whole
            for line in warnings(self.logs.pop(job, [])):
                print(line, file=self.stream, flush=True)
        text = record.getMessage().strip()
        status = STATUS.search(text)
        if status:
            self.statuses[status[1].strip()] = int(status[2])
        made = self.made() if text.startswith("Nothing to be done") else []
        if made:
            print(f"Nothing to be done, up to date: {', '.join(made)}", file=self.stream, flush=True)
            return False
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

    def stop(self, name: str) -> None:
        """Say that a signal of this name stopped the run; what fails from now on is no news."""
        self.stopped = True
        print(f"stopped by {name}; the same command goes on from here", file=self.stream, flush=True)

    def summary(self) -> None:
        """Print one line per distinct failure; a full disk, which all jobs meet, counts once."""
        if self.stopped:
            return
        lines = {FULL if line.startswith(FULL) else line: line for line in self.failures.values()}
        for line in lines.values():
            print(line, file=self.stream, flush=True)


def failure(rule: str, logs: list[Path | str], message: str | None = None, status: int | None = None) -> str:
    """One line on a failed job: why a cluster ended it, the last `error:` line of its logs, or how it ended.

    logs: paths, that of the cluster's own log last; message: what the executor says, which ends with a reference
    to that log if the job was on a cluster; status: exit status of the job's shell, if it is known.
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
    return f"error: {_end(status, texts)} ({everywhere})"


def _end(status, texts):
    """How a job ended that says no error itself: its signal, its last words."""
    lines = [STAMP.sub("", line).strip() for text in texts for line in text.splitlines()]
    last = next((shortened(line, 300) for line in reversed(lines) if line and not OBITUARY.match(line)), "")
    number = (status or 0) - 128
    if number > 0:
        name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
        reason = ", perhaps for memory" if number == signal.SIGKILL else ""
        return f"a job was ended by {name}{reason}" + (f"; its last words: {last}" if last else "")
    if last:
        return last
    if status:
        return f"a job ended with exit status {status} and without a message"
    return "a job ended without a message, perhaps killed for memory or time"


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
    """Environment that jobs inherit: the library, one thread each, this Python unless conda has one, writable caches.

    What the user has on PYTHONPATH stays, behind the library: a calculator of theirs may be there.
    """
    given = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path and path != str(library)]
    os.environ["PYTHONPATH"] = os.pathsep.join([str(library), *given])
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[variable] = "1"
    if not _writable(os.path.expanduser("~")):
        _prepare_caches(CACHES.absolute())


def _prepare_caches(folder):
    """Caches of libraries in a folder; one that is there already, of downloaded weights for one, goes on being read."""
    os.environ.setdefault("MPLCONFIGDIR", str(folder / "matplotlib"))
    if not os.path.isdir(os.path.expanduser("~/.cache")):
        os.environ.setdefault("XDG_CACHE_HOME", str(folder))


def _writable(folder):
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True


def install(logger: logging.Logger) -> Console:
    """Put a Console on Snakemake's default stream handler; jobs then leave their errors to it."""
    console = Console()
    for handler in logger.handlers:
        if handler.name == "DefaultStreamHandler":
            handler.addFilter(console)
    os.environ[RELAY] = "1"
    logging.raiseExceptions = False  # Snakemake's own log on a full disk
    atexit.register(console.summary)
    return console


def module_folders() -> list[str]:
    """Folders in which the jobs look for modules beside those of their environment, see `prepare_jobs`."""
    return os.environ["PYTHONPATH"].split(os.pathsep)
