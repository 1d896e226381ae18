"""HTTP as in RFC 9110 (ranges, If-Range, Retry-After): downloads with resume and retries, and questions to servers."""

import email.utils
import http.client
import random
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import requests
import urllib3

from mlipshift.base.errors import UserError
from mlipshift.base.log import log
from mlipshift.data.integrity import CHUNK, PAGES, hashed, is_html, wrong
from mlipshift.data.partial import Part, Progress

AGENT = "mlipshift (research workflow; python-requests)"
HEADERS = {"User-Agent": AGENT, "Accept-Encoding": "identity"}
DRIP = 1024  # bytes that must come within a time-out
PROGRESS = 1 << 20  # bytes after which an attempt counts as having got on
MAX_WAIT = 120.0  # s, also for a server that asks for more
PASSING = {202, 408, 425, 429}  # answers that another attempt may change; figshare has 202 with an empty body
PAGE = "answers with an HTML page, not the file"
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

    def __init__(self, reason: str, wait: float = 0.0):
        super().__init__(reason)
        self.wait = wait


class Refused(Exception):
    """This address gives nothing usable; the next one may."""


def shown(source: str | Path) -> str:
    """An address without user name and password, or a path."""
    if isinstance(source, Path):
        return str(source)
    pieces = urlsplit(source)
    return urlunsplit(pieces._replace(netloc=pieces.netloc.rpartition("@")[2]))


def download(url: str, part: Part, expected: dict, settings: Settings) -> dict[str, str]:
    """Bring an address into the part, over as many attempts as are allowed; returns what the server says of it.

    An attempt that got on by a MiB counts as the first again. A wrong hash is tried once more from the beginning.
    Bytes of an address that no longer answers stay in the part, for the next address or the next run.
    expected: {bytes, sha256, md5} as far as known. Raises Refused.
    """
    failures, best, second_try = 0, part.size, False
    with requests.Session() as session:
        while True:
            try:
                got = _attempt(session, url, part, expected, settings.timeout_s)
                problem = wrong(part.path, expected, part.name, part.digest.summary())
                if not problem:
                    return got
                part.restart()
                if second_try or not hashed(expected):
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
            log.info("%s: %s; again in %.1f s", shown(url), reason, wait)
            time.sleep(wait)


def _attempt(session, url, part, expected, timeout):
    """One request; all of the body is in the part when this returns. Raises Passing or Refused."""
    headers = dict(HEADERS)
    validator = part.validator if part.source == url else None
    # without a validator or a hash nothing would tell whether old and new bytes belong together
    if part.size and (validator or hashed(expected)):
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
    headers = response.headers
    if response.status_code == 416 and resuming:
        if headers.get("Content-Range", "") == f"bytes */{part.size}":
            return _said(headers)  # all of it was there already
        part.restart()
        raise Passing("the server does not have the rest that was asked for")
    _check_status(response, part.name)
    validator, total, packed = _announced(response, part, resuming, known)
    if total is not None and expected.get("bytes") not in (None, total):
        part.restart()
        raise Refused(f"has {total} bytes, expected {expected['bytes']}")
    size = total or expected.get("bytes")
    part.reserve((size or 0) - part.size)
    if response.status_code == 200:
        part.begin(url, validator)
    _take_body(response, part, expected.get("bytes"), size, timeout, packed)
    length = _length(headers)
    came = response.raw.tell()
    if (length is not None and came < length) or (not packed and size and part.size < size):
        if packed:
            part.restart()
        raise Passing(f"the transfer broke off after {part.size} bytes")
    if not part.size:
        raise Passing("answers with an empty file")
    return _said(headers)


def _check_status(response, name):
    """Raise Passing or Refused for a response that does not bring the file `name`."""
    status, headers = response.status_code, response.headers
    if status in PASSING or status >= 500:
        raise Passing(f"answers {status} {response.reason}".rstrip(), _retry_after(headers))
    if status not in (200, 206):
        raise Refused(f"answers {status} {response.reason}".rstrip())
    if _is_page(headers) and not name.endswith(PAGES):
        raise Refused(PAGE)


def _announced(response, part, resuming, known):
    """(validator, size of the whole file or None, whether it is compressed on the way) of a response with a body.

    What is in the part stays only if the body goes on behind it.
    """
    headers, ranged = response.headers, response.status_code == 206
    validator = _validator(headers)
    if ranged:
        first, total = _range(headers)
        if not resuming or first != part.size or (known and validator and validator != known):
            part.restart()
            raise Passing("answers with another range than asked for, or of another file")
    else:
        total = _length(headers)
        part.restart()
    packed = _packed(headers, part.name)
    if packed:
        if ranged:
            part.restart()
            raise Passing("answers with a range of the compressed file")
        total = validator = None
    if total == 0:
        raise Passing("answers with an empty file")
    return validator, total, packed


def _take_body(response, part, expected, size, timeout, packed):
    """Write the body to the part. expected, size: bytes of the whole file as it must be and as it is said to be."""
    with Progress(part.name, size, part.size) as progress:
        for block in _blocks(response.raw, timeout, packed):
            if not part.size and is_html(block) and not part.name.endswith(PAGES):
                raise Refused(PAGE)
            part.write(block)
            progress.to(part.size)
            if expected and part.size > expected:
                part.restart()
                raise Refused(f"has more than the expected {expected} bytes")


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


def _is_page(headers):
    return headers.get("Content-Type", "").startswith("text/html")


def probe(url: str, timeout: float) -> dict[str, bool | int | str | None]:
    """Ask an address for its headers, without its content: {reachable, bytes or None, note}; timeout in s."""
    headers = dict(HEADERS)
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
    if _is_page(response.headers):
        return {"reachable": False, "bytes": None, "note": PAGE}
    size = _range(response.headers)[1] if response.status_code == 206 else _length(response.headers)
    return {"reachable": True, "bytes": size, "note": ""}


def listing(index: dict[str, str], timeout: float) -> dict[str, dict[str, int | str]]:
    """Files that the source itself lists: {path: {bytes, md5 or sha256}}; Hugging Face states SHA-256, Zenodo MD5.

    index: {kind, url} of a manifest entry; timeout in s. Raises UserError if the interface does not answer as known.
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
