"""Units that a file carries or the configuration states: never a choice between two that contradict each other."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mlipshift.base.errors import UserError
from mlipshift.base.units import ENERGY, FORCES, LENGTH

ANGSTROM = {"energy": "eV", "length": "Angstrom", "forces": "eV/Angstrom"}  # of files that have the units of inside
KCAL = {"energy": "kcal/mol", "length": "Angstrom", "forces": "kcal/mol/Angstrom"}  # of MD17 and what it was copied by
TABLES = {"energy": ENERGY, "length": LENGTH, "forces": FORCES}
# how files spell them, in small letters
SPELLED = {
    "energy": {
        "eV": "ev electronvolt electronvolts",
        "Hartree": "hartree hartrees ha eh a.u. au",
        "kcal/mol": "kcal/mol kcal/mole kcal_mol kcalmol kcal_per_mol kcal",
    },
    "length": {
        "Angstrom": "angstrom angstroms ang a å aa",
        "Bohr": "bohr bohrs a0 a.u. au",
        "nm": "nm nanometer nanometers nanometre nanometres",
    },
}
SILENT = {"", "none", "null", "unknown", "<unknown>", "n/a"}


def stated(settings: Mapping) -> dict[str, str]:
    """The units that section `data` of the configuration says, {"energy", "length", "forces"} or fewer."""
    return {kind: unit for kind, unit in settings.get("units", {}).items() if unit}


def spelled(text: object, kind: str, where: str) -> str | None:
    """The unit of the tables in base.units that a file means by a text; None where it says nothing.

    kind: energy, length or forces. Raises UserError for a unit that is not known.
    """
    text = text.item() if isinstance(text, np.generic | np.ndarray) and np.size(text) == 1 else text
    word = (text.decode() if isinstance(text, bytes) else str(text)).strip()
    small = word.lower().replace(" ", "")
    if small in SILENT:
        return None
    if kind == "forces":
        if small in ("a.u.", "au"):
            return "Hartree/Bohr"
        parts = [spelled(part, name, where) for part, name in zip(small.rpartition("/")[::2], ("energy", "length"))]
        if f"{parts[0]}/{parts[1]}" in FORCES:
            return f"{parts[0]}/{parts[1]}"
    else:
        for unit, words in SPELLED[kind].items():
            if small in words.split():
                return unit
    raise UserError(
        f"{where}: says that its unit of {kind} is {word!r}; known are {', '.join(TABLES[kind])}; convert the file"
    )


def settled(
    path: Path | str, settings: Mapping, carried: Mapping[str, str | None], default: Mapping[str, str]
) -> dict[str, str]:
    """The units {"energy", "length", "forces"} of a file: its own, those of the configuration, or else `default`.

    carried: what the file itself says, as far as it does. The unit of forces follows from the others where it is
    said nowhere. Raises UserError where file and configuration contradict each other.
    """
    configured = stated(settings)
    units: dict[str, str] = {}
    for kind in ("energy", "length", "forces"):
        own, said = carried.get(kind), configured.get(kind)
        if own and said and own != said:
            raise UserError(
                f"{path}: says that its unit of {kind} is {own}, but data.units.{kind} is {said}; leave the setting "
                "out (null), or mend the file"
            )
        follows = kind == "forces" and units != {k: default[k] for k in units}
        derived = "{energy}/{length}".format(**units) if follows else default[kind]
        units[kind] = own or said or derived
    if units["forces"] not in FORCES:
        raise UserError(f"{path}: {units['forces']} is no unit of forces that is known; say data.units.forces")
    return units
