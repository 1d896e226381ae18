"""The table of docs/reruns.md, and what a dry run says."""

import os
import re
from contextlib import contextmanager

from clone import ROOT


def documented():
    """{what has changed: rules that run again first} of the table."""
    table = re.search(r"\| what has changed \|.*?\n\n", (ROOT / "docs/reruns.md").read_text(encoding="utf-8"), re.S)[0]
    rows = [row.strip("| \n").split(" | ") for row in table.strip().splitlines()[2:]]
    return {changed: set(re.findall(r"`(\w+)`", again)) for changed, again in rows}


def planned(process):
    """{rule: count} of a dry run."""
    table = re.search(r"job\s+count\n-+\s+-+\n(.*?)\n\n", process.stdout + process.stderr, re.S)
    return {} if table is None else {r.split()[0]: int(r.split()[1]) for r in table.group(1).splitlines()}


def first(process):
    """Rules that a dry run would run for a reason of their own, not since another job runs."""
    said = process.stdout + process.stderr
    reasons = re.search(r"^Reasons:\n(.*?)(?:\n\S|\Z)", said, re.S | re.M)
    if reasons is None:
        assert "Nothing to be done" in said, said
        return set()
    found, reason = set(), ""
    for line in reasons[1].splitlines()[1:]:
        if not line.startswith(" " * 8):
            reason = line.strip()
        elif reason != "input files updated by another job:":
            found |= set(line.replace(",", " ").split())
    return found


@contextmanager
def edited(path, change, older=False):
    """A file with other content, which may be older than any result; content and times are put back."""
    content, times = path.read_bytes(), path.stat()
    path.write_bytes(change(content))
    if older:
        os.utime(path, (1e9, 1e9))
    yield
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
