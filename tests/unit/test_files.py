"""Paths of the settings: what `~` and patterns mean, whatever letters a name has."""

import pytest

from mlipshift.base.errors import UserError
from mlipshift.base.files import expanded, matching

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
