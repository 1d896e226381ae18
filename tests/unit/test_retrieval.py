"""Mirrors, the store, links, archives and the check of sources; faults of servers are in tests/reliability."""

import hashlib
import io
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import yaml

from mlipshift.base.errors import UserError
from mlipshift.data import archives, retrieval, transfer
from mlipshift.data.manifest import Entry, File

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "reliability"))
import server as http  # noqa: E402

BODY = bytes(range(256)) * 40
ENTRY = Entry("set", "dataset", "A set", "1", "MIT", "none", "https://none.org")
FILE = File(
    "deep/data.bin",
    ("https://none.invalid/data.bin",),
    bytes=len(BODY),
    sha256=hashlib.sha256(BODY).hexdigest(),
)


@pytest.fixture
def settings(tmp_path):
    return transfer.Settings(
        mirror=str(tmp_path / "mirror"), offline=True, store=str(tmp_path / "store"), attempts=1, timeout_s=1
    )


@pytest.fixture
def output(tmp_path):
    return tmp_path / "data/set/1/deep/data.bin"


def put(path, content=BODY):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def refused(settings, output, file=FILE):
    with pytest.raises(UserError) as caught:
        retrieval.fetch(ENTRY, file, output, settings)
    text = str(caught.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize("layout", ["set/1/deep/data.bin", "set/deep/data.bin"])
def test_a_mirror_folder_in_both_layouts(settings, output, tmp_path, layout):
    source = put(tmp_path / "mirror" / layout)
    record = retrieval.fetch(ENTRY, FILE, output, settings)
    assert output.read_bytes() == BODY and record["source"] == str(source)
    output.write_bytes(b"edited")
    assert source.read_bytes() == BODY, "a mirror is copied, never linked"


def test_the_store_of_another_clone_is_a_mirror(settings, output, tmp_path):
    put(tmp_path / "mirror/set/1/deep/data.bin")
    retrieval.fetch(ENTRY, FILE, output, settings)
    other = replace(settings, mirror=settings.store, store=str(tmp_path / "store of the other"))
    retrieval.fetch(ENTRY, FILE, tmp_path / "other", other)
    assert (tmp_path / "other").read_bytes() == BODY


def test_the_output_is_a_link_to_the_store_and_comes_back_without_a_source(settings, output, tmp_path):
    put(tmp_path / "mirror/set/1/deep/data.bin")
    retrieval.fetch(ENTRY, FILE, output, settings)
    assert output.samefile(tmp_path / "store/set/1/deep/data.bin")
    shutil.rmtree(tmp_path / "mirror")
    output.unlink()
    for _ in range(2):
        retrieval.fetch(ENTRY, FILE, output, settings)
        assert output.read_bytes() == BODY
    assert sorted(p.name for p in output.parent.iterdir()) == ["data.bin"]


def test_the_output_is_a_symbolic_link_across_file_systems(settings, output, tmp_path):
    other = Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second file system here")
    put(tmp_path / "mirror/set/1/deep/data.bin")
    output = other / f"mlipshift-{os.getpid()}"
    try:
        for _ in range(2):
            retrieval.fetch(ENTRY, FILE, output, settings)
            assert output.is_symlink() and output.read_bytes() == BODY
    finally:
        output.unlink(missing_ok=True)


def test_offline_without_a_copy_says_what_to_put_where(settings, output, tmp_path):
    text = refused(replace(settings, mirror=None), output)
    for part in ("set 1, deep/data.bin", str(len(BODY)), FILE.sha256, FILE.urls[0], "retrieve.offline", settings.store):
        assert part in text
    put(tmp_path / "store/set/1/deep/data.bin")
    record = retrieval.fetch(ENTRY, FILE, output, replace(settings, mirror=None))
    assert output.read_bytes() == BODY and record["sha256"] == FILE.sha256


def test_a_wrong_file_in_the_mirror_is_named_and_refused(settings, output, tmp_path):
    source = put(tmp_path / "mirror/set/1/deep/data.bin", BODY[::-1])
    text = refused(settings, output)
    assert str(source) in text and "sha256 is" in text and FILE.sha256 in text
    assert not output.exists()
    put(tmp_path / "mirror/set/deep/data.bin")
    retrieval.fetch(ENTRY, FILE, output, settings)
    assert output.read_bytes() == BODY


def test_a_wrong_file_put_into_the_store_by_hand_is_refused(settings, output, tmp_path):
    put(tmp_path / "store/set/1/deep/data.bin", b"something else")
    assert FILE.sha256 in refused(settings, output)
    assert not output.exists()


def test_a_file_without_a_hash_is_recorded_once(settings, output, tmp_path):
    file = File("deep/data.bin", FILE.urls)
    put(tmp_path / "mirror/set/1/deep/data.bin")
    first = retrieval.fetch(ENTRY, file, output, settings)
    assert first["sha256"] == FILE.sha256 and first["bytes"] == len(BODY)
    output.unlink()
    (tmp_path / "store/set/1/deep/data.bin").unlink()
    put(tmp_path / "mirror/set/1/deep/data.bin", BODY + b"x")
    assert "expected" in refused(settings, output, file)
    (tmp_path / "store/set/1/deep/data.bin.json").unlink()
    assert retrieval.fetch(ENTRY, file, output, settings)["bytes"] == len(BODY) + 1


def test_the_manifest_overrules_the_record(settings, output, tmp_path):
    put(tmp_path / "mirror/set/1/deep/data.bin", b"first version")
    retrieval.fetch(ENTRY, File("deep/data.bin", FILE.urls), output, settings)
    put(tmp_path / "mirror/set/1/deep/data.bin")
    retrieval.fetch(ENTRY, FILE, output, settings)
    assert output.read_bytes() == BODY


def test_user_name_and_password_of_an_address_are_not_shown():
    assert transfer.shown("https://me:secret@a.org/x?y=1") == "https://a.org/x?y=1"


@pytest.mark.parametrize(
    ("text", "wait"), [("7", 7.0), ("", 0.0), ("soon", 0.0), ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0)]
)
def test_retry_after_in_both_forms(text, wait):
    assert transfer._retry_after({"Retry-After": text}) == wait


