"""Whatever else ASE reads (.traj, .db, .pdb, ...); labels are those of the calculator, in eV and Å."""

from collections.abc import Iterator
from pathlib import Path

from ase.io import iread
from ase.io.formats import filetype, ioformats

from mlipshift.base.errors import UserError, shortened
from mlipshift.data.readers.atoms import record_of
from mlipshift.data.readers.beginning import Beginning
from mlipshift.data.readers.common import ANGSTROM, Request, selected
from mlipshift.data.records import Record

UNITS = ANGSTROM
KEYS = {"energy": "energy", "forces": "forces"}


def recognises(beginning: Beginning) -> bool:
    """Whether ASE knows the format, by name and content."""
    return not beginning.is_hdf5 and bool(_format(beginning.path))


def read(path: Path | str, request: Request) -> Iterator[Record]:
    """Yield the wanted structures of a file."""
    yield from selected(path, _structures(path, request.name), request.wanted)


def _format(path):
    """ASE's name of the format of a file; None for extended XYZ, the unknown, and .dat, which says nothing."""
    if Path(path).suffix == ".dat":
        return None
    try:
        name = filetype(str(path))
    except Exception:  # of a damaged or empty file, any kind
        return None
    return name if name in ioformats and name != "extxyz" else None


def _structures(path, name):
    kind, index = _format(path), 0
    frames = iread(str(path), index=":", format=kind)
    while True:
        where = f"{path}, structure {index}"
        try:
            atoms = next(frames)
        except StopIteration:
            return
        except Exception as error:  # ASE raises many kinds for a damaged file
            raise UserError(
                f"{where}: ASE cannot read it as {kind} ({shortened(error)}); mend it, or convert it to extended XYZ"
            ) from error
        yield record_of(atoms, path, name, where, index, KEYS, UNITS)
        index += 1
