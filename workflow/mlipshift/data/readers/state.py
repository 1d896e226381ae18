"""Charge and spin of a structure, under whatever key its file has them.

Conventions: `charge` and `spin`, a multiplicity 2S + 1, of OMol25 and fairchem; `total_charge` and `total_spin`, also a
multiplicity, of MACE (https://github.com/ACEsuit/mace-foundations/issues/66); `charge` and `mult` of AIMNet2 and most
programs; `molecular_charge` and `molecular_multiplicity` of QCSchema; numbers of unpaired electrons, 2S, under names
that say so. Two that contradict each other are an error, never a choice.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mlipshift.base.electrons import CHARGES, MULTIPLICITIES
from mlipshift.base.errors import UserError
from mlipshift.data.readers.common import Notes
from mlipshift.data.readers.units import spelled
from mlipshift.data.records import scalar

# in small letters; those of AMBIGUOUS are multiplicities by convention, but are also used for 2S
CHARGE = (*CHARGES, "molecular_charge", "net_charge", "formal_charge", "tot_charge", "totalcharge")
AMBIGUOUS = ("spin", "total_spin")
MULTIPLICITY = (*MULTIPLICITIES, "molecular_multiplicity")
UNPAIRED = (
    *("unpaired_electrons", "num_unpaired_electrons", "n_unpaired_electrons", "number_of_unpaired_electrons"),
    *("n_unpaired", "num_unpaired", "nunpaired", "unpaired", "uhf"),
)
NAMES = {"charge": CHARGE, "multiplicity": MULTIPLICITY, "unpaired_electrons": UNPAIRED}
SETTINGS = {"charge": "data.keys.charge", "multiplicity": "data.keys.multiplicity or data.keys.unpaired_electrons"}
# what may be a charge or a spin under another name
LIKE = {
    "charge": re.compile(r"charge", re.I),
    "multiplicity": re.compile(r"multiplicity|(^|_)mult($|_)|spin|unpaired|magmom", re.I),
}
UNITS = ("unit", "units")
WHOLE = 0.05  # how far the sum of atomic charges or moments may be from a whole number


@dataclass
class State:
    """charge, multiplicity: as they stand in the file, None where it says nothing; problem: why it is none at all;
    unread: {key: value} of what looks like one of them and was not read."""

    charge: object = None
    multiplicity: object = None
    problem: str = ""
    unread: dict[str, object] = field(default_factory=dict)


def state_of(
    values: Mapping[str, Any],
    numbers: np.ndarray,
    keys: Mapping[str, str | None],
    sums: Mapping[str, Mapping[str, float]] | None = None,
    periodic: bool = False,
) -> State:
    """Charge (e) and multiplicity 2S + 1 of a structure.

    values: key-value pairs of the structure; numbers [n]; keys: section data.keys of the configuration, whose entries
    charge, multiplicity and unpaired_electrons are the only ones looked at where a structure has them; sums: {"charge",
    "multiplicity", "unpaired_electrons"}: {what says it: number} of what the file says by other means, moments that
    were added up among them, which are left out where the electrons cannot have them; periodic: spins of crystals are
    not held against their electrons.
    """
    sums = sums or {}
    keys = {kind: keys.get(kind) for kind in NAMES if keys.get(kind) in {*values, *sums.get(kind, {})}}
    state = State()
    charge = _said("charge", values, keys, sums)
    state.charge, state.problem = _agreed(charge, "charge")
    electrons = int(np.sum(numbers, dtype=int)) - (0 if state.charge is None else _number(state.charge))
    moments = {key: abs(value) for key, value in sums.get("unpaired_electrons", {}).items()}
    fitting = {key: value for key, value in moments.items() if periodic or _fits(electrons, value)}
    sums = {**sums, "unpaired_electrons": fitting}
    own = keys.keys() - {"charge"}
    spins: dict[str, object] = _said("multiplicity", values, keys, sums) if own != {"unpaired_electrons"} else {}
    if own != {"multiplicity"}:
        for key, value in _said("unpaired_electrons", values, keys, sums).items():
            number = _number(value)
            spins[key] = value if np.isnan(number) else abs(number) + 1
    if not own:
        doubtful = [key for key in spins if key.lower() in AMBIGUOUS]
        if periodic:
            # what is not known is 0 in datasets of crystals
            spins = {key: value for key, value in spins.items() if key not in doubtful or _number(value) != 0}
        elif not state.problem:
            state.problem = next(filter(None, (_counts(key, spins[key], electrons) for key in doubtful)), "")
    state.multiplicity, problem = _agreed(spins, "multiplicity")
    state.problem = state.problem or problem
    read = {*charge, *spins}
    for kind, like in LIKE.items():
        if not (own if kind == "multiplicity" else "charge" in keys):
            state.unread |= {
                key: value
                for key, value in values.items()
                if key not in read and like.search(key) and np.size(value) == 1
            }
    if not spins:
        state.unread |= {key: value for key, value in moments.items() if key not in fitting}
    return state


def whole(value: float) -> float | None:
    """A sum as the whole number that it is but for rounding, None if it is none."""
    return float(round(value)) if np.isfinite(value) and abs(value - round(value)) <= WHOLE else None


def may_say(key: str) -> bool:
    """Whether a key looks like a charge, a spin or a unit."""
    return any(like.search(key) for like in LIKE.values()) or key.lower().endswith(UNITS) or key.lower() in UNPAIRED


def tell_unread(state: State, values: Mapping[str, Any], units: Mapping[str, str], notes: Notes) -> None:
    """Say, once per file and key, what looks like a charge, a spin or a unit and is not read.

    values: key-value pairs of a structure; units: those in use, {"energy", "length", "forces"}.
    """
    for key, value in state.unread.items():
        if key not in notes.said:
            kind = "charge" if LIKE["charge"].search(key) else "multiplicity"
            text = f"{key} (= {str(value)[:40]}) looks like a {kind} and is not read"
            notes.say(key, f"{text}; if it is one, set {SETTINGS[kind]} to {key}")
    for key, value in values.items():
        if key.lower().endswith(UNITS) and np.size(value) == 1 and key not in notes.said and not _in_use(value, units):
            notes.say(
                key, f"{key} (= {str(value)[:40]}) is not read; {', '.join(units.values())} are taken (data.units)"
            )


def _in_use(text, units):
    """Whether a text names one of the units in use."""
    for kind, unit in units.items():
        try:
            if spelled(text, kind, "") in (unit, None):
                return True
        except UserError:
            continue
    return False


def _said(kind, values, keys, sums):
    """{key: value} of what says the charge, the multiplicity or the number of unpaired electrons."""
    if own := keys.get(kind):
        return {own: values[own] if own in values else sums[kind][own]}
    found = {key: value for key, value in values.items() if key.lower() in NAMES[kind] and _is_one(value)}
    return found | dict(sums.get(kind, {}))


def _agreed(found, kind):
    """(value that all say, None if there is none; problem)."""
    odd = [value for value in found.values() if not float(_number(value)).is_integer()]
    first = next(iter(odd or found.values()), None)
    if not odd and len({_number(value) for value in found.values()}) > 1:
        said = " and ".join(f"{_number(value):g} by {key}" for key, value in found.items())
        return None, f"its {kind} is {said}; mend the file, or say in {SETTINGS[kind]} which one holds"
    return (np.ravel(first)[0] if np.size(first) == 1 and first is not None else first), ""


def _counts(key, value, electrons):
    """Problem of a multiplicity that can only be a number of unpaired electrons; empty if there is none."""
    number = _number(value)
    if not _fits(electrons, number):
        return ""
    return (
        f"{key} is {number:g}, which is no multiplicity (2S + 1) of {electrons:g} electrons; if it counts unpaired "
        f"electrons, set data.keys.unpaired_electrons to {key}, else mend {key} or the charge"
    )


def _fits(electrons, unpaired):
    return np.isfinite(electrons) and (electrons - unpaired) % 2 == 0 and 0 <= unpaired <= electrons


def _number(value):
    return scalar(np.ravel(value)[0]) if np.size(value) == 1 else np.nan


def _is_one(value):
    """Whether it is one number or one word: no value per atom, and no word of a comment, which ASE makes a flag."""
    return value is not None and not isinstance(value, bool | np.bool_ | dict) and np.size(value) == 1
