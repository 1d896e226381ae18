"""What the readers share: what they are asked for, unpacked files, and one line for a damaged one."""

import gzip
import io
import lzma
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mlipshift.base.errors import UserError
from mlipshift.base.log import warn
from mlipshift.data.readers.molecules import File
from mlipshift.data.records import Record

ROWS = 256  # structures of one molecule that are read at a time
DAMAGE = (OSError, EOFError, ValueError, KeyError, lzma.LZMAError, zlib.error, zipfile.BadZipFile, RuntimeError)


class Notes:
    """What the user is to know of a file, each said once."""

    def __init__(self, path: Path | str):
        self.path, self.said = path, set[str]()

    def say(self, what: str, text: str) -> None:
        """Say a text about the file, unless `what` was said of it."""
        if what not in self.said:
            self.said.add(what)
            warn(f"{self.path}: {text}")


@dataclass(frozen=True)
class Request:
    """What is to be read of a file.

    name: first part of the ids of structures that have none of their own; settings: section `data` of the
    configuration; wanted: predicate of the id, to be asked once per structure; skipped: Counter that gets, under
    "no label", the number of structures without a label of the level that is read; molecules: gives names to the
    molecules of structures whose file does not; notes: takes what the user is to know.
    """

    name: str
    settings: dict
    wanted: Callable[[str], bool]
    skipped: Counter
    molecules: File
    notes: Notes

    @property
    def keys(self) -> dict[str, str | None]:
        """Section data.keys of the configuration."""
        return self.settings.get("keys", {})


def selected(path: Path | str, records: Iterable[Record], wanted: Callable[[str], bool]) -> Iterator[Record]:
    """The wanted records of a file. Raises UserError if there is none at all, wanted or not."""
    count = 0
    for record in records:
        count += 1
        if wanted(record.id):
            yield record
    if not count:
        raise UserError(f"{path}: no structure in it; put some there or leave it out of the configuration")


@contextmanager
def told(path: Path | str) -> Iterator[None]:
    """Turn what libraries raise for a damaged file into one line."""
    try:
        yield
    except UnicodeDecodeError:
        raise UserError(
            f"{path}: not a text file, and of no binary format that is read here; see data.files in the manual"
        ) from None
    except PermissionError:
        raise
    except DAMAGE as error:
        raise UserError(
            f"{path}: damaged or truncated ({type(error).__name__}: {error}); fetch the file again"
        ) from error


def stream(path: Path | str) -> io.BufferedIOBase:
    """Binary handle of a file, decompressed by its first bytes."""
    with open(path, "rb") as handle:
        head = handle.read(6)
    if head == b"\xfd7zXZ\x00":
        return lzma.open(path)
    return gzip.open(path) if head[:2] == b"\x1f\x8b" else open(path, "rb")


def converted(value: object, factor: float) -> object:
    """A label in other units; what is no number stays, to be shown to the user."""
    array = np.asarray(value)
    return array.astype(float) * factor if array.dtype.kind in "fiu" else value
