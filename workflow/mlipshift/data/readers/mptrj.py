"""MPtrj, Deng et al. 2023 (doi 10.1038/s42256-023-00716-3): JSON {mp_id: {frame_id: {structure: pymatgen, ...}}}.

eV, eV/Å, Å; the energy is the uncorrected one, that of the forces.
"""

import lzma
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from ase.data import atomic_numbers

from mlipshift.base.errors import UserError
from mlipshift.data.readers.beginning import Beginning
from mlipshift.data.readers.common import Request, stream
from mlipshift.data.readers.units import ANGSTROM
from mlipshift.data.records import Record

UNITS = ANGSTROM


def recognises(beginning: Beginning) -> bool:
    """Whether it is JSON."""
    return beginning.text.startswith(b"{")


def read(path: Path | str, request: Request) -> Iterator[Record]:
    """Yield the wanted frames of a file; the others are not built, and one is in memory at a time."""
    import ijson

    count = 0
    try:
        with stream(path) as handle:
            frame, material, builder, depth = "", "", None, 0
            for event, value in ijson.basic_parse(handle, use_float=True):
                starts, ends = event in ("start_map", "start_array"), event in ("end_map", "end_array")
                depth -= ends
                if event == "map_key" and depth == 1:
                    material = value
                elif event == "map_key" and depth == 2:
                    frame = value
                    count += 1
                    builder = ijson.ObjectBuilder() if request.wanted(f"{material}/{frame}") else None
                elif builder is not None and depth >= 2:
                    builder.event(event, value)
                    if depth == 2 and not starts:
                        yield _record(builder.value, path, material, frame)
                        builder = None
                depth += starts
    except (ijson.JSONError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: damaged or truncated JSON ({error}); fetch the file again") from error
    except (EOFError, lzma.LZMAError, zlib.error, OSError) as error:
        raise UserError(f"{path}: damaged or truncated ({error}); fetch the file again") from error
    if not count:
        raise UserError(f"{path}: no structure in it; an MPtrj file is {{mp_id: {{frame_id: {{structure, ...}}}}}}")


def _record(frame, path, material, name):
    where, structure = f"{path}, {material}, frame {name}", frame.get("structure") if isinstance(frame, dict) else None
    try:
        matrix, sites = np.array(structure["lattice"]["matrix"], dtype=float).reshape(3, 3), structure["sites"]
        positions = np.array([site["xyz"] for site in sites], dtype=float).reshape(-1, 3)
        species = [site["species"] for site in sites]
        numbers = np.array([atomic_numbers.get(s[0]["element"], 0) for s in species], dtype=int)
        mixed = any(len(s) > 1 or s[0].get("occu", 1) != 1 for s in species)
        forces = None if frame.get("force") is None else np.array(frame["force"], dtype=float)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise UserError(
            f"{where}: has no pymatgen structure ({error!r}); this is neither MPtrj nor a database of ASE"
        ) from error
    return Record(
        id=f"{material}/{name}",
        where=where,
        molecule=material,
        numbers=numbers,
        positions=positions,
        energy=frame.get("uncorrected_total_energy"),
        forces=forces,
        cell=matrix,
        pbc=np.ones(3, dtype=bool),
        charge=structure.get("charge"),
        names=("uncorrected_total_energy", "force"),
        problem="has a site of several elements" if mixed else "" if numbers.all() else "has an unknown element",
    )
