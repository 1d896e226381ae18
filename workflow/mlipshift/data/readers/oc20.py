"""OC20 S2EF, Chanussot et al. 2021 (doi 10.1021/acscatal.0c04525): pickled PyG graphs in LMDB; eV, eV/Å, Å.

pbc is true along all three vectors, as in the plane-wave calculations: the vacuum above the slab is part of the cell,
and the files themselves do not say. Energies `y` are as they stand in the file: adsorption energies in the published
test sets. The published validation sets are extended XYZ (.extxyz.xz) instead, with total energies.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mlipshift.base.errors import UserError
from mlipshift.data.readers import pickles, stores
from mlipshift.data.readers.beginning import LMDB, Beginning
from mlipshift.data.readers.common import Request, selected
from mlipshift.data.readers.state import state_of
from mlipshift.data.readers.units import ANGSTROM
from mlipshift.data.records import Record

UNITS = ANGSTROM


def recognises(beginning: Beginning) -> bool:
    """Whether it is LMDB, a folder, or called .lmdb."""
    return beginning.path.is_dir() or beginning.path.suffix == ".lmdb" or beginning.bytes[16:20] == LMDB


def read(path: Path | str, request: Request) -> Iterator[Record]:
    """Yield the wanted structures of a file or of a folder of files.

    Raises UserError unless data.trust_pickles allows it.
    """
    yield from selected(path, _structures(path, request), request.wanted)


def _structures(path, request):
    if not request.settings["trust_pickles"]:
        raise UserError(
            f"{path}: its structures are Python pickles, which can run any code; if you trust whoever made the file, "
            "set data.trust_pickles to true (what is not a tensor, an array or a PyG graph is refused then, too)"
        )
    path = Path(path)
    files = [path]
    if path.is_dir() and not (path / "data.mdb").exists():
        files = sorted(path.glob("*.lmdb"))
        if not files:
            raise UserError(f"{path}: no .lmdb file in this folder; correct the path or fetch the data again")
    for file in files:
        yield from _lmdb(file, request.keys)


def _lmdb(path, keys):
    with stores.opened(path) as store, store.begin() as transaction:
        entries = store.stat()["entries"]
        length = transaction.get(b"length")
        count = entries if length is None else pickles.load(length, f"{path}, entry length")
        if not isinstance(count, int):
            raise UserError(f"{path}: its length is {type(count).__name__}, no whole number; fetch it again")
        for k in range(count):
            where = f"{path}, entry {k}"
            value = transaction.get(str(k).encode())
            if value is None:
                raise UserError(f"{where}: missing, {count} were announced; this is no OC20 file, or damaged")
            graph = pickles.load(value, where)
            try:
                record = _record(graph, path, where, k, keys)
            except (ValueError, TypeError, IndexError, RuntimeError) as error:
                raise UserError(f"{where}: its values are no OC20 structure ({error})") from error
            yield record


def _record(graph, path, where, index, keys):
    content = vars(graph) if isinstance(graph, pickles.Graph) else graph if isinstance(graph, dict) else {}
    # PyG 2 keeps the attributes in a storage, PyG 1 in the object itself
    store = content.get("_store")
    content = vars(store).get("_mapping", {}) if isinstance(store, pickles.Graph) else content
    if content.get("pos") is None or content.get("atomic_numbers") is None:
        raise UserError(f"{where}: has no pos and atomic_numbers; this is no OC20 S2EF file")
    as_array = lambda key, *shape: None if content.get(key) is None else np.asarray(content[key]).reshape(*shape)
    cell, energy = as_array("cell", -1, 3, 3), as_array("y", -1)
    identity = [content.get(key) for key in ("sid", "fid")]
    sid, fid = (None if v is None else int(np.ravel(np.asarray(v))[0]) for v in identity)
    numbers = as_array("atomic_numbers", -1).astype(int)
    values = {
        key: np.asarray(value) for key, value in content.items() if key in ("charge", "spin") and value is not None
    }
    state = state_of(values, numbers, keys, periodic=True)
    return Record(
        id=f"{path.stem}/{index:05d}" if sid is None else f"{sid}/{index if fid is None else fid}",
        where=where,
        molecule=path.stem if sid is None else str(sid),
        numbers=numbers,
        positions=as_array("pos", -1, 3).astype(float),
        energy=None if energy is None else float(energy[0]),
        forces=None if content.get("force") is None else as_array("force", -1, 3).astype(float),
        cell=np.zeros((3, 3)) if cell is None else cell[0].astype(float),
        pbc=np.ones(3, dtype=bool),
        charge=state.charge,
        multiplicity=state.multiplicity,
        names=("y", "force"),
        problem=state.problem or "" if cell is not None else "has no cell",
    )
