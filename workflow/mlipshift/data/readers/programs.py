"""What ASE leaves in files that it reads: charge and spin of outputs of programs, and structures after the first."""

import re
from collections.abc import Callable
from pathlib import Path

from ase.io.formats import ioformats

from mlipshift.base.errors import UserError
from mlipshift.data.readers.common import stream

SIGNED = r"([+-]?\d+(?:\.\d*)?)"
# format of ASE: what stands before charge and multiplicity, or in one line both
CHARGES = {
    "gaussian-out": (rf"^\s*Charge\s*=\s*{SIGNED}\s+Multiplicity", rf"^\s*Charge\s*=.*Multiplicity\s*=\s*{SIGNED}"),
    "orca-output": (rf"^\s*Total Charge\s+Charge\s+\.+\s*{SIGNED}", rf"^\s*Multiplicity\s+Mult\s+\.+\s*{SIGNED}"),
    "nwchem-out": (rf"^\s*Charge\s*:\s*{SIGNED}", rf"^\s*Spin multiplicity\s*:\s*{SIGNED}"),
    "nwchem-in": (rf"^\s*charge\s+{SIGNED}", rf"^\s*mult\s+{SIGNED}"),
    "gamess-us-out": (rf"^\s*CHARGE OF MOLECULE\s*=\s*{SIGNED}", rf"^\s*SPIN MULTIPLICITY\s*=\s*{SIGNED}"),
    "gamess-us-in": (rf"\bicharg\s*=\s*{SIGNED}", rf"\bmult\s*=\s*{SIGNED}"),
    "castep-castep": (rf"^\s*net charge of system\s*:\s*{SIGNED}", None),
    "espresso-in": (rf"\btot_charge\s*=\s*{SIGNED}", None),
    "cp2k-restart": (rf"^\s*CHARGE\s+{SIGNED}\s*$", rf"^\s*MULTIPLICITY\s+{SIGNED}\s*$"),
    "turbomole": (rf"^\$eht\s+charge\s*=\s*{SIGNED}", None),
    "aims-output": (rf"^\s*Charge\s*=\s*{SIGNED}", None),
}
# formats of which ASE reads one structure: what each of them has once
ONCE = {
    "turbomole": r"^\$coord\b",
    "cfg": r"^Number of particles",
    "dftb": r"^\s*Geometry\b",
    "nwchem-in": r"^\s*geometry\b",
    "gaussian-in": r"^\s*#\s*\w|^\s*#[pnt]\b",
    "res": r"^TITL\b",
    "dmol-car": r"^!BIOSYM",
    "dmol-incoor": r"^\$coordinates",
    "gamess-us-out": r"COORDINATES OF ALL ATOMS ARE",
    "gamess-us-punch": r"^\s*\$DATA",
    "castep-cell": r"^\s*%BLOCK\s+POSITIONS",
    "espresso-in": r"^\s*ATOMIC_POSITIONS",
    "lammps-data": r"^\s*\d+\s+atoms\s*$",
    "magres": r"^\s*[\[<]atoms[\]>]",
    "rmc6f": r"^Number of atoms:",
    "gromos": r"^POSITION",
}


def state(path: Path | str, kind: str) -> dict[str, dict[str, float]]:
    """What a file of a program says of charge and multiplicity, as `sums` of state.state_of; kind: of ASE.

    Raises UserError for a file whose jobs have several.
    """
    if kind not in CHARGES:
        return {}
    found = {}
    for name, pattern in zip(("charge", "multiplicity"), CHARGES[kind]):
        said = {float(match) for match in re.findall(pattern, _text(path), re.M | re.I)} if pattern else set()
        if len(said) > 1:
            raise UserError(
                f"{path}: holds calculations of {name} {' and '.join(f'{v:g}' for v in sorted(said))}; split it, or "
                f"convert it to extended XYZ with a {name} in each frame"
            )
        found[name] = {f"the {kind} file": value for value in said}
    return found


def check_single(path: Path | str, kind: str, count: int) -> None:
    """Raise UserError if a file of a format of which ASE reads one structure, of `count` atoms, holds more."""
    if not ioformats[kind].single or kind not in {*ONCE, *BEYOND}:
        return
    if kind in ONCE:
        found = len(re.findall(ONCE[kind], _text(path), re.M | re.I))
    else:
        found = 1 + BEYOND[kind](_text(path).splitlines(), count)
    if found > 1:
        more = f"{found} of them" if kind in ONCE else "more"
        raise UserError(
            f"{path}: ASE reads one structure of a file of format {kind}, and there are {more} in it; give each a file "
            "of its own, or convert it to extended XYZ"
        )


def _text(path):
    with stream(path) as handle:
        return handle.read().decode(errors="replace")


def _lines_beyond(lines, length):
    return any(line.strip() for line in lines[length:])


def _beyond_gen(lines, count):
    return _lines_beyond(lines, 2 + count + (0 if lines[0].split()[1:2] in (["C"], ["c"]) else 4))


def _beyond_gromacs(lines, count):
    return _lines_beyond(lines, 3 + count)


def _beyond_poscar(lines, count):
    """Whether a second header comes after the positions: a scale alone, and three vectors."""
    rest = [line.split() for line in lines[5 + count :]]
    vector = lambda words: len(words) == 3 and all(map(_is_number, words))
    return any(
        len(rest[k]) == 1
        and _is_number(rest[k][0])
        and all(map(vector, rest[k + 1 : k + 4]))
        and not vector(rest[k + 4])
        for k in range(1, len(rest) - 4)
    )


def _is_number(word):
    try:
        float(word)
    except ValueError:
        return False
    return True


BEYOND: dict[str, Callable[[list[str], int], bool]] = {
    "gen": _beyond_gen,
    "gromacs": _beyond_gromacs,
    "vasp": _beyond_poscar,
}
