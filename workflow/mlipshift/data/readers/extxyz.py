"""Extended XYZ, also compressed; keys and units are those of the configuration."""

import io
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from ase.io import read as read_frame

from mlipshift.base.errors import UserError
from mlipshift.data.readers.atoms import record_of
from mlipshift.data.readers.beginning import Beginning
from mlipshift.data.readers.common import Request, selected, stream, told
from mlipshift.data.records import Record

UNITS = None  # data.units


def recognises(beginning: Beginning) -> bool:
    """Whether a number of atoms is in the first line, whatever the file is called."""
    return beginning.text.partition(b"\n")[0].strip().isdigit()


def read(path: Path | str, request: Request) -> Iterator[Record]:
    """Yield the wanted frames of a file."""
    yield from selected(path, _frames(path, request.name, request.settings), request.wanted)


def _frames(path, name, settings):
    keys, units = settings["keys"], settings["units"]
    with told(path), stream(path) as binary, io.TextIOWrapper(binary, encoding="utf-8") as handle:
        line, index = 0, 0
        while first := handle.readline():
            line += 1
            where = f"{path}, frame {index} (line {line})"
            if not first.strip():
                # empty lines may end a file, and only end it
                if any(rest.strip() for rest in handle):
                    raise UserError(f"{where}: expected the number of atoms, found ''; mend the file")
                break
            if not first.split()[0].isdecimal() or len(first.split()) > 1:
                raise UserError(f"{where}: expected the number of atoms, found {first[:40].rstrip()!r}; mend the file")
            count = int(first)
            lines = list(islice(handle, count + 1))
            if len(lines) < count + 1:
                found = max(len(lines) - 1, 0)
                raise UserError(f"{where}: the file ends after {found} of {count} atoms; fetch it again")
            yield record_of(_xyz_atoms(first + "".join(lines), where), path, name, where, index, keys, units)
            line += count + 1
            index += 1


def _xyz_atoms(text, where):
    try:
        return read_frame(io.StringIO(text), format="extxyz")
    except Exception as error:  # ASE raises many kinds for a damaged frame
        raise UserError(f"{where}: damaged, {error}; fetch the file again or mend the frame") from error
