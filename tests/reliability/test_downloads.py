"""Damaged downloads against a real server: refused with one clear line, or recovered byte for byte."""

import hashlib
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import server as http
import yaml

from mlipshift.base.errors import UserError
from mlipshift.data import retrieval, transfer
from mlipshift.data.manifest import Entry, File

ROOT = Path(__file__).parents[2]
BODY = random.Random(0).randbytes(100_000)
OLD = b"a good file of before"
HALF = len(BODY) // 2
SETTINGS = transfer.Settings(attempts=3, timeout_s=0.4, backoff_s=0.01)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def server():
    running = http.Server()
    running.files["data.bin"] = BODY
    yield running
    running.close()


class Case:
    """One file to download: its server, its places, and what was there before."""

    def __init__(self, server, folder, **known):
        self.server, self.folder = server, folder
        self.file = File("data.bin", (f"{server.address}/data.bin",), **known)
        self.entry = Entry("set", "dataset", "A set", "1", "MIT", "none", "https://none.org")
        self.settings = replace(SETTINGS, store=str(folder / "store"))
        self.stored = folder / "store" / "set" / "1" / "data.bin"
        self.output = folder / "data" / "set" / "1" / "data.bin"

    def fetch(self):
        return retrieval.fetch(self.entry, self.file, self.output, self.settings)

    def recovered(self, body=BODY):
        record = self.fetch()
        assert self.output.read_bytes() == self.stored.read_bytes() == body
        assert record["sha256"] == hashlib.sha256(body).hexdigest()
        assert not self.stored.with_name("data.bin.part").exists()
        return record

    def refused(self, *parts):
        with pytest.raises(UserError) as caught:
            self.fetch()
        text = str(caught.value)
        assert "\n" not in text and all(re.search(part, text) for part in parts), text
        return text


KNOWN = {"bytes": len(BODY), "sha256": hashlib.sha256(BODY).hexdigest()}
HASH_ONLY = {"sha256": KNOWN["sha256"]}
MD5_ONLY = {"md5": hashlib.md5(BODY).hexdigest()}


@pytest.fixture
def case(server, tmp_path):
    """A file of known size and hash, with an older good one in the store and at the output."""
    case = Case(server, tmp_path, **KNOWN)
    for path in (case.stored, case.output):
        path.parent.mkdir(parents=True)
        path.write_bytes(OLD)
    return case


@pytest.fixture
def unknown(server, tmp_path):
    """A file of which nothing is known but its address."""
    return Case(server, tmp_path)


RECOVERED = {
    "no fault": [],
    "closed half-way": [http.cut(HALF)],
    "closed half-way twice": [http.cut(HALF), http.cut(HALF + 1000)],
    "closed before the first byte": [http.cut(0)],
    "closed without an answer": [http.disconnect],
    "a bit flipped once": [http.flip(HALF)],
    "hangs before the headers": [http.hang()],
    "hangs half-way": [http.hang(HALF)],
    "drips": [http.drip],
    "429 once": [http.status(429)],
    "408, 425": [http.status(408), http.status(425)],
    "500 once": [http.status(500)],
    "503, 502": [http.status(503), http.status(502)],
    "empty with status 200": [http.status(200)],
    "empty with status 202": [http.status(202)],
    "chunked, cut": [http.chunked(HALF)],
    "chunked, whole": [http.chunked_whole],
    "range ignored": [http.cut(HALF), http.ignore_range],
    "wrong Content-Range": [http.cut(HALF), http.wrong_range],
    "a range that nobody asked for": [http.wrong_range],
    "416 for a range that there is": [http.cut(HALF), http.status(416)],
    "gzip on the way": [http.compressed()],
    "gzip on the way, cut": [http.compressed(HALF)],
    "error page after half of it": [http.cut(HALF), http.status(503), None],
}


