"""Paths of the settings: what `~` and patterns mean, whatever letters a name has."""

from pathlib import Path

import pytest

from mlipshift.base.errors import UserError
from mlipshift.base.files import expanded

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
    assert expanded(name, folder) == expanded(folder / name) == [str(folder / name)]
    monkeypatch.chdir(folder)
    assert expanded(name) == expanded(f"./{name}") == [name]


def test_a_pattern_is_what_matches_it_sorted_and_without_hidden_files(folder, monkeypatch):
    flat = sorted(str(folder / name) for name in NAMES if "/" not in name)
    assert expanded("*.xyz", folder) == flat
    assert expanded("**/*.xyz", folder) == sorted([*flat, str(folder / "deep/er/c.xyz")])
    assert expanded("[ab].xyz", folder) == [str(folder / "a.xyz"), str(folder / "b.xyz")]
    monkeypatch.chdir(folder)
    assert expanded("?.xyz") == ["a.xyz", "b.xyz"]
    with pytest.raises(UserError, match=r"nothing/\*\.xyz: matches no file"):
        expanded("nothing/*.xyz", folder)


def test_a_tilde_is_the_home(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder))
    assert expanded("~/a.xyz") == expanded("~/a.xyz", "elsewhere") == [str(folder / "a.xyz")]
    assert expanded("~/?.xyz") == [str(folder / "a.xyz"), str(folder / "b.xyz")]
    assert expanded("~nobody-of-that-name/a.xyz") == [str(Path("~nobody-of-that-name/a.xyz"))]
