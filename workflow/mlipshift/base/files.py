"""What a path of the settings means, and output files that are whole or not there."""

import errno
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from glob import glob, has_magic
from pathlib import Path

from mlipshift.base.errors import UserError

NO_SPACE = "no space left on the disk, or a quota is used up; free some and run again"
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def expanded(path: Path | str, base: Path | str = ".") -> str:
    """A path as a user writes it, with `~`; a relative one is of the working directory, or else of the folder `base`.

    base: where the file is that names the path. What is in neither stays as it is.
    """
    path = os.path.expanduser(path)
    beside = os.path.join(base, path)
    return beside if os.path.exists(beside) and not os.path.exists(path) else path


def matching(path: Path | str) -> list[str]:
    """Paths that one of the settings means: a pattern (* ? [...], ** for any depth) is what matches it, sorted.

    Hidden files match nothing. What exists under its very name is meant by it, whatever letters that has. A path
    without a pattern is given back whether it is there or not. Raises UserError for a pattern that nothing matches.
    """
    root, names = Path(), list(Path(expanded(path)).parts)
    while names and os.path.lexists(root / names[0]):
        root /= names.pop(0)
    rest = os.path.join(*names) if names else ""
    if not has_magic(rest):
        return [str(root / rest)]
    found = sorted(str(root / name) for name in glob(rest, root_dir=root, recursive=True))
    if not found:
        raise UserError(f"{path}: matches no file; correct the pattern in the configuration, or put files there")
    return found


@contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
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


class Sink(io.FileIO):
    """New file for HDF5 and torch to write: HDF5 crashes the process when a write fails, torch does not say why.

    What does not fit is dropped.

    error: the first failure; whoever writes has to raise it with `check`.
    """

    def __init__(self, path: Path | str):
        super().__init__(path, "w+")
        self.error: OSError | None = None

    def write(self, data: bytes | memoryview) -> int:  # type: ignore[override]  # its Buffer is named from Python 3.12 on
        """Number of bytes taken, all of them once a write has failed."""
        size = memoryview(data).nbytes
        if self.error is None:
            try:
                done = 0
                while done < size:
                    done += super().write(memoryview(data).cast("B")[done:])
            except OSError as error:
                self.error = error
        return size

    def truncate(self, size: int | None = None) -> int:
        """Set the size; a failure counts as one of writing."""
        try:
            return super().truncate(size)
        except OSError as error:
            self.error = self.error or error
            return size or 0

    def check(self) -> None:
        """Raise the first failure."""
        if self.error is not None:
            raise self.error


def disk_is_full(error: BaseException) -> bool:
    """Whether an exception says that the disk, the quota or the allowed file size is used up (HDF5 only says so)."""
    if isinstance(error, OSError) and error.errno in FULL:
        return True
    return isinstance(error, OSError | RuntimeError) and any(f"errno = {code}," in str(error) for code in FULL)
