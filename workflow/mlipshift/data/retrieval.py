"""Downloads that are whole and right, or refused: resume, retries, mirrors, checksums, one file at a time.

The file itself lives in a store, STORE/NAME/VERSION/PATH, beside NAME.json, the record of what it is, and while it
comes NAME.part. What the workflow asks for is a link to it: Snakemake deletes outputs before it makes them again,
and a good file must not be lost to that. HTTP as in RFC 9110 (ranges, If-Range, Retry-After).
"""

import email.utils
import hashlib
import http.client
import json
import os
import random
import shutil
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import requests
import urllib3
from filelock import FileLock, Timeout
from tqdm import tqdm

from mlipshift.base.errors import UserError
from mlipshift.base.files import disk_is_full, replacing
from mlipshift.base.log import RELAY, log

AGENT = "mlipshift (research workflow; python-requests)"
CHUNK = 1 << 20  # bytes per read
DRIP = 1024  # bytes that must come within a time-out
PROGRESS = 1 << 20  # bytes after which an attempt counts as having got on
MAX_WAIT = 120.0  # s, also for a server that asks for more
RESERVE = 64 << 20  # bytes left free on the disk
PASSING = {202, 408, 425, 429}  # answers that another attempt may change; figshare has 202 with an empty body
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
ENCODED = {".gz": ("gzip", "x-gzip"), ".tgz": ("gzip", "x-gzip"), ".bz2": ("bzip2",), ".xz": ("xz",)}


@dataclass(frozen=True)
class Settings:
    """Section `retrieve` of the configuration; timeout_s and backoff_s in seconds."""

    mirror: str | None = None
    offline: bool = False
    store: str = "data/.store"
    attempts: int = 5
    timeout_s: float = 60.0
    backoff_s: float = 1.0


class Passing(Exception):
    """Another attempt at the same address may help; wait: seconds that the server asked for."""

    def __init__(self, reason, wait=0.0):
        super().__init__(reason)
        self.wait = wait


class Refused(Exception):
    """This address gives nothing usable; the next one may."""


def fetch(entry, file, output, settings):
    """Put the file of a manifest entry at `output`, from the store, the mirror or its addresses; returns the record.

    entry: manifest.Entry; file: manifest.File; output: path of the link to make. What is at `output` or in the
    store is only ever replaced by a checked file. A file without a known hash gets one recorded, which counts from
    then on. Raises UserError if no source gives a good copy, or for a full disk.
    """
    stored = Path(settings.store) / entry.name / entry.version / file.path
    stored.parent.mkdir(parents=True, exist_ok=True)
    with _only_one(stored):
        record = _read_record(stored, file)
        expected = {key: value for key, value in file.expected.items() if value is not None}
        expected = {key: record[key] for key in ("bytes", "sha256", "md5") if key in record} | expected
        kept = _keep(stored, record, expected)
        if not kept:
            record = _bring(entry, file, stored, record, expected, settings)
    place(stored, output)
    return record


def _keep(stored, record, expected):
    """Whether the stored file is good; one without a record, put there by hand, gets it."""
    if not stored.is_file():
        return False
    problem = wrong(stored, expected)
    if problem:
        log.info("%s in the store: %s; asking for it again", stored, problem)
        return False
    log.info("%s is in the store and as expected", stored)
    if not record:
        _write_record(stored, {**_digests(stored), "source": "put there by hand"})
    return True


def _bring(entry, file, stored, record, expected, settings):
    part = Part(stored)
    try:
        problems = []
        for source in sources(entry, file, settings):
            try:
                if isinstance(source, Path):
                    got = _copy(source, part, expected)
                else:
                    got = _download(source, part, expected, settings)
            except Refused as error:
                problems.append(f"{_shown(source)}: {error}")
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


def sources(entry, file, settings):
    """Paths and addresses to try, in order: the mirror in both of its layouts, then the file's own addresses."""
    found = []
    if settings.mirror:
        for below in (f"{entry.name}/{entry.version}/{file.path}", f"{entry.name}/{file.path}"):
            if "://" in settings.mirror:
                found.append(f"{settings.mirror.rstrip('/')}/{quote(below)}")
            else:
                found.append(Path(settings.mirror) / below)
    return found if settings.offline else [*found, *file.urls]


def place(stored, output):
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


def _digests(path):
    """{bytes, sha256, md5} of a file."""
    sha256, md5, size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
    with open(path, "rb") as handle:
        while block := handle.read(CHUNK):
            sha256.update(block)
            md5.update(block)
            size += len(block)
    return {"bytes": size, "sha256": sha256.hexdigest(), "md5": md5.hexdigest()}


def _hashed(expected):
    return bool(expected.get("sha256") or expected.get("md5"))


