"""Downloads that are whole and right, or refused: resume, retries, mirrors, checksums, one file at a time.

The file itself lives in a store, STORE/NAME/VERSION/PATH, beside NAME.json, the record of what it is, and while it
comes NAME.part. What the workflow asks for is a link to it: Snakemake deletes outputs before it makes them again,
and a good file must not be lost to that.
"""

import json
import os
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from filelock import FileLock, Timeout

from mlipshift.base.errors import UserError
from mlipshift.base.files import disk_is_full, replacing
from mlipshift.base.log import log
from mlipshift.data.integrity import CHUNK, digests, wrong
from mlipshift.data.manifest import Entry, File
from mlipshift.data.partial import Part, Progress
from mlipshift.data.transfer import Refused, Settings, download, shown


def fetch(entry: Entry, file: File, output: Path | str, settings: Settings) -> dict:
    """Put the file of a manifest entry at `output`, from the store, the mirror or its addresses; returns its record.

    output: path of the link to make. What is there or in the store is only ever replaced by a checked file. The
    record has bytes, sha256, md5, source and date; a file without a known hash gets one so, which counts from then
    on. Raises UserError if no source gives a good copy, or for a full disk.
    """
    stored = Path(settings.store) / entry.name / entry.version / file.path
    stored.parent.mkdir(parents=True, exist_ok=True)
    with _only_one(stored):
        record = _read_record(stored, file)
        expected = {key: value for key, value in file.expected.items() if value is not None}
        expected = {key: record[key] for key in ("bytes", "sha256", "md5") if key in record} | expected
        record = _kept(stored, record, expected) or _bring(entry, file, stored, record, expected, settings)
    place(stored, output)
    return record


def _kept(stored, record, expected):
    """Record of the stored file if it is good, else None; one without a record, put there by hand, gets it."""
    if not stored.is_file():
        return None
    problem = wrong(stored, expected)
    if problem:
        log.info("%s in the store: %s; asking for it again", stored, problem)
        return None
    log.info("%s is in the store and as expected", stored)
    return record or _write_record(stored, {**digests(stored), "source": "put there by hand"})


def _bring(entry, file, stored, record, expected, settings):
    part = Part(stored)
    try:
        problems = []
        for source in sources(entry, file, settings):
            try:
                if isinstance(source, Path):
                    got = _copy(source, part, expected)
                else:
                    got = download(source, part, expected, settings)
            except Refused as error:
                problems.append(f"{shown(source)}: {error}")
                log.info("%s", problems[-1])
                continue
            return _accept(part, stored, got, source)
        where = f"{entry.name} {entry.version}, {file.path}"
        raise UserError(f"{where}: {_advice(file, stored, record, settings, problems)}")
    except OSError as error:
        if not disk_is_full(error):
            raise
        raise UserError(
            f"{part.path}: no space left on the disk; free some, or set retrieve.store to a folder on another disk; "
            f"the {part.size} bytes that came are kept"
        ) from error
    finally:
        part.close()


def _advice(file, stored, record, settings, problems):
    """What went wrong at every source and how to mend it."""
    known = ", ".join(f"{key} {value}" for key, value in file.expected.items() if value) or "size and hash not known"
    found = "; ".join(problems)
    if settings.offline:
        return (
            f"retrieve.offline is true and the mirror does not give it ({found or 'retrieve.mirror is not set'}); get "
            f"it ({known}) from {' or '.join(file.urls)} and put it at {stored}"
        )
    mend = f"run again, set retrieve.mirror to a folder or address that has it, or put it at {stored} ({known})"
    if "sha256" in record and not file.sha256 and "sha256 is" in found:
        mend = (
            f"the hash was recorded when it first came, {record.get('date', '')}: if the new version is wanted, remove "
            f"{_record_path(stored)}"
        )
    return f"no source gives a good copy: {found}; {mend}"


def sources(entry: Entry, file: File, settings: Settings) -> list[Path | str]:
    """Paths and addresses to try, in order: the mirror in both of its layouts, then the file's own addresses."""
    found: list[Path | str] = []
    if settings.mirror:
        for below in (f"{entry.name}/{entry.version}/{file.path}", f"{entry.name}/{file.path}"):
            if "://" in settings.mirror:
                found.append(f"{settings.mirror.rstrip('/')}/{quote(below)}")
            else:
                found.append(Path(settings.mirror) / below)
    return found if settings.offline else [*found, *file.urls]


def place(stored: Path, output: Path | str) -> None:
    """Make `output` a hard link to the stored file, or a symbolic one if it is on another file system."""
    output = Path(output)
    output.parent.mkdir(parents=True, exist_ok=True)
    if output.exists() and output.samefile(stored):
        return
    temporary = output.with_name(f".{output.name}.{os.getpid()}")
    try:
        os.link(stored, temporary)
    except OSError:
        os.symlink(stored.resolve(), temporary)
    os.replace(temporary, output)


@contextmanager
def _only_one(stored):
    """Hold the lock of a stored file; a second process waits for the first and then finds its file."""
    lock = FileLock(f"{stored}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        log.info("another process is bringing %s; waiting for it", stored.name)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _record_path(stored):
    return stored.with_name(stored.name + ".json")


def _read_record(stored, file):
    """The record of a stored file; {} if there is none, or if the manifest now says otherwise."""
    try:
        record = json.loads(_record_path(stored).read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    differs = any(value is not None and record.get(key) != value for key, value in file.expected.items())
    return {} if differs else record


def _write_record(stored, content):
    content = {**content, "date": datetime.now(UTC).isoformat(timespec="seconds")}
    with replacing(_record_path(stored)) as path:
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return content


def _accept(part, stored, got, source):
    """Let the part take the place of the stored file; its record."""
    part.replace(stored)
    found = part.digest.summary()
    log.info("%s: %d bytes, sha256 %s", stored, found["bytes"], found["sha256"])
    return _write_record(stored, {**found, "source": shown(source), **got})


def _copy(path, part, expected):
    """Copy a file of a mirror folder into the part. Raises Refused."""
    if not path.is_file():
        raise Refused("no such file")
    part.restart()
    part.reserve(path.stat().st_size)
    part.begin(str(path))
    with open(path, "rb") as handle, Progress(part.name, path.stat().st_size) as progress:
        while block := handle.read(CHUNK):
            part.write(block)
            progress.to(part.size)
    problem = wrong(part.path, expected, part.name, part.digest.summary())
    if problem:
        part.restart()
        raise Refused(problem)
    return {}
