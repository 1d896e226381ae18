"""Processes of a run: none outlives it, whatever ends it, a closed terminal or a SIGKILL included."""

import ctypes
import os
import platform
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from mlipshift.run import locks

RUN = "MLIPSHIFT_RUN"  # host, process and start of the run that a local job belongs to, and the lock of its jobs
PERIOD = 0.5  # s
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
JOB = "workflow/scripts/"  # in the command line of every local job, and of no call of a cluster
LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
PR_SET_PDEATHSIG = 1


def announce(results: Path | str) -> None:
    """Tell the local jobs which run they belong to, and where its results are."""
    lock = locks.jobs_of(results).absolute()
    os.environ[RUN] = f"{platform.node()} {os.getpid()} {_start(os.getpid())} {lock}"


def stop_on_signals(tell: Callable[[str], None]) -> None:
    """Let SIGINT, SIGTERM and SIGHUP stop this run with its jobs; what is ignored, by nohup for one, stays so.

    tell: gets the name of the signal. A second signal ends the process at once.
    """

    def stop(number, _):
        for name in STOPS:
            signal.signal(name, signal.SIG_DFL)
        tell(signal.Signals(number).name)
        for _ in range(5):  # with those that were just about to start
            end_descendants(signal.SIGTERM, JOB)
            time.sleep(PERIOD / 5)
        raise KeyboardInterrupt

    for name in STOPS:
        if signal.getsignal(name) != signal.SIG_IGN:
            signal.signal(name, stop)


def end_with_the_run() -> None:
    """End this job and all its children when the run that started it has gone; cluster jobs go on without theirs."""
    host, pid, start, lock = (os.environ.get(RUN, "").split(" ", 3) + [""] * 4)[:4]
    if not pid or host != platform.node() or "SLURM_JOB_ID" in os.environ:
        return
    locks.join(lock)
    try:
        run = os.pidfd_open(int(pid))
    except (OSError, AttributeError):  # gone already, or another system
        run = None
    alive = lambda: _start(int(pid)) == start

    def watch():
        while alive():
            if run is None:
                time.sleep(PERIOD)
            else:
                select.select([run], [], [])
        end_descendants(signal.SIGKILL)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def end_with_parent() -> None:
    """End this process when the one that started it does: for the workers of a job (Linux; elsewhere nothing)."""
    if LIBC:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def end_descendants(number: signal.Signals, like: str = "") -> None:
    """Send a signal to the children of this process whose command line has a text in it, and to all of theirs."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*"):
        fields = _stat(path.name)
        if fields:
            children.setdefault(int(fields[1]), []).append(int(path.name))
    waiting = [pid for pid in children.get(os.getpid(), []) if like in _read(pid, "cmdline")]
    while waiting:
        pid = waiting.pop()
        waiting += children.get(pid, [])
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _start(pid):
    """When a process started; empty if there is none. Tells a process from a later one of the same number."""
    fields = _stat(pid)
    if fields:
        return "" if fields[0] == "Z" else fields[19]
    if sys.platform == "linux":
        return ""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    return "-"


def _stat(pid):
    """Fields of a process from its state on, as Linux has them; empty if there is none."""
    return _read(pid, "stat").rpartition(") ")[2].split()


def _read(pid, name):
    """What Linux says of a process; empty if there is none."""
    try:
        return Path(f"/proc/{pid}/{name}").read_text(errors="replace")
    except OSError:
        return ""
