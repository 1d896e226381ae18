"""Extended XYZ, also compressed; keys are those of the configuration, units as well, eV and Å where it says none."""

import io
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from ase.data import chemical_symbols
from ase.io import read as read_frame

from mlipshift.base.errors import UserError, shortened
from mlipshift.data.readers.atoms import TEXTS, LabelKeys, Place, damaged, record_of
from mlipshift.data.readers.beginning import Beginning
from mlipshift.data.readers.common import Request, selected, stream, told
from mlipshift.data.readers.units import ANGSTROM, settled
from mlipshift.data.records import Record

# key, or key=value with a value that is quoted, in brackets or a word
TOKEN = re.compile(
    r"""(?P<key>"[^"]*"|[^\s="]+)(?:\s*=\s*(?P<value>"(?:[^"\\]|\\.)*"|'[^']*'|\{[^}]*\}|\[[^\]]*\](?=\s|$)|\S+))?"""
)
ISOTOPES = {"D": "H", "T": "H"}
INTEGERS = re.compile(r"\s*[+-]?\d+\s+\d+\s*$")


def units(path: Path | str, settings: dict) -> tuple[dict[str, str], bool]:
    """(units {"energy", "length", "forces"} of a file, whether the configuration can say them)."""
    return settled(path, settings, {}, ANGSTROM), True


def recognises(beginning: Beginning) -> bool:
    """Whether a number of atoms is in the first line, whatever the file is called."""
    return beginning.text.partition(b"\n")[0].strip().isdigit()


def read(path: Path | str, request: Request) -> Iterator[Record]:
    """Yield the wanted frames of a file."""
    yield from selected(path, _frames(path, request), request.wanted)


def _frames(path, request):
    keys = request.keys
    labels = LabelKeys(keys["energy"], keys["forces"], units(path, request.settings)[0])
    with told(path), stream(path) as binary, io.TextIOWrapper(binary, encoding="utf-8-sig") as handle:
        line, index, last = 0, 0, None
        while first := handle.readline():
            line += 1
            place = Place(path, f"{path}, frame {index} (line {line})", index)
            if not first.strip():
                # empty lines may end a file, and only end it
                if any(rest.strip() for rest in handle):
                    raise UserError(f"{place.where}: expected the number of atoms, found ''; mend the file")
                break
            if not first.split()[0].isdecimal() or len(first.split()) > 1:
                if last is not None and not len(last.numbers):
                    # where its own number of atoms is wrong, what follows says nothing
                    raise UserError(f"{last.where}: {last.problem}; mend the frame and its number of atoms")
                raise UserError(
                    f"{place.where}: expected the number of atoms, found {first[:40].rstrip()!r}; mend the file"
                )
            count = int(first)
            lines = list(islice(handle, count + 1))
            if len(lines) < count + 1:
                found = max(len(lines) - 1, 0)
                raise UserError(f"{place.where}: the file ends after {found} of {count} atoms; fetch it again")
            last = _frame(first, lines, place, labels, request)
            yield last
            line += count + 1
            index += 1


def _frame(first, lines, place, labels, request):
    """The record of a frame, also of one that cannot be read: its number of atoms says where the next one begins."""
    try:
        atoms, renamed = _parsed(first, lines)
    except Exception as error:  # ASE raises many kinds for a damaged frame
        reason = f"{type(error).__name__}: {shortened(error)}"
        return damaged(place, request, f"damaged, it cannot be read as extended XYZ ({reason})")
    for name in ISOTOPES.keys() & renamed.keys():
        request.notes.say(name, f"{name} is read as {ISOTOPES[name]}; masses do not count here")
    comment = lines[0].strip()
    if INTEGERS.match(comment):
        request.notes.say(
            "comment",
            f"comment {comment!r} may be charge and multiplicity and is not read; write charge=... multiplicity=...",
        )
    return record_of(atoms, place, labels, request, more=_texts(comment, request.keys))


def _parsed(first, lines):
    """(Atoms, {name of an atom that ASE does not know: symbol}) of a frame."""
    try:
        return read_frame(io.StringIO(first + "".join(lines)), format="extxyz"), {}
    except Exception:  # of many kinds
        lines, renamed = _usual_symbols(lines)
        return read_frame(io.StringIO(first + "".join(lines)), format="extxyz"), renamed


def _texts(comment, keys):
    """{key: text} of what is a text whatever it looks like: 0007 is not 7, F is fluorine, and [H][H] no list."""
    wanted = {keys.get(name) or name for name in TEXTS} | {"SMILES", "Smiles"}
    found = {}
    for token in TOKEN.finditer(comment):
        key, value = token["key"].strip('"'), token["value"]
        if key in wanted and value is not None:
            if value[0] in "\"'{" and len(value) > 1:
                value = value[1:-1].replace('\\"', '"')
            found[key] = value
    return found


def _usual_symbols(lines):
    """(lines of a frame with the symbols that ASE knows, {what stood there: symbol}).

    D and T are hydrogen, numbers are atomic numbers, and capital letters do not matter.
    """
    properties = re.search(r'Properties\s*=\s*"?([^\s"]+)', lines[0], re.I)
    fields = (properties[1] if properties else "species:S:1:pos:R:3").split(":")
    column, renamed = 0, {}
    for name, width in zip(fields[::3], fields[2::3]):
        if name.lower() in ("species", "symbols", "symbol"):
            break
        column += int(width) if width.isdecimal() else 1
    else:
        return lines, {}
    changed = [lines[0]]
    for row in lines[1:]:
        words = row.split()
        symbol = _symbol(words[column]) if column < len(words) else None
        if symbol and symbol != words[column]:
            renamed[words[column]] = words[column] = symbol
            row = " ".join(words) + "\n"
        changed.append(row)
    return changed, renamed


def _symbol(word):
    if word in ISOTOPES:
        return ISOTOPES[word]
    if word.isdecimal():
        return chemical_symbols[int(word)] if 0 < int(word) < len(chemical_symbols) else None
    return word.capitalize() if word.capitalize() in chemical_symbols else None
