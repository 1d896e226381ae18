"""Whatever else ASE reads (.traj, .pdb, POSCAR, outputs of programs, ...).

Labels are those of the calculator, in eV and Å, or what data.keys names, in data.units. Where ASE reads one structure
of a format, a file that holds more is refused.
"""

from collections.abc import Iterator
from pathlib import Path

from ase.io import iread
from ase.io.formats import filetype, ioformats

from mlipshift.base.errors import UserError, shortened
from mlipshift.data.readers import programs
from mlipshift.data.readers.atoms import Place, labels_of, record_of
from mlipshift.data.readers.beginning import Beginning
from mlipshift.data.readers.common import Request, selected
from mlipshift.data.readers.units import ANGSTROM, settled
from mlipshift.data.records import Record

UNITS = ANGSTROM


def recognises(beginning: Beginning) -> bool:
    """Whether ASE knows the format, by name and content."""
    return not beginning.is_hdf5 and bool(_format(beginning.path))


def read(path: Path | str, request: Request) -> Iterator[Record]:
    """Yield the wanted structures of a file."""
    yield from selected(path, _structures(path, request), request.wanted)


def _format(path):
    """ASE's name of the format of a file; None for extended XYZ, the unknown, and .dat, which says nothing."""
    if Path(path).suffix == ".dat":
        return None
    try:
        name = filetype(str(path))
    except Exception:  # of a damaged or empty file, any kind
        return None
    return name if name in ioformats and name != "extxyz" else None


def _structures(path, request):
    kind, index = _format(path), 0
    programs.check_single(path, kind)
    sums = programs.state(path, kind)
    stated = {name: unit for name, unit in request.settings.get("units", {}).items() if name != "length"}
    own = settled(path, {"units": stated}, {}, ANGSTROM)
    frames = iread(str(path), index=":", format=kind)
    while True:
        place = Place(path, f"{path}, structure {index}", index)
        try:
            atoms = next(frames)
        except StopIteration:
            break
        except Exception as error:  # ASE raises many kinds for a damaged file
            raise UserError(
                f"{place.where}: ASE cannot read it as {kind} ({shortened(error)}); mend it, or convert it to extended "
                "XYZ"
            ) from error
        yield record_of(atoms, place, labels_of(atoms, request.keys, own, {}), request, sums=sums)
        index += 1