@pytest.mark.parametrize("faults", RECOVERED.values(), ids=RECOVERED)
@pytest.mark.parametrize("known", [KNOWN, HASH_ONLY, MD5_ONLY], ids=["size and sha256", "sha256", "md5"])
def test_a_passing_fault_is_recovered_byte_for_byte(server, case, faults, known):
    case.file = replace(case.file, **{"bytes": None, "sha256": None, "md5": None, **known})
    server.faults = list(faults)
    case.recovered()
    assert len(server.requests) >= len(faults)


REFUSED = {
    "closed half-way, always": (http.cut(HALF), ["broke off after 50000 bytes", "3 attempts"]),
    "shorter file": (http.shorter(10), ["has 99990 bytes, expected 100000"]),
    "longer file": (http.longer(10), ["has 100010 bytes, expected 100000"]),
    "a bit flipped, always": (http.flip(5), ["sha256 is [0-9a-f]{64}, expected " + KNOWN["sha256"]]),
    "other content of the same size": (http.other(bytes(len(BODY))), ["sha256 is", "expected"]),
    "page with status 200": (http.page(), ["HTML page, not the file"]),
    "page that says it is none": (http.page("application/octet-stream"), ["has 56 bytes|HTML page"]),
    "hangs before the headers, always": (http.hang(), ["nothing came within 0.4 s", "3 attempts"]),
    "hangs half-way, always": (http.hang(0), ["nothing came within 0.4 s"]),
    "drips, always": (http.drip, ["nothing came within"]),
    "429, always": (http.status(429), ["answers 429"]),
    "500, always": (http.status(500), ["answers 500", "3 attempts"]),
    "503, always": (http.status(503), ["answers 503"]),
    "404": (http.status(404), ["answers 404"]),
    "403": (http.status(403), ["answers 403"]),
    "401": (http.status(401), ["answers 401"]),
    "204": (http.status(204), ["answers 204"]),
    "empty, always": (http.status(200), ["has 0 bytes|empty"]),
    "202, always": (http.status(202), ["answers 202"]),
    "chunked, cut, always": (http.chunked(HALF), ["broke off"]),
    "gzip, cut, always": (http.compressed(HALF), ["broke off"]),
    "closed without an answer, always": (http.disconnect, ["no connection|broke off"]),
    "a Content-Length beyond all disks": (http.declares(10**17), ["100000000000000000 bytes"]),
    "redirects without end": (http.status(302, Location="/data.bin"), ["redirects without end"]),
    "redirect to nowhere": (http.status(302, Location="ftp://127.0.0.1/x"), ["not an address"]),
}


@pytest.mark.parametrize(("fault", "parts"), REFUSED.values(), ids=REFUSED)
def test_a_lasting_fault_is_one_line_and_costs_no_good_file(server, case, fault, parts):
    server.always = fault
    line = case.refused(*parts, "set 1, data.bin", "retrieve.mirror")
    assert f"{server.address}/data.bin" in line and KNOWN["sha256"] in line
    assert case.output.read_bytes() == case.stored.read_bytes() == OLD


@pytest.mark.parametrize("code", [401, 403, 404, 410])
def test_an_answer_that_will_not_change_is_asked_for_once(server, case, code):
    server.always = http.status(code)
    case.refused(f"answers {code}")
    assert len(server.requests) == 1


def test_attempts_are_bounded(server, case):
    server.always = http.status(500)
    case.refused()
    assert len(server.requests) == SETTINGS.attempts


def test_only_the_rest_is_sent_after_a_break(server, case):
    server.faults = [http.cut(HALF)]
    case.recovered()
    first, second = server.requests
    assert "Range" not in first.headers
    assert second.headers["Range"] == f"bytes={HALF}-" and second.headers["If-Range"] == first.etag
    assert second.sent == len(BODY) - HALF


def test_progress_gives_new_attempts(server, case, monkeypatch):
    monkeypatch.setattr(transfer, "PROGRESS", 10_000)
    server.faults = [http.cut(k) for k in range(10_000, 100_000, 10_000)]
    case.recovered()


