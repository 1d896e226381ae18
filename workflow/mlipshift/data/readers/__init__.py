"""Readers of structure files: any of the formats below in, one Record at a time in eV, Å, eV/Å out.

| format | recognised by | labels and units |
|---|---|---|
| extended XYZ, also .xz and .gz | text | keys and units of the configuration |
| SDF, MDL molfiles | text, names | data items by the keys of the configuration |
| NPZ of MD17, rMD17, MD22, sGDML, PhysNet | zip | `E`, `F`, `R`, `z`, ...; units of file, configuration, or kcal/mol |
| SPICE 1.1.4 and 2.0.1 | HDF5, `conformations` | Hartree, Hartree/Bohr (a gradient), Bohr |
| ANI-1x | HDF5, `coordinates` | `wb97x_dz.*`; Hartree, Hartree/Å, Å |
| QM7-X | HDF5, `atXYZ` | `ePBE0+MBD`, `totFOR`; eV, eV/Å, Å |
| OC20 S2EF | LMDB, a file or a folder of them | `y`, `force`; eV, eV/Å, Å |
| MPtrj | JSON | `uncorrected_total_energy`, `force`; eV, eV/Å, Å |
| databases of ASE: .db, .json, .aselmdb | SQLite, JSON, LMDB | of the calculator; or by the keys of the configuration |
| imported dataset of this workflow | HDF5, attribute `format` | eV, eV/Å, Å |
| any other that ASE reads: .traj, .pdb, ... | ASE, by name and content | likewise |

All stream: memory does not grow with the number of structures, compressed NPZ members included. Of a damaged,
foreign, truncated or empty file a UserError of one line says so. What a file says and nobody reads, and what is taken
where it says nothing, is a warning, once per file.

A format is a module here, and its name in catalogue.components.READERS. It has recognises(Beginning) and read(path,
Request), which yields Records, and UNITS {"energy", "length", "forces"}, or the function units(path, settings) where
file or configuration say them.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from mlipshift.base.errors import UserError
from mlipshift.catalogue.components import READERS
from mlipshift.data.plausibility import SAMPLE, SAMPLE_ATOMS, check_units
from mlipshift.data.readers.beginning import Beginning
from mlipshift.data.readers.common import Notes, Request
from mlipshift.data.readers.molecules import File, Molecules
from mlipshift.data.records import Record

LABEL = re.compile(r"energ|forces?$|gradient", re.I)  # keys that may be those of labels

# in the order in which they are asked whether a file is theirs
FORMATS = {name: import_module(f"{__name__}.{name}") for name in READERS}


def recognise(path: Path | str) -> str:
    """Name of the format of a file or folder, one of FORMATS.

    Raises UserError if the file is missing, or is an HDF5 file of another kind. What nobody knows counts as extended
    XYZ, whose reader says what it misses.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path}: no such file; correct the path in the configuration or put the file there")
    beginning = Beginning(path)
    for name, module in FORMATS.items():
        if module.recognises(beginning):
            return name
    if not beginning.is_hdf5:
        return "extxyz"
    kind, keys = beginning.hdf5
    found = kind or ", ".join(sorted(keys)[:6]) or "nothing"
    raise UserError(
        f"{path}: HDF5 that is neither SPICE nor ANI-1x nor QM7-X nor an imported dataset (found: {found}); correct it"
    )


class Reading:
    """What the files of a run have in common: unique ids of structures without their own, and names of molecules.

    files: {group: paths}.
    """

    def __init__(self, files: Mapping[str, Sequence[Path | str]]):
        self.molecules = Molecules()
        self.prefixes = {
            (group, str(path)): f"{group}/{tail}"
            for group, paths in files.items()
            for path, tail in zip(paths, _tails([Path(path) for path in paths]))
        }

    def prefix(self, group: str, path: Path | str) -> str:
        """First part of the ids of the structures of a file."""
        return self.prefixes.get((group, str(path)), f"{group}/{_stem(Path(path))}")


