"""Which files of a folder are structure files: a folder of the settings stands for all of them."""

from pathlib import Path

from ase.io.formats import filetype, ioformats

from mlipshift.base.errors import UserError
from mlipshift.data.readers import FORMATS
from mlipshift.data.readers.beginning import Beginning

SURE = {".xyz", ".extxyz"}  # whatever they hold, an empty one included: their reader says what is wrong
NOTES = {".md"}  # of CASTEP to ASE, a README to everybody else
BEGINNING = 50_000  # bytes, as ASE takes them


def structure_files(folder: Path | str) -> tuple[list[str], list[str]]:
    """(sorted paths of the files in a folder that a reader knows, names of the others); hidden ones are in neither."""
    files = sorted(p for p in Path(folder).iterdir() if p.is_file() and not p.name.startswith("."))
    known = [path for path in files if _known(path)]
    return [str(path) for path in known], [path.name for path in files if path not in known]


def _known(path):
    if SURE & set(path.suffixes):
        return True
    if path.suffix in NOTES:
        return False
    try:
        beginning = Beginning(path)
        readers = [name for name, module in FORMATS.items() if module.recognises(beginning)]
    except UserError:  # damaged, which is to be said when it is read
        return True
    return readers != ["ase"] and bool(readers) or readers == ["ase"] and _readable(path)


def _readable(path):
    """Whether ASE reads, and does not only write, the format that a name stands for, and the content fits the name."""
    kind = ioformats[filetype(str(path))]
    with open(path, "rb") as handle:
        beginning = handle.read(BEGINNING)
    return kind.can_read and (not (kind.magic or kind.magic_regex) or kind.match_magic(beginning))
