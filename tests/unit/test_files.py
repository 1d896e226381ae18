"""Paths of the settings, whatever letters they have, and what files hold, whatever their times say."""

import json
import os
import time

import pytest

from mlipshift.base.errors import UserError
from mlipshift.base.files import expanded, matching
from mlipshift.data.readers.folders import structure_files
from mlipshift.run import contents

NAMES = ["b.xyz", "a.xyz", "with space.xyz", "it's.xyz", 'say "x".xyz', "Δ µ.xyz", "[1].xyz", "deep/er/c.xyz"]


@pytest.fixture
def folder(tmp_path):
    for name in [*NAMES, ".hidden.xyz", "notes.md"]:
        path = tmp_path / "my [data]" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "my [data]"


@pytest.mark.parametrize("name", [*NAMES, "missing.xyz"])
def test_a_path_without_a_pattern_is_itself(folder, name, monkeypatch):
    assert matching(folder / name) == [str(folder / name)]
    monkeypatch.chdir(folder)
    assert matching(f".//{name}") == [name]  # Snakemake would complain of the dot


def test_a_pattern_is_what_matches_it_sorted_and_without_hidden_files(folder, monkeypatch):
    flat = sorted(str(folder / name) for name in NAMES if "/" not in name)
    assert matching(folder / "*.xyz") == flat
    assert matching(folder / "**/*.xyz") == sorted([*flat, str(folder / "deep/er/c.xyz")])
    assert matching(folder / "[ab].xyz") == [str(folder / "a.xyz"), str(folder / "b.xyz")]
    monkeypatch.chdir(folder)
    assert matching("?.xyz") == ["a.xyz", "b.xyz"]
    with pytest.raises(UserError, match=r"nothing/\*\.xyz: matches no file"):
        matching("nothing/*.xyz")


def test_a_tilde_is_the_home(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder))
    assert expanded("~/a.xyz") == expanded("~/a.xyz", "elsewhere") == str(folder / "a.xyz")
    assert matching("~/?.xyz") == [str(folder / "a.xyz"), str(folder / "b.xyz")]
    assert matching("~nobody-of-that-name/a.xyz") == ["~nobody-of-that-name/a.xyz"]


def test_a_relative_path_is_of_the_working_directory_or_else_of_the_file_that_names_it(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    assert expanded("a.xyz", folder) == str(folder / "a.xyz")
    assert expanded("missing.xyz", folder) == "missing.xyz"
    monkeypatch.chdir(folder)
    assert expanded("a.xyz", "deep/er") == "a.xyz"


def test_a_folder_is_its_structure_files(tmp_path):
    content = {"b.extxyz": b"", "a.xyz.gz": b"damaged", "c.npz": b"PK\x03\x04", "g.log": b" Entering Gaussian System,"}
    others = {
        "README.md": b"# H2O\n",
        "SHA256SUMS": b"0" * 64 + b"  a",
        "run.log": b"10:00 done\n",
        "plot.png": b"\x89PNG",
    }
    for name, text in {**content, **others, ".b.xyz": b"", "sub/d.xyz": b""}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(text)
    assert structure_files(tmp_path) == (sorted(str(tmp_path / name) for name in content), sorted(others))


@pytest.fixture
def counted(monkeypatch):
    """Names of the files that were read."""
    read, names = contents._read, []
    monkeypatch.setattr(contents, "_read", lambda path, size: names.append(os.path.basename(path)) or read(path, size))
    return names


def test_contents_are_read_once_and_again_where_anything_tells(tmp_path, counted, monkeypatch):
    monkeypatch.setattr(contents, "RECENT", 0)
    cache, path, sub = tmp_path / "cache.json", tmp_path / "a", tmp_path / "sub"
    sub.mkdir()
    path.write_text("one")
    (sub / "b").write_text("two")
    hashes = lambda: list(contents.contents([path, sub], cache).values())
    first = hashes()
    assert len({*first}) == 2 and hashes() == first and counted == ["a", "b"]
    os.utime(path)
    assert hashes() == first and counted == ["a", "b", "a"]
    # of the same size and time: another inode, or written in place
    times = path.stat()
    for write in (lambda: os.replace(_other(tmp_path, "eno"), path), lambda: path.write_text("neo")):
        before = hashes()
        time.sleep(0.02)
        write()
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        assert path.stat().st_size == 3 and hashes()[0] != before[0]
    (sub / "c").touch()
    assert hashes()[1] != first[1]
    with pytest.raises(FileNotFoundError):
        contents.contents([tmp_path / "missing"], cache)


def _other(folder, text):
    (folder / "new").write_text(text)
    return folder / "new"


def test_what_was_written_just_now_is_not_remembered_and_a_damaged_memory_is_none(tmp_path, counted):
    cache, path = tmp_path / "cache.json", tmp_path / "a"
    path.write_text("one")
    first = contents.contents([path], cache)
    assert contents.contents([path], cache) == first and counted == ["a", "a"] and not cache.exists()
    for text in ("{", "[]", json.dumps({str(path): []})):
        cache.write_text(text)
        assert contents.contents([path], cache) == first
