"""Locks of a run: one folder of results is the work of one run at a time, whatever happens to others beside it.

Snakemake locks with files, which a SIGKILL leaves behind and which every run that ends here takes from all others.
These are locks of the operating system, which end with the process; between the nodes of a cluster they hold where
the file system passes them on (NFS does).
"""

import errno
import fcntl
import hashlib
import os
import platform
import time
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TextIO

from mlipshift.base.errors import UserError

OWN = Path(".snakemake", "mlipshift")  # what this workflow remembers in the working directory
PATIENCE, PERIOD = 60.0, 0.1  # s
BUSY = (errno.EWOULDBLOCK, errno.EACCES)
_held: list[TextIO] = []  # until the process ends


def available(folder: Path | str = OWN) -> bool:
    """Whether the file system of a folder, made if need be, has locks."""
    try:
        _lock(Path(folder, "lock"), fcntl.LOCK_SH)
    except OSError:
        return False
    return True


def hold(results: Path | str, written: Iterable[str] = (), read: Iterable[str] = ()) -> None:
    """Keep a folder of results, and files outside it, for this process alone until it ends.

    written, read: paths that all runs of a working directory share, such as downloads; several may read. Waits for
    the jobs of a killed run, which end soon. Raises UserError if another run is at work; without locks nothing happens.
    """
    own = Path(results, ".lock")
    wanted = [(own, str(results), fcntl.LOCK_EX)]
    wanted += [(_shared(path), path, fcntl.LOCK_EX) for path in sorted(set(written))]
    wanted += [(_shared(path), path, fcntl.LOCK_SH) for path in sorted(set(read) - set(written))]
    for file, what, kind in wanted:
        try:
            handle = _lock(file, kind)
        except BlockingIOError:
            who = file.read_text().strip() or "which reads them"
            raise UserError(
                f"another run is at work on these files: {what} ({who}); wait until it has ended, or give this run a "
                "name of its own (setting run)"
            ) from None
        except OSError:
            continue
        _held.append(handle)
        if kind == fcntl.LOCK_EX:
            handle.truncate(0)
            since = f"{datetime.now():%d %b %H:%M}"
            print(f"process {os.getpid()} on {platform.node()}, since {since}", file=handle, flush=True)
    _wait_for_jobs(jobs_of(results))


def jobs_of(results: Path | str) -> Path:
    """The file that every local job of a folder of results holds while it runs."""
    return Path(results, ".jobs.lock")


def join(path: Path | str) -> None:
    """Hold a file together with others, as a job does until it ends; nothing without locks."""
    with suppress(OSError):
        _held.append(_lock(Path(path), fcntl.LOCK_SH))


def _wait_for_jobs(path):
    """Until no job of a run that is gone can write any more."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            _lock(path, fcntl.LOCK_EX).close()
            return
        except BlockingIOError:
            pass
        except OSError:
            return
        if time.monotonic() > deadline:
            raise UserError(f"jobs of a run that was killed still write to {path.parent}; end them, or wait")
        time.sleep(PERIOD)


def _shared(path):
    """The lock file of a path that several runs use."""
    return OWN / f"{hashlib.sha256(os.path.abspath(path).encode()).hexdigest()[:16]}.lock"


def _lock(path, kind):
    """A file, made if need be, locked.

    Raises BlockingIOError where others hold it, another OSError where there are no locks.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = open(path, "a")  # noqa: SIM115, held until the process ends
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except OSError as error:
        handle.close()
        raise (BlockingIOError() if error.errno in BUSY else error) from None
    return handle
