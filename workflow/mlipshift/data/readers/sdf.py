"""SDF and MDL molfiles, V2000 and V3000: every structure of a file, its charge, radicals and data items; Å.

Charges are those of the `M  CHG` lines, or of the atom lines where there are none. Labels are data items that data.keys
names, in data.units; forces can only be there as a list of 3 n numbers.
"""

import io
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from ase import Atoms

from mlipshift.data.readers.atoms import LabelKeys, Place, damaged, record_of
from mlipshift.data.readers.beginning import Beginning
from mlipshift.data.readers.common import Request, selected, stream, told
from mlipshift.data.readers.units import ANGSTROM, settled
from mlipshift.data.records import Record

CODES = {1: 3, 2: 2, 3: 1, 4: 0, 5: -1, 6: -2, 7: -3}  # charge of an atom by the code in its line; 4 is a radical
UNPAIRED = {0: 0, 1: 0, 2: 1, 3: 2}  # electrons by the kind of radical: none, singlet, doublet, triplet
ISOTOPES = {"D": "H", "T": "H"}
VERSION = re.compile(rb"V[23]000\s*$")


def units(path: Path | str, settings: dict) -> tuple[dict[str, str], bool]:
    """(units {"energy", "length", "forces"} of a file, whether the configuration can say them)."""
    stated = {kind: unit for kind, unit in settings.get("units", {}).items() if kind != "length"}
    return settled(path, {"units": stated}, {}, ANGSTROM), True


def recognises(beginning: Beginning) -> bool:
    """Whether the fourth line says a version of molfiles, or the file is called .sdf, .sd or .mol."""
    if beginning.is_hdf5 or beginning.path.is_dir():
        return False
    called = beginning.path.name.lower().removesuffix(".gz").removesuffix(".xz").endswith((".sdf", ".sd", ".mol"))
    return called or any(VERSION.search(line) for line in beginning.text.splitlines()[:4])


def read(path: Path | str, request: Request) -> Iterator[Record]:
    """Yield the wanted structures of a file."""
    yield from selected(path, _structures(path, request), request.wanted)


def _structures(path, request):
    with told(path), stream(path) as binary, io.TextIOWrapper(binary, encoding="utf-8-sig") as handle:
        for index, (number, lines) in enumerate(_blocks(handle)):
            place = Place(path, f"{path}, structure {index} (line {number})", index)
            try:
                yield _record(lines, place, request)
            except (ValueError, KeyError, IndexError) as error:
                yield damaged(place, request, f"damaged, it is no molfile ({type(error).__name__}: {error})")


def _blocks(handle):
    """(number of the first line, lines) of every structure; `$$$$` ends one."""
    lines, first = [], 1
    for number, line in enumerate(handle, 1):
        if line.startswith("$$$$"):
            yield first, lines
            lines, first = [], number + 1
        else:
            lines.append(line.rstrip("\r\n"))
    if any(line.strip() for line in lines):
        yield first, lines


def _record(lines, place, request):
    if "V3000" in lines[3]:
        symbols, positions, charges, radicals = _v3000(lines)
    else:
        symbols, positions, charges, radicals = _v2000(lines)
    end = _first(r"M\s+END", lines)
    items = _items(lines[end + 1 :])
    atoms = Atoms([ISOTOPES.get(symbol, symbol) for symbol in symbols], positions)
    sums = {"charge": {"the molfile": sum(charges)}}
    if any(radicals):
        sums["multiplicity"] = {"the molfile": 1 + sum(radicals)}
    keys = request.keys
    labels = LabelKeys(
        keys.get("energy") or "energy", keys.get("forces") or "forces", units(place.path, request.settings)[0]
    )
    if labels.forces in items:
        items[labels.forces] = np.reshape(items[labels.forces], (-1, 3))
    if len(atoms) > 3 and lines[1][20:22].upper() == "2D":
        return damaged(place, request, "has the two-dimensional coordinates of a drawing; give it a geometry")
    return record_of(atoms, place, labels, request, items, sums)


def _v2000(lines):
    count, bonds = int(lines[3][:3]), int(lines[3][3:6])
    symbols, positions, charges, radicals = [], [], [], [0] * count
    for line in lines[4 : 4 + count]:
        positions.append([float(line[k : k + 10]) for k in (0, 10, 20)])
        symbols.append(line[31:34].strip())
        code = int(line[36:39].strip() or 0)
        charges.append(CODES.get(code, 0))
        radicals[len(symbols) - 1] = int(code == 4)
    if len(symbols) < count:
        raise ValueError(f"it ends after {len(symbols)} of {count} atoms")
    properties = [line for line in lines[4 + count + bonds :] if line.startswith("M  ")]
    if any(line[3:6] in ("CHG", "RAD") for line in properties):
        charges, radicals = [0] * count, [0] * count  # the codes in the lines of the atoms do not count then
    for line in properties:
        if line[3:6] in ("CHG", "RAD"):
            numbers = [int(word) for word in line[9:].split()]
            for atom, value in zip(numbers[::2], numbers[1::2]):
                target = charges if line[3:6] == "CHG" else radicals
                target[atom - 1] = value if line[3:6] == "CHG" else UNPAIRED[value]
    return symbols, positions, charges, radicals


def _v3000(lines):
    symbols, positions, charges, radicals, inside = [], [], [], [], False
    for line in lines:
        words = line.removeprefix("M  V30").split()
        if words[:2] in (["BEGIN", "ATOM"], ["END", "ATOM"]):
            inside = words[0] == "BEGIN"
        elif inside and len(words) >= 6:
            options = dict(word.split("=", 1) for word in words[6:] if "=" in word)
            symbols.append(words[1])
            positions.append([float(word) for word in words[2:5]])
            charges.append(int(options.get("CHG", 0)))
            radicals.append(UNPAIRED[int(options.get("RAD", 0))])
    count = int(lines[_first(r"M\s+V30\s+COUNTS", lines)].split()[3])
    if len(symbols) != count:
        raise ValueError(f"it has {len(symbols)} of {count} atoms")
    return symbols, positions, charges, radicals


def _first(pattern, lines):
    """Number of the first line that begins with a pattern."""
    found = [k for k, line in enumerate(lines) if re.match(pattern, line)]
    if not found:
        raise ValueError(f"it has no line {pattern.replace(chr(92) + 's+', '  ')}")
    return found[0]


def _items(lines):
    """{name: number, list of numbers, or text} of the data items of a structure."""
    items, name = {}, None
    for line in lines:
        header = re.match(r">.*<([^>]+)>", line)
        if header:
            name = header[1]
            items[name] = []
        elif name is not None and line.strip():
            items[name].append(line.strip())
    return {name: _value(name, " ".join(words)) for name, words in items.items()}


def _value(name, text):
    if name.lower() in ("id", "smiles", "molecule", "subset"):
        return text
    try:
        numbers = [float(word) for word in text.split()]
    except ValueError:
        return text
    return numbers[0] if len(numbers) == 1 else np.array(numbers) if numbers else text
