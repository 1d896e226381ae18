"""Which structures a model can take, decided before it runs, and in words."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ase.data import atomic_numbers, chemical_symbols

from mlipshift.base.errors import UserError
from mlipshift.base.frames import Frames
from mlipshift.base.text import listed


def known_elements(entry: Mapping[str, Any], training: np.ndarray) -> np.ndarray | None:
    """Atomic numbers [n] that a registry entry knows, None for any.

    training: atomic numbers of the training structures; of none, nothing is known. Raises UserError for a symbol that
    is none.
    """
    if entry["elements"] is None:
        return None
    if entry["elements"] == "training":
        return np.unique(training) if len(training) else None
    unknown = [s for item in entry["elements"] for s in item.split("-") if s not in atomic_numbers]
    if unknown:
        raise UserError(f"elements of the model: there is no element {unknown[0]!r}; correct the entry")
    ends = [[atomic_numbers[symbol] for symbol in item.split("-")] for item in entry["elements"]]
    return np.unique([z for e in ends for z in range(e[0], e[-1] + 1)])


def reasons(entry: Mapping[str, Any], frames: Frames, training: np.ndarray) -> list[str]:
    """Why the model cannot take each of S structures: list of S texts, empty where it can.

    entry: of the registry; training: atomic numbers of the training structures.
    """
    known = known_elements(entry, training)
    out = []
    for k in range(len(frames)):
        numbers, _, charge, _ = frames[k]
        unknown = [] if known is None else sorted(set(map(int, numbers)) - set(map(int, known)))
        if unknown:
            out.append(f"element {listed([chemical_symbols[z] for z in unknown])} unknown to the model")
        elif charge and not entry["charge"]:
            out.append("charged, and the model knows no charge")
        elif frames.pbc[k].any() and entry["periodic"] == "impossible":
            out.append("periodic, and the model takes molecules only")
        else:
            out.append("")
    return out


def summary(name: str, entry: Mapping[str, Any], found: Sequence[str], level: str | None) -> list[str]:
    """Lines for the user: what is excluded and why, and a warning when the levels of theory differ.

    found: reasons of all structures; level: that of the labels, None where it is not stated.
    """
    excluded = Counter(filter(None, found))
    line = f"{name}: {len(found)} structures, "
    if excluded:
        causes = "; ".join(f"{count} {reason}" for reason, count in excluded.most_common())
        line += f"{excluded.total()} excluded ({causes})"
    else:
        line += "none excluded"
    if entry["periodic"] == "needed":
        line += f"; molecules and slabs get {entry['box_padding_A']:g} Å of vacuum along open directions"
    if entry["environment"] is None:
        line += "; runs in the environment of the workflow, as none is named"
    if entry["level"] is None:
        return [line]
    if not level:
        return [line, f"{name}: it learned {entry['level']}; whether the labels are that is not stated (data.level)"]
    if _plain(entry["level"]) == _plain(level):
        return [line]
    warning = f"{name}: warning: it learned {entry['level']}, the labels are {level}; errors contain the difference"
    return [line, warning]


def _plain(level):
    return "".join(level.casefold().replace("ω", "w").split())