def test_the_server_is_asked_for_plain_bytes_by_name(server, case):
    case.recovered()
    assert server.requests[0].headers["Accept-Encoding"] == "identity"
    assert "mlipshift" in server.requests[0].headers["User-Agent"]


def test_retry_after_is_honoured(server, case):
    server.faults = [http.status(429, Retry_After="1")]
    start = time.monotonic()
    case.recovered()
    assert time.monotonic() - start >= 1


def test_retry_after_is_bounded(server, case, monkeypatch):
    monkeypatch.setattr(transfer, "MAX_WAIT", 0.2)
    server.faults = [http.status(503, Retry_After="86400")]
    start = time.monotonic()
    case.recovered()
    assert 0.2 <= time.monotonic() - start < 3


def test_redirect_to_a_page(server, case):
    server.faults = [http.status(302, Location="/login"), http.page()]
    case.refused("HTML page")
    assert case.output.read_bytes() == OLD


def test_redirect_to_the_file(server, case):
    server.faults = [http.status(302, Location="/elsewhere/data.bin")]
    server.files["elsewhere/data.bin"] = BODY
    case.recovered()


def test_connection_refused(case):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    case.file = replace(case.file, urls=(f"http://127.0.0.1:{port}/data.bin",))
    case.refused("no connection", "refused", "3 attempts")
    assert case.output.read_bytes() == case.stored.read_bytes() == OLD


def test_the_next_address_is_asked_when_the_first_gives_wrong_bytes(server, case):
    server.files["wrong"] = bytes(len(BODY))
    case.file = replace(case.file, urls=(f"{server.address}/wrong", f"{server.address}/data.bin"))
    assert case.recovered()["source"].endswith("/data.bin")


def test_the_next_address_goes_on_where_the_first_broke_off(server, case):
    case.file = replace(case.file, urls=(f"{server.address}/data.bin", f"{server.address}/copy"))
    server.files["copy"] = BODY
    server.faults = [http.cut(HALF), http.status(404), None]
    case.recovered()
    assert server.requests[-1].sent == len(BODY) - HALF


def test_bytes_of_another_file_do_not_survive_the_hash(server, case):
    case.file = replace(case.file, urls=(f"{server.address}/other", f"{server.address}/data.bin"))
    server.files["other"] = bytes(len(BODY))
    server.faults = [http.cut(HALF), http.status(404), None]
    case.recovered()


def test_a_part_damaged_on_the_disk_is_started_over(server, case):
    server.faults = [http.cut(HALF)] + [http.status(503)] * 2
    case.refused("answers 503")
    part = case.stored.with_name("data.bin.part")
    part.write_bytes(bytes(HALF))
    case.recovered()
    assert server.requests[3].headers["Range"] == f"bytes={HALF}-"
    assert "Range" not in server.requests[4].headers


def test_a_part_that_is_all_there_needs_no_more_bytes(server, case):
    case.stored.with_name("data.bin.part").write_bytes(BODY)
    case.recovered()
    assert [exchange.sent for exchange in server.requests] == [0]


def test_without_a_hash_a_part_is_resumed_only_with_a_validator(server, unknown):
    unknown.stored.parent.mkdir(parents=True)
    unknown.stored.with_name("data.bin.part").write_bytes(bytes(HALF))
    unknown.recovered()
    assert "Range" not in server.requests[0].headers


@pytest.mark.parametrize("answer", [None, http.ignore_if_range], ids=["If-Range honoured", "If-Range ignored"])
def test_a_file_that_changes_between_two_requests_is_taken_whole(server, unknown, answer):
    new = BODY[::-1]

    def change(exchange):
        http.cut(HALF)(exchange)
        server.files["data.bin"] = new

    server.faults = [change, answer]
    unknown.recovered(new)


