"""LMDB files, opened so that a truncated one is a line for the user; to read beyond its end would kill the process."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mlipshift.base.errors import UserError

if TYPE_CHECKING:
    import lmdb


@contextmanager
def opened(path: Path) -> "Iterator[lmdb.Environment]":
    """A file, or a folder with data.mdb, to be read. Raises UserError if it is damaged."""
    import lmdb

    try:
        with lmdb.open(str(path), subdir=path.is_dir(), readonly=True, lock=False, readahead=False) as store:
            pages, size = store.info()["last_pgno"] + 1, store.stat()["psize"]
            if (path / "data.mdb" if path.is_dir() else path).stat().st_size < pages * size:
                raise UserError(f"{path}: the file is shorter than its {pages} pages; fetch it again")
            yield store
    except lmdb.Error as error:
        raise UserError(f"{path}: not a readable LMDB file ({error}); fetch it again") from error
