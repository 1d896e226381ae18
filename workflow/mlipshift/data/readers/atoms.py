"""What ASE has read, as a record: shared by the formats that go through ASE."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms

from mlipshift.base.units import ENERGY, FORCES, LENGTH
from mlipshift.data.readers.common import Request, converted
from mlipshift.data.readers.state import CHARGE, MULTIPLICITY, UNPAIRED, state_of, tell_unread, whole
from mlipshift.data.readers.units import ANGSTROM
from mlipshift.data.records import Record
from mlipshift.data.smiles import charge_of

Sums = Mapping[str, Mapping[str, float]]
TEXTS = ("id", "molecule", "smiles", "subset")


@dataclass(frozen=True)
class Place:
    """Where a structure stands: path of its file; where: file and place in it, for messages; index in the file."""

    path: Path | str
    where: str
    index: int


@dataclass(frozen=True)
class LabelKeys:
    """What a file calls energy and forces, and its units {"energy", "length", "forces"}."""

    energy: str
    forces: str
    units: Mapping[str, str]


def record_of(
    atoms: Atoms,
    place: Place,
    labels: LabelKeys,
    request: Request,
    more: Mapping[str, object] | None = None,
    sums: Sums | None = None,
) -> Record:
    """The record of Atoms.

    more: key-value pairs that Atoms do not hold, those of a database for one; sums: as in state.state_of, what the
    file says of charge and spin and Atoms do not hold.
    """
    # ASE moves labels with its own names ("energy", "forces") into a calculator
    results = atoms.calc.results if atoms.calc else {}
    values = {**atoms.info, **(more or {})}
    texts = {name: _text(values, name, request.keys.get(name)) for name in TEXTS}
    state = state_of(
        values,
        atoms.numbers,
        request.keys,
        merged(_sums(atoms, results, texts["smiles"], request), sums or {}),
        bool(atoms.pbc.any()),
    )
    tell_unread(state, values, labels.units, request.notes)
    _tell_sums(state, {**results, **atoms.arrays}, request)
    length, periodic = LENGTH[labels.units["length"]], bool(atoms.pbc.any())
    name = texts["molecule"] or request.molecules.name(
        atoms.numbers, atoms.positions * length, texts["smiles"], periodic
    )
    return Record(
        id=texts["id"] or f"{request.name}/{place.index:05d}",
        where=place.where,
        molecule=name,
        numbers=atoms.numbers,
        positions=atoms.positions * length,
        energy=converted(_only(_first(labels.energy, values, results)), ENERGY[labels.units["energy"]]),
        forces=converted(_first(labels.forces, atoms.arrays, values, results), FORCES[labels.units["forces"]]),
        cell=np.array(atoms.cell) * length if periodic else np.zeros((3, 3)),
        pbc=atoms.pbc,
        charge=state.charge,
        multiplicity=state.multiplicity,
        names=(labels.energy, labels.forces),
        found=tuple(sorted({*values, *atoms.arrays, *results})),
        smiles=texts["smiles"],
        subset=texts["subset"],
        problem=state.problem,
        config_type=str(values.get("config_type", "")),
    )


def labels_of(
    atoms: Atoms, keys: Mapping[str, str | None], own: Mapping[str, str], more: Mapping[str, object]
) -> LabelKeys:
    """Names and units of the labels of Atoms: of what data.keys names, else of the calculator, in eV and eV/Å.

    own: units of the file; more: as in record_of.
    """
    here = {*atoms.info, *atoms.arrays, *more}
    if here & {keys.get("energy"), keys.get("forces")}:
        return LabelKeys(keys.get("energy") or "energy", keys.get("forces") or "forces", own)
    return LabelKeys("energy", "forces", {**ANGSTROM, "length": own["length"]})


def parameters(of_calculator: Mapping[str, object]) -> Sums:
    """What the parameters of a calculator say of charge and spin, as `sums` of state.state_of."""
    charge, multiplicity = {}, {}
    for key, value in of_calculator.items():
        said = f"{key} of the calculator"
        if isinstance(value, int | float | np.number) and not isinstance(value, bool):
            if key.lower() in CHARGE:
                charge[said] = float(value)
            elif key.lower() in MULTIPLICITY and value:
                multiplicity[said] = float(value)
            elif key.lower() in UNPAIRED:
                multiplicity[said] = float(value) + 1
    return {"charge": charge, "multiplicity": multiplicity}


def damaged(place: Place, request: Request, problem: str) -> Record:
    """The record of a structure that cannot be read; `problem` says why."""
    return Record(
        f"{request.name}/{place.index:05d}", place.where, "", np.empty(0, int), np.empty((0, 3)), problem=problem
    )


def _text(values, name, key):
    """A text of a structure, by the key that the configuration says or its usual one; empty where there is none."""
    if key is None and name == "smiles":
        key = next((k for k in values if k.lower() == name), name)
    value = values.get(key or name)
    return "" if value is None else str(value)


def _first(key, *sources):
    return next((source[key] for source in sources if source.get(key) is not None), None)


def _only(value):
    return np.ravel(value)[0] if isinstance(value, np.ndarray) and value.size == 1 else value


def merged(first: Sums, second: Sums) -> Sums:
    """What two sources say, as `sums` of state.state_of."""
    return {kind: {**first.get(kind, {}), **second.get(kind, {})} for kind in {*first, *second}}


def _sums(atoms, results, smiles, request):
    """What says charge and spin beside key-value pairs: atomic charges and moments, the SMILES, the calculator."""
    charge, unpaired = {}, {}
    total = _sum(atoms.arrays.get("initial_charges"))
    if total is not None and whole(total) is None:
        request.notes.say("initial_charges", f"initial_charges add up to {total:.3g}, no charge; they are not read")
    elif total is not None:
        charge["initial_charges"] = whole(total)
    if smiles:
        try:
            charge["the SMILES"] = charge_of(smiles)
        except ValueError as error:
            request.notes.say("smiles", str(error))
    moments = {"magmom": results.get("magmom"), "magmoms": results.get("magmoms")}
    moments = moments | {"initial_magmoms": atoms.arrays.get("initial_magmoms")}
    # what was computed goes before what a calculation started from
    for key, value in moments.items():
        total = _sum(value)
        if total is not None and not unpaired:
            if whole(total) is None:
                request.notes.say(key, f"{key} add up to {total:.3g}, no number of unpaired electrons; not read")
            else:
                unpaired[key] = whole(total)
    own = {"charge": charge, "unpaired_electrons": unpaired}
    return merged(own, parameters(getattr(atoms.calc, "parameters", {})))


def _sum(values):
    """Sum of what atoms have; None where they have nothing, or vectors."""
    if values is None or np.ndim(values) > 1 or not np.any(values):
        return None
    return float(np.sum(values))


def _tell_sums(state, arrays, request):
    """Say atomic charges that contradict the charge in use."""
    charge = 0 if state.charge is None else state.charge
    for key, value in arrays.items():
        if "charge" not in key.lower() or key in request.notes.said or np.ndim(value) != 1 or state.problem:
            continue
        total = float(np.sum(value)) if np.asarray(value).dtype.kind in "fiu" else np.nan
        if np.isfinite(total) and isinstance(charge, int | float | np.number) and abs(total - charge) > 0.5:
            request.notes.say(
                key, f"{key} add up to {total:.2f}, but the charge in use is {charge:g}; set data.keys.charge"
            )