def test_a_hash_is_recorded_on_first_use_and_counts_from_then_on(server, unknown):
    record = unknown.recovered()
    kept = json.loads(unknown.stored.with_name("data.bin.json").read_text())
    assert kept == record and kept["sha256"] == KNOWN["sha256"] and kept["etag"] == server.requests[0].etag
    unknown.output.unlink()
    unknown.stored.unlink()
    server.files["data.bin"] = BODY[::-1]
    line = unknown.refused("sha256 is", f"expected {KNOWN['sha256']}", "recorded when it first came", "data.bin.json")
    assert kept["date"] in line
    server.files["data.bin"] = BODY
    unknown.recovered()


def test_a_file_in_the_store_needs_no_server(server, case):
    case.recovered()
    asked = len(server.requests)
    case.output.unlink()
    case.recovered()
    assert len(server.requests) == asked


def test_a_stored_file_that_rots_is_brought_again(server, case):
    case.recovered()
    case.stored.write_bytes(BODY[:-1] + b"x")
    case.recovered()


CONTENT = {
    "a.npz": b"PK\x03\x04 and so on",
    "a.zip": b"PK\x03\x04 and so on",
    "a.hdf5": b"\x89HDF\r\n\x1a\n and so on",
    "a.h5": b"\x89HDF\r\n\x1a\n and so on",
    "a.tar.bz2": b"BZh91AY and so on",
    "a.xyz.xz": b"\xfd7zXZ\x00 and so on",
    "a.tar.gz": b"\x1f\x8b\x08 and so on",
    "a.tar": bytes(257) + b"ustar\x0000" + bytes(248),
    "a.json": b'\n {"a": 1}',
    "a.pt": b"\x80\x02 and so on",
    "a.model": b"PK\x03\x04 and so on",
    "a.xyz": b"1\n\nH 0 0 0\n",
}


@pytest.mark.parametrize("name", CONTENT)
def test_without_a_hash_the_first_bytes_have_to_fit_the_name(server, unknown, name):
    unknown.file = replace(unknown.file, path=name)
    stored = unknown.stored.with_name(name)
    for wrong, reason in ((b"", "empty"), (b"<html>no", "HTML page"), (b"Not found\n" + bytes(600), "first bytes")):
        if name == "a.xyz" and reason == "first bytes":
            continue
        server.files["data.bin"] = wrong
        unknown.refused(reason)
        assert not unknown.output.exists() and not stored.exists()
    server.files["data.bin"] = CONTENT[name]
    unknown.fetch()
    assert unknown.output.read_bytes() == stored.read_bytes() == CONTENT[name]


def test_a_gzip_file_is_not_unpacked_when_the_server_calls_that_an_encoding(server, unknown):
    unknown.file = replace(unknown.file, path="a.tar.gz")
    server.files["data.bin"] = CONTENT["a.tar.gz"]
    server.always = lambda exchange: exchange.send(exchange.begin(Content_Encoding="gzip"))
    unknown.fetch()
    assert unknown.output.read_bytes() == CONTENT["a.tar.gz"]


def test_a_mirror_address_is_asked_first_in_both_layouts(server, case):
    for k, path in enumerate(("mirror/set/1/data.bin", "mirror/set/data.bin")):
        server.files = {path: BODY, "data.bin": BODY}
        case.settings = replace(case.settings, mirror=f"{server.address}/mirror/", store=str(case.folder / f"store{k}"))
        assert case.fetch()["source"] == f"{server.address}/{path}"
        assert case.output.read_bytes() == BODY


def test_a_dead_mirror_does_not_stop_the_download(server, case):
    server.files = {"data.bin": BODY}
    server.faults = [http.status(404), http.page()]
    case.settings = replace(case.settings, mirror=f"{server.address}/mirror")
    case.recovered()


