"""What a file must be: its size and hashes, or at least first bytes that fit its name."""

import hashlib
from pathlib import Path

CHUNK = 1 << 20  # bytes per read
PAGES = (".html", ".htm")
MAGIC = {
    (".npz", ".zip"): (0, (b"PK\x03\x04",)),
    (".hdf5", ".h5"): (0, (b"\x89HDF\r\n\x1a\n",)),
    (".bz2",): (0, (b"BZh",)),
    (".xz",): (0, (b"\xfd7zXZ\x00",)),
    (".gz", ".tgz"): (0, (b"\x1f\x8b",)),
    (".tar",): (257, (b"ustar",)),
    (".json",): (0, (b"{", b"[")),
    (".pt", ".model"): (0, (b"PK\x03\x04", b"\x80")),  # zip of torch >= 1.6, or a bare pickle
}


class Digest:
    """Size and hashes of bytes, block by block."""

    def __init__(self):
        self.size, self.sha256, self.md5 = 0, hashlib.sha256(), hashlib.md5(usedforsecurity=False)

    def add(self, block: bytes | memoryview) -> None:
        """Count a further block."""
        self.sha256.update(block)
        self.md5.update(block)
        self.size += len(block)

    def add_file(self, path: Path) -> "Digest":
        """Count all bytes of a file; returns itself."""
        with open(path, "rb") as handle:
            while block := handle.read(CHUNK):
                self.add(block)
        return self

    def summary(self) -> dict[str, int | str]:
        """{bytes, sha256, md5}."""
        return {"bytes": self.size, "sha256": self.sha256.hexdigest(), "md5": self.md5.hexdigest()}


def digests(path: Path) -> dict[str, int | str]:
    """{bytes, sha256, md5} of a file."""
    return Digest().add_file(path).summary()


def hashed(expected: dict) -> bool:
    """Whether a hash is among what is known of a file, {bytes, sha256, md5}."""
    return bool(expected.get("sha256") or expected.get("md5"))


def wrong(path: Path, expected: dict, name: str | None = None, found: dict | None = None) -> str | None:
    """What is wrong with a file, None if nothing is.

    expected: {bytes, sha256, md5} as far as known; without a hash the beginning of the file has to fit its name
    (`name`, or that of `path`). found: {bytes, sha256, md5} of the file where they are already known.
    """
    found = found or digests(path)
    for key in ("bytes", "sha256", "md5"):
        if expected.get(key) not in (None, found[key]):
            return f"{key} is {found[key]}, expected {expected[key]}"
    if hashed(expected):
        return None
    if not found["bytes"]:
        return "the file is empty"
    with open(path, "rb") as handle:
        return _misfit(name or path.name, handle.read(512))


def _misfit(name, beginning):
    """Why the first bytes do not fit a file name, None if they do."""
    name = name.lower()
    if not name.endswith(PAGES) and is_html(beginning):
        return "it is an HTML page, not the file"
    for suffixes, (offset, kinds) in MAGIC.items():
        if name.endswith(suffixes):
            content = beginning.lstrip() if suffixes == (".json",) else beginning[offset:]
            if not content.startswith(kinds):
                return f"its first bytes are not those of a {suffixes[0]} file"
    return None


def is_html(beginning: bytes) -> bool:
    """Whether the first bytes of a file are those of an HTML page."""
    text = beginning.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return text.startswith((b"<!doctype html", b"<html", b"<head", b"<body"))
