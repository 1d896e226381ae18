"""A file while it comes: what of it is there, where that came from, and how far it is."""

import json
import os
import shutil
import sys
from pathlib import Path

from tqdm import tqdm

from mlipshift.base.errors import UserError
from mlipshift.base.log import RELAY, log
from mlipshift.data.integrity import Digest

RESERVE = 64 << 20  # bytes left free on the disk


class Part:
    """The file while it comes, NAME.part, with the digests of its bytes; NAME.part.json says of which source it is.

    An existing part is taken up again: source, validator (an ETag or a date) and bytes.
    """

    def __init__(self, stored: Path):
        self.name = stored.name
        self.path = stored.with_name(stored.name + ".part")
        self.note = stored.with_name(stored.name + ".part.json")
        self.handle = open(self.path, "ab", buffering=0)  # noqa: SIM115, closed by close()
        self.digest = Digest().add_file(self.path)
        try:
            note = json.loads(self.note.read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):
            note = {}
        self.source, self.validator = note.get("source"), note.get("validator")

    @property
    def size(self) -> int:
        """Bytes that are there."""
        return self.digest.size

    def restart(self) -> None:
        """Forget all bytes."""
        self.handle.truncate(0)
        self.digest = Digest()
        self.source = self.validator = None
        self.note.unlink(missing_ok=True)

    def begin(self, source: str, validator: str | None = None) -> None:
        """Note where the bytes come from."""
        self.source, self.validator = source, validator
        self.note.write_text(json.dumps({"source": source, "validator": validator}), encoding="utf-8")

    def reserve(self, size: int) -> None:
        """Raise UserError if `size` more bytes do not fit on the disk."""
        free = shutil.disk_usage(self.path.parent).free
        if size + RESERVE > free:
            raise UserError(
                f"{self.path}: {size} bytes to come, but only {free} bytes free; make room, or set retrieve.store to a "
                "folder on another disk"
            )

    def write(self, block: bytes) -> None:
        """Add bytes. Raises OSError for a full disk, having counted what did fit."""
        view = memoryview(block)
        while view:
            written = self.handle.write(view)
            self.digest.add(view[:written])
            view = view[written:]

    def replace(self, stored: Path) -> None:
        """Take the place of the stored file, for good even if the power fails now."""
        os.fsync(self.handle.fileno())
        os.replace(self.path, stored)
        folder = os.open(stored.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        self.note.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file; without a byte it is gone."""
        self.handle.close()
        if not self.size:
            self.path.unlink(missing_ok=True)
            self.note.unlink(missing_ok=True)


class Progress:
    """A bar of bytes on a terminal, a log line every tenth of the size (or GB) otherwise and within a workflow run."""

    def __init__(self, name: str, total: int | None, start: int = 0):
        self.name, self.total, self.done = name, total, start
        self.step = (total or 10 << 30) / 10
        self.next = start + self.step
        self.bar = None
        if sys.stderr.isatty() and not os.environ.get(RELAY):
            self.bar = tqdm(total=total, initial=start, unit="B", unit_scale=True, desc=name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.bar is not None:
            self.bar.close()

    def to(self, done: int) -> None:
        """Show that so many bytes of the file are there."""
        if self.bar is not None:
            self.bar.update(done - self.done)
        elif done >= self.next:
            log.info("%s: %d of %s bytes", self.name, done, self.total or "?")
            self.next = done + self.step
        self.done = done