def wrong(path, expected, name=None, digests=None):
    """What is wrong with a file, None if nothing is.

    expected: {bytes, sha256, md5} as far as known; without a hash the beginning of the file has to fit its name
    (`name`, or that of `path`). digests: {bytes, sha256, md5} of the file where they are already known.
    """
    found = digests or _digests(path)
    for key in ("bytes", "sha256", "md5"):
        if expected.get(key) not in (None, found[key]):
            return f"{key} is {found[key]}, expected {expected[key]}"
    if _hashed(expected):
        return None
    if not found["bytes"]:
        return "the file is empty"
    with open(path, "rb") as handle:
        return _misfit(name or Path(path).name, handle.read(512))


def _misfit(name, beginning):
    """Why the first bytes do not fit a file name, None if they do."""
    name = name.lower()
    if not name.endswith((".html", ".htm")) and _is_html(beginning):
        return "it is an HTML page, not the file"
    for suffixes, (offset, kinds) in MAGIC.items():
        if name.endswith(suffixes):
            content = beginning.lstrip() if suffixes == (".json",) else beginning[offset:]
            if not content.startswith(kinds):
                return f"its first bytes are not those of a {suffixes[0]} file"
    return None


def _is_html(beginning):
    text = beginning.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return text.startswith((b"<!doctype html", b"<html", b"<head", b"<body"))


class Part:
    """The file while it comes, NAME.part, with the digests of its bytes; NAME.part.json says of which source it is.

    An existing part is taken up again: source, validator (an ETag or a date) and bytes.
    """

    def __init__(self, stored):
        self.name = stored.name
        self.path = stored.with_name(stored.name + ".part")
        self.note = stored.with_name(stored.name + ".part.json")
        self.handle = open(self.path, "ab", buffering=0)  # noqa: SIM115, closed by close()
        self.sha256, self.md5, self.size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
        with open(self.path, "rb") as handle:
            while block := handle.read(CHUNK):
                self._count(block)
        try:
            note = json.loads(self.note.read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):
            note = {}
        self.source, self.validator = note.get("source"), note.get("validator")

    def _count(self, block):
        self.sha256.update(block)
        self.md5.update(block)
        self.size += len(block)

    def digests(self):
        return {"bytes": self.size, "sha256": self.sha256.hexdigest(), "md5": self.md5.hexdigest()}

    def restart(self):
        """Forget all bytes."""
        self.handle.truncate(0)
        self.sha256, self.md5, self.size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
        self.source = self.validator = None
        self.note.unlink(missing_ok=True)

    def begin(self, source, validator=None):
        """Note where the bytes come from."""
        self.source, self.validator = source, validator
        self.note.write_text(json.dumps({"source": source, "validator": validator}), encoding="utf-8")

    def write(self, block):
        view = memoryview(block)
        while view:
            written = self.handle.write(view)
            self._count(view[:written])
            view = view[written:]

    def close(self):
        self.handle.close()
        if not self.size:
            self.path.unlink(missing_ok=True)
            self.note.unlink(missing_ok=True)


