"""The log of a job, and its progress."""

import logging
import os
import sys

log = logging.getLogger("mlipshift")


RELAY = "MLIPSHIFT_RELAY"  # set while a workflow run shows the error lines of the logs itself


def progress(iterable, total, what):
    """tqdm bar on a terminal, a log line every tenth otherwise and within a workflow run."""
    from tqdm import tqdm

    if sys.stderr.isatty() and not os.environ.get(RELAY):
        yield from tqdm(iterable, total=total, desc=what)
        return
    step = max(1, total // 10)
    for k, item in enumerate(iterable, 1):
        yield item
        if k % step == 0 or k == total:
            log.info("%s: %d of %d", what, k, total)
