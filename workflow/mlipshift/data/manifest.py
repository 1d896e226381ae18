"""The manifest: which public files the workflow can download, from where, and what they must be."""

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from jsonschema import Draft202012Validator

from mlipshift.base import yaml
from mlipshift.base.errors import UserError, nearest

UNPACKED = "unpacked"  # data/NAME/VERSION/unpacked/ARCHIVE: a folder with everything an archive holds
MEMBERS = "members"  # data/NAME/VERSION/members/ARCHIVE/MEMBER: one file out of an archive


@dataclass(frozen=True)
class File:
    """One file: path below its version; bytes, sha256, md5 are None where unknown.

    verified: True where bytes and sha256 were checked against a real copy, else the reason why not.
    unpacked_bytes: upper limit of what an archive may unpack to, None where unknown.
    """

    path: str
    urls: tuple[str, ...] = ()
    bytes: int | None = None
    sha256: str | None = None
    md5: str | None = None
    verified: bool | str = "not listed in the manifest"
    archive: bool = False
    unpacked_bytes: int | None = None

    @property
    def expected(self) -> dict[str, int | str | None]:
        """{bytes, sha256, md5}; only a change of these downloads the file again."""
        return {"bytes": self.bytes, "sha256": self.sha256, "md5": self.md5}


@dataclass(frozen=True)
class Entry:
    """A dataset or checkpoint; files: {path: File}; any_file: URL with {path} for files that are not listed."""

    name: str
    kind: str
    title: str
    version: str
    licence: str
    citation: str
    homepage: str
    notes: str = ""
    files: dict[str, File] = field(default_factory=dict)
    any_file: str | None = None
    index: dict | None = None

    def file(self, path: str) -> File:
        """The File at `path`. Raises UserError with the nearest known path for one that there is not."""
        parts = PurePosixPath(path).parts
        if not parts or path.startswith("/") or ".." in parts:
            raise UserError(f"{path!r} is no path of a file of {self.name}; give one below its version, without ..")
        if path in self.files:
            return self.files[path]
        if self.any_file:
            return File(path, (self.any_file.format(path=quote(path)),))
        raise UserError(f"{self.name} {self.version} has no file {path!r}; {nearest(path, self.files)}")


@dataclass(frozen=True)
class Place:
    """What a path below data/ stands for; archive: the file that is unpacked for it, None for a download."""

    entry: Entry
    file: File
    archive: File | None = None


class Manifest:
    """Entries by name. Raises UserError with the first problem if the file does not follow its schema."""

    def __init__(self, path: Path | str, schema_path: Path | str):
        self.path = str(path)
        content, schema = (yaml.read(p, yaml.RESTORE) for p in (path, schema_path))
        errors = sorted(Draft202012Validator(schema).iter_errors(content), key=lambda e: [str(p) for p in e.path])
        if errors:
            where = ".".join(map(str, errors[0].absolute_path)) or "top"
            raise UserError(f"{path}, {where}: {errors[0].message}; {schema_path} says what an entry may hold")
        self.entries = {}
        for name, entry in content.items():
            paths = [f["path"] for f in entry.get("files", [])]
            if len(set(paths)) < len(paths):
                raise UserError(f"{path}, {name}: the same path twice; list every file once")
            files = {f["path"]: File(**{**f, "urls": tuple(f["urls"])}) for f in entry.get("files", [])}
            self.entries[name] = Entry(**{**entry, "name": name, "files": files})

    def entry(self, name: str, version: str | None = None) -> Entry:
        """The Entry of a name. Raises UserError with the nearest name, or the version there is."""
        if name not in self.entries:
            raise UserError(f"no dataset {name!r} in {self.path}; {nearest(name, self.entries)}")
        entry = self.entries[name]
        if version not in (None, entry.version):
            raise UserError(f"{name} has the version {entry.version!r}, not {version!r}; {self.path} lists it")
        return entry

    def locate(self, path: Path | str) -> Place:
        """The Place of data/NAME/VERSION/PATH. Raises UserError where the manifest knows no such file."""
        parts = PurePosixPath(path).parts
        if len(parts) < 4:
            near = difflib.get_close_matches(str(path), self.paths(), 1)
            mend = f"did you mean {near[0]}?" if near else f"the manifest has {', '.join(self.entries)}"
            raise UserError(f"{path}: no such file, and not of the form data/NAME/VERSION/FILE; {mend}")
        _, name, version, *rest = parts
        try:
            entry = self.entry(name, version)
            if rest[0] not in (UNPACKED, MEMBERS):
                return Place(entry, entry.file("/".join(rest)))
            archives = {k: f for k, f in entry.files.items() if f.archive}
            needed = 2 if rest[0] == UNPACKED else 3
            if len(rest) < needed or rest[1] not in archives or (rest[0] == UNPACKED and len(rest) > 2):
                known = ", ".join(archives) or "none"
                raise UserError(f"give {UNPACKED}/ARCHIVE or {MEMBERS}/ARCHIVE/FILE; archives of {name}: {known}")
            return Place(entry, File("/".join(rest[2:])), archives[rest[1]])
        except UserError as error:
            raise UserError(f"{path}: {error}") from error

    def paths(self) -> list[str]:
        """Path below data/ of every listed file."""
        return [f"data/{e.name}/{e.version}/{p}" for e in self.entries.values() for p in e.files]


def alternatives(words: Iterable[str]) -> str:
    """Regular expression that matches one of the words, for wildcard constraints."""
    return "|".join(sorted(map(re.escape, set(words)), key=len, reverse=True))