def _accept(part, stored, got, source):
    """Let the part take the place of the stored file, for good even if the power fails now."""
    os.fsync(part.handle.fileno())
    os.replace(part.path, stored)
    folder = os.open(stored.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    part.note.unlink(missing_ok=True)
    log.info("%s: %d bytes, sha256 %s", stored, part.size, part.sha256.hexdigest())
    return _write_record(stored, {**part.digests(), "source": _shown(source), **got})


def _shown(source):
    """A source without user name and password."""
    if isinstance(source, Path):
        return str(source)
    pieces = urlsplit(source)
    return urlunsplit(pieces._replace(netloc=pieces.netloc.rpartition("@")[2]))


def _room(part, size):
    """Raise UserError if `size` more bytes do not fit on the disk."""
    free = shutil.disk_usage(part.path.parent).free
    if size + RESERVE > free:
        raise UserError(
            f"{part.path}: {size} bytes to come, but only {free} bytes free; make room, or set retrieve.store to a "
            "folder on another disk"
        )


def _copy(path, part, expected):
    """Copy a file of a mirror folder into the part. Raises Refused."""
    if not path.is_file():
        raise Refused("no such file")
    part.restart()
    _room(part, path.stat().st_size)
    part.begin(str(path))
    with open(path, "rb") as handle, Progress(part.name, path.stat().st_size) as progress:
        while block := handle.read(CHUNK):
            part.write(block)
            progress.to(part.size)
    problem = wrong(part.path, expected, part.name, part.digests())
    if problem:
        part.restart()
        raise Refused(problem)
    return {}


def _download(url, part, expected, settings):
    """Bring an address into the part, over as many attempts as are allowed; returns what the server says of it.

    An attempt that got on by a MiB counts as the first again. A wrong hash is tried once more from the beginning.
    Bytes of an address that no longer answers stay in the part, for the next address or the next run.
    Raises Refused.
    """
    failures, best, second_try = 0, part.size, False
    with requests.Session() as session:
        while True:
            try:
                got = _attempt(session, url, part, expected, settings.timeout_s)
                problem = wrong(part.path, expected, part.name, part.digests())
                if not problem:
                    return got
                part.restart()
                if second_try or not _hashed(expected):
                    raise Refused(problem)
                second_try = True
                reason, wait = f"{problem}; starting over from the first byte", 0.0
            except Passing as error:
                reason, wait = str(error), error.wait
            if part.size >= best + PROGRESS:
                failures, best = 0, part.size
            failures += 1
            if failures >= settings.attempts:
                raise Refused(f"{reason} ({failures} attempts)")
            backoff = settings.backoff_s * 2 ** (failures - 1) * random.uniform(0.5, 1.5)
            wait = min(max(wait, backoff), MAX_WAIT)
            log.info("%s: %s; again in %.1f s", _shown(url), reason, wait)
            time.sleep(wait)


def _attempt(session, url, part, expected, timeout):
    """One request; all of the body is in the part when this returns. Raises Passing or Refused."""
    headers = {"User-Agent": AGENT, "Accept-Encoding": "identity"}
    validator = part.validator if part.source == url else None
    # without a validator or a hash nothing would tell whether old and new bytes belong together
    if part.size and (validator or _hashed(expected)):
        headers["Range"] = f"bytes={part.size}-"
        if validator:
            headers["If-Range"] = validator
    try:
        with session.get(url, stream=True, timeout=timeout, headers=headers) as response:
            return _receive(response, url, part, expected, timeout, "Range" in headers, validator)
    except requests.TooManyRedirects as error:
        raise Refused("redirects without end") from error
    except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema) as error:
        raise Refused(f"not an address that can be asked: {error}") from error
    except (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError) as error:
        raise Passing(f"nothing came within {timeout:g} s") from error
    except (requests.ConnectionError, urllib3.exceptions.NewConnectionError, ConnectionError) as error:
        raise Passing(f"no connection: {_root(error)}") from error
    except (requests.RequestException, urllib3.exceptions.HTTPError, http.client.HTTPException) as error:
        raise Passing(f"the transfer broke off after {part.size} bytes") from error


def _root(error):
    """Short text of the innermost reason of an exception."""
    while error.__context__ is not None and not isinstance(error, OSError | http.client.HTTPException):
        error = error.__context__
    while isinstance(error, requests.RequestException) and error.args and isinstance(error.args[0], Exception):
        error = getattr(error.args[0], "reason", None) or error.args[0]
    return str(error).rpartition(">: ")[2] or type(error).__name__


def _receive(response, url, part, expected, timeout, resuming, known):
    """Take a response in. resuming: a range was asked for; known: validator that the old bytes came with."""
    status, headers = response.status_code, response.headers
    if status == 416 and resuming:
        if headers.get("Content-Range", "") == f"bytes */{part.size}":
            return _said(headers)  # all of it was there already
        part.restart()
        raise Passing("the server does not have the rest that was asked for")
    if status in PASSING or status >= 500:
        raise Passing(f"answers {status} {response.reason}".rstrip(), _retry_after(headers))
    if status not in (200, 206):
        raise Refused(f"answers {status} {response.reason}".rstrip())
    if headers.get("Content-Type", "").startswith("text/html") and not part.name.endswith((".html", ".htm")):
        raise Refused("answers with an HTML page, not the file")
    validator = _validator(headers)
    if status == 206:
        first, total = _range(headers)
        if not resuming or first != part.size or (known and validator and validator != known):
            part.restart()
            raise Passing("answers with another range than asked for, or of another file")
    else:
        total = _length(headers)
        part.restart()
    packed = _packed(headers, part.name)
    if packed:
        if status == 206:
            part.restart()
            raise Passing("answers with a range of the compressed file")
        total = validator = None
    if total == 0:
        raise Passing("answers with an empty file")
    if total is not None and expected.get("bytes") not in (None, total):
        part.restart()
        raise Refused(f"has {total} bytes, expected {expected['bytes']}")
    size = total or expected.get("bytes")
    _room(part, (size or 0) - part.size)
    if status == 200:
        part.begin(url, validator)
    with Progress(part.name, size, part.size) as progress:
        for block in _blocks(response.raw, timeout, packed):
            if not part.size and _is_html(block) and not part.name.endswith((".html", ".htm")):
                raise Refused("answers with an HTML page, not the file")
            part.write(block)
            progress.to(part.size)
            if expected.get("bytes") and part.size > expected["bytes"]:
                part.restart()
                raise Refused(f"has more than the expected {expected['bytes']} bytes")
    length = _length(headers)
    came = response.raw.tell()
    if (length is not None and came < length) or (not packed and size and part.size < size):
        if packed:
            part.restart()
        raise Passing(f"the transfer broke off after {part.size} bytes")
    if not part.size:
        raise Passing("answers with an empty file")
    return _said(headers)