def test_retry_after_as_a_date_to_come():
    assert transfer._retry_after({"Retry-After": "Fri, 01 Jan 2100 00:00:00 GMT"}) > 1e6


# Archives


def tar(path, *members):
    """Tar file of (name, content or TarInfo type, link target)."""
    with tarfile.open(path, "w:" + (path.suffix[1:] if path.suffix != ".tar" else "")) as handle:
        for name, content, *target in members:
            info = tarfile.TarInfo(name)
            if not target and content not in (tarfile.DIRTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
                info.size = len(content)
                handle.addfile(info, io.BytesIO(content))
            else:
                info.type = content
                info.linkname = target[0] if target else ""
                handle.addfile(info)
    return path


@pytest.mark.parametrize("suffix", ["tar", "tar.gz", "tar.bz2", "tar.xz"])
def test_a_tar_file_is_unpacked(tmp_path, suffix):
    archive = tar(tmp_path / f"a.{suffix}", ("x/one.txt", b"1."), ("./x/y/two.txt", b"22"), ("d", tarfile.DIRTYPE))
    archives.unpack(archive, tmp_path / "out")
    found = {str(p.relative_to(tmp_path / "out")): p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert found == {"x/one.txt": b"1.", "x/y/two.txt": b"22"}
    assert (tmp_path / "out/d").is_dir() and not (tmp_path / "out.part").exists()


def test_a_zip_file_is_unpacked(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as handle:
        handle.writestr("x/one.txt", "1" * 1000)
        handle.mkdir("d")
    archives.unpack(tmp_path / "a.zip", tmp_path / "out")
    assert (tmp_path / "out/x/one.txt").read_text() == "1" * 1000 and (tmp_path / "out/d").is_dir()


def zipped(path, name, mode=None, content=b"x"):
    info = zipfile.ZipInfo(name)
    if mode:
        info.external_attr = mode << 16
    with zipfile.ZipFile(path, "w") as handle:
        handle.writestr(info, content)
    return path


ATTACKS = {
    "tar, parent": lambda p: tar(p / "a.tar", ("ok", b"1"), ("../evil", b"x")),
    "tar, parent deep": lambda p: tar(p / "a.tar", ("x/../../evil", b"x")),
    "tar, absolute": lambda p: tar(p / "a.tar", (str(p / "evil"), b"x")),
    "tar, symbolic link out": lambda p: tar(p / "a.tar", ("l", tarfile.SYMTYPE, ".."), ("l/evil", b"x")),
    "tar, symbolic link absolute": lambda p: tar(p / "a.tar", ("l", tarfile.SYMTYPE, str(p))),
    "tar, hard link out": lambda p: tar(p / "a.tar", ("l", tarfile.LNKTYPE, "../secret")),
    "tar, device": lambda p: tar(p / "a.tar", ("d", tarfile.CHRTYPE)),
    "tar, fifo": lambda p: tar(p / "a.tar", ("d", tarfile.FIFOTYPE)),
    "tar, bomb": lambda p: tar(p / "a.tar.xz", ("a", bytes(600_000)), ("b", bytes(600_000))),
    "zip, parent": lambda p: zipped(p / "a.zip", "../evil"),
    "zip, absolute": lambda p: zipped(p / "a.zip", "/evil"),
    "zip, backslash": lambda p: zipped(p / "a.zip", "..\\evil"),
    "zip, drive": lambda p: zipped(p / "a.zip", "C:\\evil"),
    "zip, symbolic link": lambda p: zipped(p / "a.zip", "l", stat.S_IFLNK | 0o777, b"/etc"),
    "zip, bomb": lambda p: zipped(p / "a.zip", "a", content=bytes(1_200_000)),
}


@pytest.mark.parametrize("make", ATTACKS.values(), ids=ATTACKS)
def test_a_malicious_archive_leaves_nothing(tmp_path, make):
    (tmp_path / "secret").write_text("secret")
    archive = make(tmp_path)
    before = sorted(p.name for p in tmp_path.iterdir())
    with pytest.raises(UserError, match="outside its folder|is a link|is a device|unpacks to more") as caught:
        archives.unpack(archive, tmp_path / "in/out", limit=1_000_000)
    assert "\n" not in str(caught.value) and str(archive) in str(caught.value)
    shutil.rmtree(tmp_path / "in")
    assert sorted(p.name for p in tmp_path.iterdir()) == before


DAMAGES = {
    "cut": lambda content: content[: len(content) // 2],
    "flipped": lambda content: content[:200] + bytes([content[200] ^ 255]) + content[201:],
    "no archive": lambda content: b"Not found\n" * 100,
    "empty": lambda content: b"",
}


@pytest.mark.parametrize("suffix", ["gz", "bz2", "xz"])
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_archive_is_one_line_and_leaves_what_was_there(tmp_path, suffix, damage):
    archive = tar(tmp_path / f"a.tar.{suffix}", *((f"f{k}", os.urandom(5000)) for k in range(4)))
    archive.write_bytes(damage(archive.read_bytes()))
    put(tmp_path / "out/old")
    with pytest.raises(UserError, match="damaged, or no tar or zip file") as caught:
        archives.unpack(archive, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert (tmp_path / "out/old").read_bytes() == BODY and not (tmp_path / "out.part").exists()


def test_one_file_out_of_an_archive(tmp_path):
    archive = tar(tmp_path / "a.tar.gz", ("../evil", b"x"), ("./x/one.txt", b"1"), ("x/two.txt", b"22"))
    archives.extract(archive, "x/one.txt", tmp_path / "out/x/one.txt")
    assert (tmp_path / "out/x/one.txt").read_bytes() == b"1"
    with pytest.raises(UserError, match="no file 'x/three.txt'; it begins with .*one.txt"):
        archives.extract(archive, "x/three.txt", tmp_path / "out/x/three.txt")
    with pytest.raises(UserError, match="more than there is room for"):
        archives.extract(archive, "x/two.txt", tmp_path / "out/x/two.txt", limit=1)
    assert sorted(p.name for p in (tmp_path / "out/x").iterdir()) == ["one.txt"]


# The scripts


def run(script, *arguments):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MLIPSHIFT")}
    environment |= {"PYTHONPATH": str(ROOT / "workflow"), "NO_PROXY": "127.0.0.1"}
    command = [sys.executable, ROOT / "workflow/scripts" / f"{script}.py", *arguments]
    return subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True, timeout=60)


def test_the_script_unpacks(tmp_path):
    archive = tar(tmp_path / "a.tar.gz", ("x/one.txt", b"1"))
    assert run("unpack", "--archive", archive, "--output", tmp_path / "all").returncode == 0
    assert (tmp_path / "all/x/one.txt").read_bytes() == b"1"
    done = run("unpack", "--archive", archive, "--member", "x/one.txt", "--output", tmp_path / "one")
    assert done.returncode == 0 and (tmp_path / "one").read_bytes() == b"1"
    done = run("unpack", "--archive", archive, "--member", "y", "--output", tmp_path / "y", "--log", tmp_path / "log")
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1


@pytest.fixture
def sources(tmp_path):
    """A server with a manifest of its own: (server, function that runs check_sources and returns the table)."""
    server = http.Server()
    schema = yaml.safe_load((ROOT / "workflow/schemas/manifest.schema.yaml").read_text())
    schema["$defs"]["url"]["pattern"] = "^https?://"
    entry = schema["additionalProperties"]["properties"]
    entry["any_file"]["pattern"] = "^http"
    (tmp_path / "schema.yaml").write_text(yaml.safe_dump(schema))
    common = {"kind": "dataset", "title": "A set", "licence": "MIT", "citation": "none", "homepage": "https://none.org"}

    def file(path, **known):
        return {"path": path, "urls": [f"{server.address}/{path}"], "verified": "a test", **known}

    content = {
        "plain": common
        | {"version": "1", "files": [file("good", bytes=10), file("longer", bytes=10), file("lost"), file("page")]},
        "hub": common
        | {
            "version": "main",
            "any_file": f"{server.address}/hub/{{path}}",
            "index": {"kind": "huggingface", "url": f"{server.address}/tree"},
        },
        "zen": common
        | {"version": "1", "files": [file("z")], "index": {"kind": "zenodo", "url": f"{server.address}/record"}},
    }
    (tmp_path / "manifest.yaml").write_text(yaml.safe_dump(content))
    server.files |= {"good": bytes(10), "longer": bytes(12), "hub/a/b.xyz": b"1\n\nH 0 0 0", "z": bytes(7)}
    tree = [
        {"type": "directory", "path": "a", "size": 0},
        {"type": "file", "path": "a/b.xyz", "size": 10, "lfs": {"oid": "f" * 64, "size": 10}},
    ]
    server.files["tree"] = json.dumps(tree).encode()
    server.files["record"] = json.dumps({"files": [{"key": "z", "size": 7, "checksum": "md5:" + "e" * 32}]}).encode()

    def check(**settings):
        done = run(
            *("ask_sources", "--manifest", tmp_path / "manifest.yaml", "--schema", tmp_path / "schema.yaml"),
            *("--settings", json.dumps({"timeout_s": 2, **settings}), "--output", tmp_path / "sources.csv"),
            *("--log", tmp_path / "log"),
        )
        if done.returncode:
            return done.stderr
        return pd.read_csv(tmp_path / "sources.csv", keep_default_na=False, dtype=str).set_index("file")

    yield server, check
    server.close()


def test_the_check_of_sources_downloads_nothing_and_says_what_differs(sources):
    server, check = sources
    normal = http.Exchange.begin

    def begin(exchange, *arguments, **headers):
        if exchange.path == "/page":
            headers["Content_Type"] = "text/html"
        return normal(exchange, *arguments, **headers)

    server.files["page"] = b"<html></html>"
    http.Exchange.begin = begin
    try:
        table = check()
    finally:
        http.Exchange.begin = normal
    assert dict(table.loc["good", ["reachable", "bytes", "bytes_agree"]]) == {
        "reachable": "true",
        "bytes": "10",
        "bytes_agree": "true",
    }
    assert table.loc["longer", "bytes_agree"] == "false"
    assert table.loc["lost", "reachable"] == "false" and "404" in table.loc["lost", "note"]
    assert table.loc["page", "reachable"] == "false" and "HTML" in table.loc["page", "note"]
    assert table.loc["a/b.xyz", "bytes_agree"] == "true" and "f" * 64 in table.loc["a/b.xyz", "note"]
    assert table.loc["z", "bytes_agree"] == "true" and "md5 " + "e" * 32 in table.loc["z", "note"]
    contents = [e for e in server.requests if e.path not in ("/tree", "/record")]
    assert all(e.method == "HEAD" or e.sent <= 1 for e in contents)


def test_a_server_without_head_is_asked_for_one_byte(sources):
    server, check = sources

    def no_head(exchange):
        if exchange.method == "HEAD":
            exchange.head(405, 0)
        elif exchange.body is None:
            exchange.head(404, 0)
        else:
            exchange.send(exchange.begin())

    server.always = no_head
    table = check()
    assert table.loc["good", "bytes_agree"] == "true" and table.loc["longer", "bytes"] == "12"
    assert "bytes=0-0" in {e.headers.get("Range") for e in server.requests}


def test_an_index_that_does_not_answer_is_a_note(sources):
    server, check = sources
    server.files["tree"] = b'{"error": "Repository not found"}'
    del server.files["record"]
    table = check()
    assert "index: " in table.loc["", "note"] and table.loc["", "name"] == "hub"
    assert "index: " in table.loc["z", "note"] and table.loc["z", "reachable"] == "true"


def test_the_check_of_sources_refuses_to_run_offline(sources):
    assert re.fullmatch(r"error: retrieve.offline is true.*\n", sources[1](offline=True))


# The rules


@pytest.fixture
def clone(tmp_path):
    """Working directory with a manifest and a mirror of its own; returns (directory, function that runs Snakemake)."""
    for name in ("Snakefile", "envs", "config"):
        (tmp_path / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "workflow", tmp_path / "workflow", ignore=shutil.ignore_patterns("__pycache__"))
    archive = tar(tmp_path / "a.tar.gz", ("x/one.txt", b"1."), ("x/two.txt", b"22"))
    mirror = tmp_path / "mirror" / "set"
    put(mirror / "plain.bin")
    put(mirror / "deep/other.bin", BODY[::-1])
    put(mirror / "a.tar.gz", archive.read_bytes())
    entry = {"kind": "dataset", "title": "A set", "version": "1", "licence": "MIT", "citation": "none"}
    entry |= {"homepage": "https://none.org", "files": []}
    for path in ("plain.bin", "deep/other.bin", "a.tar.gz"):
        entry["files"].append({"path": path, "urls": ["https://none.invalid/" + path], "verified": "a test"})
    entry["files"][2] |= {"archive": True, "unpacked_bytes": 100}
    write = lambda: put(tmp_path / "resources/manifest.yaml", yaml.safe_dump({"set": entry}).encode())
    write()

    def snakemake(*arguments, mirror="mirror"):
        settings = "retrieve=" + json.dumps({"mirror": mirror, "offline": True})
        options = ["--workflow-profile", "none", "--cores", "1", "--config", settings]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("MLIPSHIFT")}
        done = subprocess.run(
            [sys.executable, "-m", "snakemake", *options, *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return re.findall(r"^Job \d+: (.*)", done.stdout + done.stderr, re.M)

    return tmp_path, entry, write, snakemake


def test_the_rules_download_unpack_and_run_again_only_for_another_hash(clone):
    folder, entry, write, snakemake = clone
    data = folder / "data/set/1"
    wanted = ["data/set/1/plain.bin", "data/set/1/deep/other.bin"]
    packed = ["data/set/1/unpacked/a.tar.gz", "data/set/1/members/a.tar.gz/x/two.txt"]
    snakemake("--", *wanted, *packed)
    assert (data / "plain.bin").read_bytes() == BODY and (data / "deep/other.bin").read_bytes() == BODY[::-1]
    assert (data / "unpacked/a.tar.gz/x/one.txt").read_bytes() == b"1."
    assert (data / "members/a.tar.gz/x/two.txt").read_bytes() == b"22"
    with open(folder / "workflow/mlipshift/data/retrieval.py", "a") as handle:
        handle.write("# edited\n")
    entry["files"][0]["urls"].append("https://none.invalid/another")
    write()
    assert snakemake("-n", "--", *wanted, mirror="another") == [], "settings, code and addresses are no reason"
    entry["files"][0]["sha256"] = hashlib.sha256(BODY).hexdigest()
    write()
    again = snakemake("-n", "--", *wanted, mirror="another")
    assert again == ["Download plain.bin of set 1."], "only the file whose hash the manifest now states"
    snakemake("--", *wanted, mirror="/nowhere")
    assert (data / "plain.bin").read_bytes() == BODY, "from the store, without the mirror"