def iterate(
    path: Path | str,
    name: str,
    settings: dict,
    wanted: Callable[[str], bool] | None = None,
    skipped: Counter | None = None,
    reading: Reading | None = None,
) -> Iterator[Record]:
    """Yield a Record for every structure of a file, in the order of the file.

    name: first part of the ids of structures that have none of their own. settings: section `data` of the
    configuration (keys, units, trust_pickles). wanted: predicate of the id; other structures are left out, unread
    where the format allows it. skipped: Counter that gets, under "no label", the number of structures that the
    format holds without a label of the level that is read. reading: what the files of the run have in common. Raises
    UserError for what the user must mend.
    """
    reading, notes = reading or Reading({}), Notes(path)
    everything = lambda _: True
    request = Request(
        reading.prefix(name, path),
        settings,
        wanted or everything,
        Counter() if skipped is None else skipped,
        File(reading.molecules),
        notes,
    )
    yield from _told(FORMATS[recognise(path)].read(path, request), notes)


def units_of(path: Path | str, settings: dict) -> tuple[dict[str, str], bool]:
    """(units {"energy", "length", "forces"} that a file is read in, whether the configuration can say them)."""
    module: Any = FORMATS[recognise(path)]
    return module.units(path, settings) if hasattr(module, "units") else (module.UNITS, False)


def checked(path: Path | str, records: Iterator[Record], settings: dict) -> Iterator[Record]:
    """The records of a file, of which the first SAMPLE, fewer if they are large, have been looked at for their units.

    Raises UserError as plausibility.check_units.
    """
    first, atoms = [], 0
    for record in islice(records, SAMPLE):
        first.append(record)
        atoms += len(record.numbers)
        if atoms >= SAMPLE_ATOMS:
            break
    units, configured = units_of(path, settings)
    check_units(path, first, units, configured)
    while first:
        yield first.pop(0)
    yield from records


def molecules(path: Path | str, settings: dict, reading: Reading | None = None) -> Iterator[tuple[str, str]]:
    """Yield (name, SMILES) of the molecules of a file, SMILES empty where it has none; SPICE without its labels.

    A molecule may come more than once. reading: as in iterate.
    """
    if recognise(path) == "spice":
        yield from FORMATS["spice"].molecules(path)
    else:
        records = iterate(path, "molecules", settings, reading=reading)
        yield from ((record.molecule, record.smiles) for record in records)


def _told(records, notes):
    """The records of a file; what they lack, or have under other names, is said in the end."""
    count, missing = 0, Counter()
    try:
        for record in records:
            count += 1
            if not (np.any(record.pbc) or record.problem):
                missing[record.charge is None, record.multiplicity is None] += 1
            if record.energy is None and record.forces is None:
                other = [key for key in record.found if LABEL.search(key)]
                if other:
                    names = " and ".join(record.names)
                    notes.say(
                        "labels", f"no {names}, but {', '.join(other)}; if these are labels, set data.keys to them"
                    )
            yield record
    finally:
        for (charge, multiplicity), found in sorted(missing.items(), reverse=True):
            lacks = [name for name, none in (("charge", charge), ("multiplicity", multiplicity)) if none]
            if lacks:
                defaults = {"charge": "charge 0", "multiplicity": "the lowest multiplicity"}
                taken = " and ".join(defaults[name] for name in lacks)
                some = "" if found == count else f" of {found} of {count} structures"
                notes.say(taken, f"says no {' and no '.join(lacks)}{some}; {taken} taken (data.keys names other keys)")


def _stem(path):
    return Path(path.name.removesuffix(".xz").removesuffix(".gz")).stem


def _tails(paths):
    """What calls each of several files: its stem, with as much of its path as tells it from others."""
    whole = [path.resolve() for path in paths]
    called = lambda path, depth: "/".join((*path.parts[len(path.parts) - 1 - depth : -1], _stem(path)))
    tails = []
    for path in whole:
        same = [other for other in whole if _stem(other) == _stem(path) and other != path]
        depths = range(len(path.parts) - 1)
        unlike = (called(path, d) for d in depths if called(path, d) not in {called(o, d) for o in same})
        tails.append(next(unlike, path.name))
    return tails
