"""What a file or folder is recognised by."""

from functools import cached_property
from pathlib import Path

import h5py

from mlipshift.data.readers import hdf5
from mlipshift.data.readers.common import stream, told

HDF5 = b"\x89HDF\r\n\x1a\n"
LMDB = b"\xde\xc0\xef\xbe"  # from the sixteenth byte on


class Beginning:
    """The first bytes of a file, or what they lead to. Raises UserError where these cannot be read.

    path; bytes: of the file as it is, none of a folder.
    """

    def __init__(self, path: Path):
        self.path, self.bytes = path, b""
        if not path.is_dir():
            with open(path, "rb") as handle:
                self.bytes = handle.read(32)

    @cached_property
    def text(self) -> bytes:
        """First bytes of the unpacked file, without a byte-order mark and leading blanks; none of HDF5 and folders."""
        if self.is_hdf5 or self.path.is_dir():
            return b""
        with told(self.path), stream(self.path) as handle:
            return handle.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()

    @property
    def is_hdf5(self) -> bool:
        """Whether it is a file of HDF5."""
        return self.bytes.startswith(HDF5)

    @cached_property
    def hdf5(self) -> tuple[str | None, set[str]]:
        """(attribute `format`, names in the first group) of a file of HDF5; (None, empty) of others."""
        if not self.is_hdf5:
            return None, set()
        with hdf5.opened(self.path) as handle:
            _, first = next(hdf5.groups(handle), ("", None))
            return handle.attrs.get("format"), set(first) if isinstance(first, h5py.Group) else set()
