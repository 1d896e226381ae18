"""Output files that are whole or not there."""

import errno
import os
from contextlib import contextmanager
from pathlib import Path

NO_SPACE = "no space left on the disk, or a quota is used up; free some and run again"
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def replacing(path):
    """Path of a file to write beside `path`; it takes the place of `path` when the block ends without an error.

    After an error, a full disk for one, the old file is as it was and the half-written one is gone; a kill leaves
    at most NAME.part, which the next call overwrites.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    try:
        yield part
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def disk_is_full(error):
    """Whether an exception says that the disk, the quota or the allowed file size is used up (HDF5 only says so)."""
    if isinstance(error, OSError) and error.errno in FULL:
        return True
    return isinstance(error, OSError | RuntimeError) and any(f"errno = {code}," in str(error) for code in FULL)
