"""The log of a job, and its progress."""

import logging
import os
import sys
from collections.abc import Iterable, Iterator

log = logging.getLogger("mlipshift")

RELAY = "MLIPSHIFT_RELAY"  # set while a workflow run shows the error and warning lines of the logs itself
WARNING = "warning: "  # what a line for the terminal begins with


def warn(text: str) -> None:
    """Write a line that does not end the job but has to reach the user: to the log, and in a run to the terminal."""
    log.warning("%s%s", WARNING, " ".join(text.split()))


def progress(iterable: Iterable, total: int, what: str) -> Iterator:
    """The items of an iterable of `total`, with a tqdm bar on a terminal.

    Otherwise, and within a workflow run, a line in the log at every tenth of them.
    """
    from tqdm import tqdm

    if sys.stderr.isatty() and not os.environ.get(RELAY):
        yield from tqdm(iterable, total=total, desc=what)
        return
    step = max(1, total // 10)
    for k, item in enumerate(iterable, 1):
        yield item
        if k % step == 0 or k == total:
            log.info("%s: %d of %d", what, k, total)
