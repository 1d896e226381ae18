"""Readers of structure files: any of the formats below in, one Record at a time in eV, Å, eV/Å out.

| format | recognised by | labels and units |
|---|---|---|
| extended XYZ, also .xz and .gz | text | keys and units of the configuration |
| NPZ of MD17, rMD17, MD22 | zip | `E`, `F`, `R`, `z` or rMD17's long names; kcal/mol, kcal/mol/Å, Å |
| SPICE 1.1.4 and 2.0.1 | HDF5, `conformations` | Hartree, Hartree/Bohr (a gradient), Bohr |
| ANI-1x | HDF5, `coordinates` | `wb97x_dz.*`; Hartree, Hartree/Å, Å |
| OC20 S2EF | LMDB, a file or a folder of them | `y`, `force`; eV, eV/Å, Å |
| MPtrj | JSON | `uncorrected_total_energy`, `force`; eV, eV/Å, Å |
| imported dataset of this workflow | HDF5, attribute `format` | eV, eV/Å, Å |
| any other that ASE reads: .traj, .db, .pdb, ... | ASE, by name and content | of the calculator; eV, eV/Å, Å |

All stream: memory does not grow with the number of structures, compressed NPZ members included. Of a damaged,
foreign, truncated or empty file a UserError of one line says so.

A format is a module here, and its name in catalogue.components.READERS. It has UNITS {"energy", "length",
"forces"}, None for those of the configuration; recognises(Beginning); and read(path, Request), which yields Records.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from importlib import import_module
from itertools import islice
from pathlib import Path

from mlipshift.base.errors import UserError
from mlipshift.catalogue.components import READERS
from mlipshift.data.plausibility import SAMPLE, SAMPLE_ATOMS, check_units
from mlipshift.data.readers.beginning import Beginning
from mlipshift.data.readers.common import Request
from mlipshift.data.records import Record

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
        f"{path}: HDF5 that is neither SPICE nor ANI-1x nor an imported dataset (found: {found}); correct the path"
    )


def iterate(
    path: Path | str,
    name: str,
    settings: dict,
    wanted: Callable[[str], bool] | None = None,
    skipped: Counter | None = None,
) -> Iterator[Record]:
    """Yield a Record for every structure of a file, in the order of the file.

    name: first part of the ids of structures that have none of their own. settings: section `data` of the
    configuration (keys, units, trust_pickles). wanted: predicate of the id; other structures are left out, unread
    where the format allows it. skipped: Counter that gets, under "no label", the number of structures that the
    format holds without a label of the level that is read. Raises UserError for what the user must mend.
    """
    request = Request(name, settings, wanted or (lambda _: True), Counter() if skipped is None else skipped)
    yield from FORMATS[recognise(path)].read(path, request)


def checked(path: Path | str, records: Iterator[Record], settings: dict) -> Iterator[Record]:
    """The records of a file, of which the first SAMPLE, fewer if they are large, have been looked at for their units.

    Raises UserError as plausibility.check_units.
    """
    first, atoms, units = [], 0, FORMATS[recognise(path)].UNITS
    for record in islice(records, SAMPLE):
        first.append(record)
        atoms += len(record.numbers)
        if atoms >= SAMPLE_ATOMS:
            break
    check_units(path, first, units or settings["units"], configured=units is None)
    while first:
        yield first.pop(0)
    yield from records


def molecules(path: Path | str, settings: dict) -> Iterator[tuple[str, str]]:
    """Yield (name, SMILES) of the molecules of a file, SMILES empty where it has none; SPICE without its labels.

    A molecule may come more than once.
    """
    if recognise(path) == "spice":
        yield from FORMATS["spice"].molecules(path)
    else:
        yield from ((record.molecule, record.smiles) for record in iterate(path, "molecules", settings))
