"""OC20 S2EF, Chanussot et al. 2021 (doi 10.1021/acscatal.0c04525): pickled PyG graphs in LMDB; eV, eV/Å, Å.

pbc is true along all three vectors, as in the plane-wave calculations: the vacuum above the slab is part of the cell,
and the files themselves do not say. Energies `y` are as they stand in the file: adsorption energies in the published
test sets. The published validation sets are extended XYZ (.extxyz.xz) instead, with total energies.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mlipshift.base.errors import UserError
from mlipshift.data.readers import pickles
from mlipshift.data.readers.beginning import Beginning
from mlipshift.data.readers.common import ANGSTROM, Request, selected
from mlipshift.data.records import Record

UNITS = ANGSTROM
MAGIC = b"\xde\xc0\xef\xbe"  # of LMDB, from the sixteenth byte on


def recognises(beginning: Beginning) -> bool:
    """Whether it is LMDB, a folder, or called .lmdb."""
    return beginning.path.is_dir() or beginning.path.suffix == ".lmdb" or beginning.bytes[16:20] == MAGIC


def read(path: Path | str, request: Request) -> Iterator[Record]:
    """Yield the wanted structures of a file or of a folder of files.

    Raises UserError unless data.trust_pickles allows it.
    """
    yield from selected(path, _structures(path, request.settings["trust_pickles"]), request.wanted)


def _structures(path, trusted):
    if not trusted:
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
        yield from _lmdb(file)


def _lmdb(path):
    import lmdb

    try:
        with lmdb.open(str(path), subdir=path.is_dir(), readonly=True, lock=False, readahead=False) as store:
            pages, size = store.info()["last_pgno"] + 1, store.stat()["psize"]
            if (path / "data.mdb" if path.is_dir() else path).stat().st_size < pages * size:
                raise UserError(f"{path}: the file is shorter than its {pages} pages; fetch it again")
            with store.begin() as transaction:
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
                        record = _record(graph, path, where, k)
                    except (ValueError, TypeError, IndexError, RuntimeError) as error:
                        raise UserError(f"{where}: its values are no OC20 structure ({error})") from error
                    yield record
    except lmdb.Error as error:
        raise UserError(f"{path}: not a readable LMDB file ({error}); fetch it again") from error


def _record(graph, path, where, index):
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
    return Record(
        id=f"{path.stem}/{index:05d}" if sid is None else f"{sid}/{index if fid is None else fid}",
        where=where,
        molecule=path.stem if sid is None else str(sid),
        numbers=as_array("atomic_numbers", -1).astype(int),
        positions=as_array("pos", -1, 3).astype(float),
        energy=None if energy is None else float(energy[0]),
        forces=None if content.get("force") is None else as_array("force", -1, 3).astype(float),
        cell=np.zeros((3, 3)) if cell is None else cell[0].astype(float),
        pbc=np.ones(3, dtype=bool),
        names=("y", "force"),
        problem="" if cell is not None else "has no cell",
    )
