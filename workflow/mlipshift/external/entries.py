"""What the calculator and the arguments of a registry entry name: modules, files, properties of the structure."""

import os
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from mlipshift.base.errors import UserError

# what stands in arguments for something of the structure
OF_STRUCTURE = ("{charge}", "{multiplicity}", "{unpaired}")
SCRATCH = "directory"  # argument by which ASE's calculators know the folder that they write into
MOST_FILES = 10_000  # of a folder that is named in arguments


def calculator_of(entry: Mapping[str, Any]) -> tuple[str, str]:
    """(module or path of a Python file, dotted name of the callable in it) of the calculator of an entry."""
    place, _, name = entry["calculator"].rpartition(":")
    return place, name


def is_file(place: str) -> bool:
    """Whether a calculator's place is a file rather than a module."""
    return place.endswith(".py") or os.sep in place


def import_root(path: Path | str) -> Path:
    """Folder from which a calculator's file is imported: beside it, or above the packages that it is in."""
    folder = Path(path).absolute().parent
    while (folder / "__init__.py").exists() and folder != folder.parent:
        folder = folder.parent
    return folder


def files_in(arguments: Any) -> Iterator[str]:
    """Files that arguments name, at any depth, and those of folders; but of the folder that a calculator writes into.

    Raises UserError for a folder of too many files.
    """
    if isinstance(arguments, str) and Path(arguments).is_dir():
        files = list(islice((p for p in Path(arguments).rglob("*") if p.is_file()), MOST_FILES + 1))
        if len(files) > MOST_FILES:
            raise UserError(f"{arguments}: a folder of more than {MOST_FILES} files; name the file in it that is meant")
        yield from sorted(map(str, files))
    elif isinstance(arguments, str) and Path(arguments).is_file():
        yield arguments
    elif isinstance(arguments, Mapping):
        yield from (file for key, value in arguments.items() if key != SCRATCH for file in files_in(value))
    elif isinstance(arguments, list):
        yield from (file for value in arguments for file in files_in(value))


def replaced(arguments: Any, text: Callable[[str], Any]) -> Any:
    """Arguments with every text in them, at any depth, put through a function."""
    if isinstance(arguments, Mapping):
        return {key: replaced(value, text) for key, value in arguments.items()}
    if isinstance(arguments, list):
        return [replaced(value, text) for value in arguments]
    return text(arguments) if isinstance(arguments, str) else arguments
