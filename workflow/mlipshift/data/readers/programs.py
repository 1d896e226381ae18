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
    # the first line of two whole numbers; what comes behind the geometry may have others
    "gaussian-in": (
        r"\A(?:.*\n)*?\s*([+-]?\d+)[ \t,]+\d+[ \t]*\n",
        r"\A(?:.*\n)*?\s*[+-]?\d+[ \t,]+(\d+)[ \t]*\n",
    ),
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


def check_single(path: Path | str, kind: str) -> None:
    """Raise UserError if a file of a format of which ASE reads one structure holds more; kind: the format, of ASE."""
    if not ioformats[kind].single or kind not in {*ONCE, *ENDS}:
        return
    if kind in ONCE:
        more = len(re.findall(ONCE[kind], _text(path), re.M | re.I)) > 1
    else:
        try:
            more = ENDS[kind](_text(path).splitlines())
        except (ValueError, IndexError):  # damaged, which ASE says
            more = False
    if more:
        raise UserError(
            f"{path}: ASE reads one structure of a file of format {kind}, and there are more in it; give each a file "
            "of its own, or convert it to extended XYZ"
        )


def _text(path):
    with stream(path) as handle:
        return handle.read().decode(errors="replace")


def _beyond(lines, length):
    return any(line.strip() for line in lines[length:])


def _gen(lines):
    count, kind = lines[0].split()[:2]
    return _beyond(lines, 2 + int(count) + (0 if kind.upper() == "C" else 4))


def _gromacs(lines):
    return _beyond(lines, 3 + int(lines[1]))


def _poscar(lines):
    """Whether a second header comes after the positions: a scale alone, and three vectors."""
    counts = [line.split() for line in lines[5:7] if line.split()[0].isdecimal()][0]
    rest = [line.split() for line in lines[6 + sum(map(int, counts)) :]]
    vector = lambda words: len(words) == 3 and all(map(_is_number, words))
    return any(
        len(rest[k]) == 1
        and _is_number(rest[k][0])
        and all(map(vector, rest[k + 1 : k + 4]))
        and not vector(rest[k + 4])
        for k in range(len(rest) - 4)
    )


def _is_number(word):
    try:
        float(word)
    except ValueError:
        return False
    return True


# formats of which ASE reads one structure: whether there is more behind it
ENDS: dict[str, Callable[[list[str]], bool]] = {"gen": _gen, "gromacs": _gromacs, "vasp": _poscar}