def _blocks(raw, timeout, decode):
    """Blocks of the body as they come. Raises TimeoutError if less than DRIP bytes come within `timeout` seconds."""
    start, came = time.monotonic(), 0
    while block := raw.read1(CHUNK, decode_content=decode):
        yield block
        came += len(block)
        now = time.monotonic()
        if now - start > timeout:
            if came < DRIP:
                raise TimeoutError
            start, came = now, 0


def _packed(headers, name):
    """Whether the body is compressed on the way and has to be decoded; not if it is the file's own compression."""
    encoding = headers.get("Content-Encoding", "identity").lower()
    return encoding not in ("", "identity", *ENCODED.get(Path(name).suffix.lower(), ()))


def _said(headers):
    names = {"etag": "ETag", "last_modified": "Last-Modified"}
    return {key: headers[name] for key, name in names.items() if name in headers}


def _validator(headers):
    """What If-Range may hold: a strong ETag, else the date of the last change (RFC 9110, 13.1.5)."""
    etag = headers.get("ETag", "")
    return etag if etag.startswith('"') else headers.get("Last-Modified")


def _length(headers):
    text = headers.get("Content-Length", "")
    return int(text) if text.isdigit() and "Transfer-Encoding" not in headers else None


def _range(headers):
    """(first byte, size of the whole file or None) of a Content-Range; (None, None) if it makes no sense."""
    unit, _, rest = headers.get("Content-Range", "").partition(" ")
    span, _, total = rest.partition("/")
    first = span.partition("-")[0]
    if unit != "bytes" or not first.isdigit():
        return None, None
    return int(first), int(total) if total.isdigit() else None


def _retry_after(headers):
    """Seconds that the server asks to wait, 0 if it does not say."""
    text = headers.get("Retry-After", "")
    if text.isdigit():
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return 0.0


class Progress:
    """A bar of bytes on a terminal, a log line every tenth of the size (or GB) otherwise and within a workflow run."""

    def __init__(self, name, total, start=0):
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

    def to(self, done):
        """Show that so many bytes of the file are there."""
        if self.bar is not None:
            self.bar.update(done - self.done)
        elif done >= self.next:
            log.info("%s: %d of %s bytes", self.name, done, self.total or "?")
            self.next = done + self.step
        self.done = done


def probe(url, timeout):
    """Ask an address for its headers, without its content: {reachable, bytes or None, note}."""
    headers = {"User-Agent": AGENT, "Accept-Encoding": "identity"}
    try:
        response = requests.head(url, headers=headers, timeout=timeout, allow_redirects=True)
        if response.status_code != 200:
            # some servers do not take HEAD; the first byte will do, and the rest is not read
            headers["Range"] = "bytes=0-0"
            response = requests.get(url, headers=headers, timeout=timeout, stream=True)
            response.close()
    except requests.RequestException as error:
        return {"reachable": False, "bytes": None, "note": _root(error)}
    if response.status_code not in (200, 206):
        return {"reachable": False, "bytes": None, "note": f"answers {response.status_code} {response.reason}"}
    if response.headers.get("Content-Type", "").startswith("text/html"):
        return {"reachable": False, "bytes": None, "note": "answers with an HTML page, not the file"}
    size = _range(response.headers)[1] if response.status_code == 206 else _length(response.headers)
    return {"reachable": True, "bytes": size, "note": ""}


def listing(index, timeout):
    """Files that the source itself lists: {path: {bytes, md5 or sha256}}; Hugging Face states SHA-256, Zenodo MD5.

    index: {kind, url} of a manifest entry. Raises UserError if the interface does not answer as known.
    """
    url, found = index["url"], {}
    try:
        while url:
            response = requests.get(url, headers={"User-Agent": AGENT}, timeout=timeout)
            response.raise_for_status()
            content = response.json()
            if index["kind"] == "zenodo":
                for item in content["files"]:
                    md5 = item.get("checksum", "").removeprefix("md5:")
                    found[item["key"]] = {"bytes": item["size"], "md5": md5}
            else:
                for item in content:
                    if item["type"] == "file":
                        digest = item.get("lfs", {}).get("oid", "").removeprefix("sha256:")
                        found[item["path"]] = {"bytes": item["size"], "sha256": digest}
            url = response.links.get("next", {}).get("url")
    except (requests.RequestException, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{index['url']}: {_root(error)}") from error
    return found
