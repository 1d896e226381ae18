"""Databases of ASE: SQLite (.db), JSON, and the LMDB of fairchem (.aselmdb), which holds no pickles.

Labels are those of the calculator of a row, in eV and Å, or what data.keys names among the key-value pairs and the data
of the row, in the units of the metadata (SchNetPack writes them), of data.units, or eV.
"""

import json
import re
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from ase.db import connect
from ase.db.row import AtomsRow
from ase.io.jsonio import object_hook

from mlipshift.base.errors import UserError, shortened
from mlipshift.data.readers import stores
from mlipshift.data.readers.atoms import Place, damaged, labels_of, parameters, record_of
from mlipshift.data.readers.beginning import LMDB, Beginning
from mlipshift.data.readers.common import Request, selected
from mlipshift.data.readers.units import ANGSTROM, settled, spelled
from mlipshift.data.records import Record

SQLITE = b"SQLite format 3\x00"
# rows are called by numbers, beside them ids, nextid and metadata
JSON = re.compile(
    rb'\{\s*"(\d+"\s*:\s*\{\s*"(calculator|cell|constraints|ctime|numbers|positions|unique_id)|ids|nextid)'
)


def units(path: Path | str, settings: dict) -> tuple[dict[str, str], bool]:
    """(units {"energy", "length", "forces"} of a file, whether the configuration can say them)."""
    with _opened(path) as (_, metadata):
        return _units(path, settings, metadata), True


def recognises(beginning: Beginning) -> bool:
    """Whether it is SQLite, JSON with numbered rows of atoms, or LMDB with rows in compressed JSON."""
    if beginning.path.is_dir():
        return any(beginning.path.glob("*.aselmdb"))
    if beginning.bytes.startswith(SQLITE) or JSON.match(beginning.text):
        return True
    return beginning.path.suffix == ".aselmdb" or (beginning.bytes[16:20] == LMDB and _has_rows(beginning.path))


def read(path: Path | str, request: Request) -> Iterator[Record]:
    """Yield the wanted structures of a file, or of a folder of .aselmdb files."""
    yield from selected(path, _structures(path, request), request.wanted)


def _structures(path, request):
    index = 0
    for file in sorted(Path(path).glob("*.aselmdb")) if Path(path).is_dir() else [path]:
        with _opened(file) as (rows, metadata):
            own = _units(file, request.settings, metadata)
            for row in rows:
                place = Place(path, f"{file}, row {row.id}", index)
                index += 1
                try:
                    more = {k: _arrays(v) for k, v in {**row.data, **row.key_value_pairs}.items()}
                    atoms = row.toatoms()
                except Exception as error:  # ASE raises many kinds for a damaged row
                    yield damaged(place, request, f"damaged, it is no row of ASE ({shortened(error)})")
                    continue
                # toatoms makes a calculator without them
                sums = parameters(row.get("calculator_parameters", {}))
                yield record_of(atoms, place, labels_of(atoms, request.keys, own, more), request, more, sums)


@contextmanager
def _opened(path):
    """(iterator of rows in the order of their numbers, metadata) of a database."""
    try:
        with open(path, "rb") as handle:
            beginning = handle.read(32)
        if beginning[16:20] == LMDB or Path(path).suffix == ".aselmdb":
            with stores.opened(Path(path)) as store, store.begin() as rows:
                yield _rows(rows), _loaded(rows.get(b"metadata")) or {}
        else:
            with connect(str(path), type="db" if beginning.startswith(SQLITE) else "json", serial=True) as database:
                yield database.select(), database.metadata
    except (sqlite3.Error, zlib.error, json.JSONDecodeError, KeyError, ValueError, TypeError) as error:
        raise UserError(
            f"{path}: damaged, or no database of ASE ({type(error).__name__}: {shortened(error)}); fetch it again"
        ) from error


def _rows(table):
    numbers = sorted(int(key) for key, _ in table.cursor() if key.isdigit())
    for number in numbers:
        yield AtomsRow({**_loaded(table.get(str(number).encode())), "id": number})


def _loaded(value):
    return None if value is None else json.loads(zlib.decompress(value), object_hook=object_hook)


def _has_rows(path):
    try:
        with stores.opened(path) as store, store.begin() as rows:
            return isinstance(_loaded(rows.get(b"nextid")), int)
    except (UserError, zlib.error, ValueError):
        return False


def _units(path, settings, metadata):
    """Units of labels under names of data.keys; positions are in Å unless the metadata say otherwise."""
    keys, said = settings.get("keys", {}), metadata.get("_property_unit_dict", {})
    carried = {
        kind: spelled(said[keys.get(kind)], kind, path) for kind in ("energy", "forces") if keys.get(kind) in said
    }
    if "_distance_unit" in metadata:
        carried["length"] = spelled(metadata["_distance_unit"], "length", path)
    stated = {kind: unit for kind, unit in settings.get("units", {}).items() if kind != "length"}
    return settled(path, {"units": stated}, carried, ANGSTROM)


def _arrays(value):
    return np.array(value) if isinstance(value, list) else value