def command(case, **options):
    """The command line of the script for a case, with a manifest of its own; real URLs have to be https there."""
    schema = yaml.safe_load((ROOT / "workflow/schemas/manifest.schema.yaml").read_text())
    schema["$defs"]["url"]["pattern"] = "^https?://"
    (case.folder / "schema.yaml").write_text(yaml.safe_dump(schema))
    known = {key: value for key, value in case.file.expected.items() if value is not None}
    file = {"path": "data.bin", "urls": list(case.file.urls), "verified": "a test", **known}
    entry = {"kind": "dataset", "title": "A set", "version": "1", "licence": "MIT", "citation": "none"}
    entry |= {"homepage": "https://none.org", "files": [file]}
    (case.folder / "manifest.yaml").write_text(yaml.safe_dump({"set": entry}))
    settings = {"store": case.settings.store, "attempts": 3, "timeout_s": 5, "backoff_s": 0.01, **options}
    script = str(ROOT / "workflow/scripts/retrieve_file.py")
    return [
        *(sys.executable, script, "--manifest", str(case.folder / "manifest.yaml")),
        *("--schema", str(case.folder / "schema.yaml"), "--name", "set", "--version", "1", "--file", "data.bin"),
        *("--settings", json.dumps(settings), "--output", str(case.output), "--log", str(case.folder / "log")),
    ]


def start(case, **options):
    """A process of the script."""
    environment = {k: v for k, v in os.environ.items() if k not in ("MLIPSHIFT_RELAY", "MLIPSHIFT_RUN")}
    environment["PYTHONPATH"] = str(ROOT / "workflow")
    return subprocess.Popen(
        command(case, **options), env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_until(true, seconds=10):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("fault", "part"),
    [
        (http.flip(0), "sha256 is"),
        (http.status(404), "answers 404"),
        (http.page(), "HTML"),
        (http.cut(9), "broke off after 9 bytes"),
    ],
    ids=["flip", "404", "page", "cut"],
)
def test_the_script_ends_with_one_line(server, case, fault, part):
    server.always = fault
    process = start(case)
    shown, errors = process.communicate(timeout=30)
    lines = errors.splitlines()
    assert process.returncode == 1 and not shown
    assert len(lines) == 1 and lines[0].startswith("error: set 1, data.bin") and part in lines[0], errors
    assert case.output.read_bytes() == case.stored.read_bytes() == OLD


def test_a_killed_download_goes_on_where_it_was(server, case):
    server.faults = [http.hang(HALF)]
    process = start(case)
    part = case.stored.with_name("data.bin.part")
    wait_until(lambda: part.exists() and part.stat().st_size == HALF)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert case.output.read_bytes() == case.stored.read_bytes() == OLD
    process = start(case)
    assert process.wait(timeout=30) == 0, process.stderr.read()
    assert case.output.read_bytes() == case.stored.read_bytes() == BODY
    assert server.requests[1].headers["Range"] == f"bytes={HALF}-"
    assert server.requests[1].sent == len(BODY) - HALF


def test_two_processes_bring_a_file_once(server, case):
    server.always = http.slowly(0.05)
    processes = [start(case), start(case)]
    for process in processes:
        assert process.wait(timeout=30) == 0, process.stderr.read()
    assert case.output.read_bytes() == case.stored.read_bytes() == BODY
    assert len(server.requests) == 1


def test_a_file_larger_than_the_disk_is_not_begun(server, case):
    case.file = replace(case.file, bytes=None)
    server.always = http.declares(10**17)
    case.refused("100000000000000000 bytes to come, but only [0-9]+ bytes free", "retrieve.store")
    assert len(server.requests) == 1
    assert case.output.read_bytes() == case.stored.read_bytes() == OLD


def test_a_full_disk_is_one_line_and_keeps_what_came(server, case):
    import resource

    environment = {**os.environ, "PYTHONPATH": str(ROOT / "workflow")}
    environment.pop("MLIPSHIFT_RELAY", None)
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (HALF, HALF))  # a limit for files stands in for a disk
    done = subprocess.run(command(case), env=environment, preexec_fn=limit, capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1 and "no space left" in done.stderr and "retrieve.store" in done.stderr
    assert case.stored.with_name("data.bin.part").stat().st_size == HALF
    assert case.output.read_bytes() == case.stored.read_bytes() == OLD
    case.recovered()
    assert server.requests[-1].headers["Range"] == f"bytes={HALF}-"
