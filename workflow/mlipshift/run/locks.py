"""Runs that are killed: locks they leave behind, and jobs that outlive them.

Snakemake locks its working directory with files, which a SIGKILL leaves behind, and its local jobs go on for a
while without it. Here every live run holds a lock of the operating system, which ends with the process.
"""

import fcntl
import os
import platform
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TextIO

RUN = "MLIPSHIFT_RUN"  # host and process of the run that a local job belongs to
PERIOD = 1.0  # s


def clear_stale_locks(directory: Path | str = ".snakemake") -> TextIO:
    """Remove Snakemake's lock files unless another run is alive here; returns the lock to hold until the end.

    Where the file system has no such locks, nothing is removed and `snakemake --unlock` stays the way out.
    """
    directory = Path(directory)
    directory.mkdir(exist_ok=True)
    handle = open(directory / "mlipshift.lock", "a")  # noqa: SIM115, held until the process ends
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        pass
    else:
        for path in (directory / "locks").glob("*.lock"):
            path.unlink(missing_ok=True)
    with suppress(OSError):
        # shared: a dry run or a linter beside a run is no conflict, but keeps others from removing locks
        fcntl.flock(handle, fcntl.LOCK_SH)
    return handle


def announce() -> None:
    """Tell the local jobs which run they belong to."""
    os.environ[RUN] = f"{platform.node()} {os.getpid()}"


def end_with_the_run() -> None:
    """End this process soon after the run that started it has gone; cluster jobs go on without theirs."""
    host, _, pid = os.environ.get(RUN, "").partition(" ")
    if not pid or host != platform.node() or "SLURM_JOB_ID" in os.environ:
        return

    def watch():
        while Path(f"/proc/{pid}").exists():
            time.sleep(PERIOD)
        os._exit(1)

    if Path("/proc/self").exists():
        threading.Thread(target=watch, daemon=True).start()
