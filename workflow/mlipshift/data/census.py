"""What there is of every group: structures read and used, what was left out and why, and what labels they have."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from mlipshift.base.text import kind, reasons
from mlipshift.data.records import Record, in_the_file

NET = 0.02, 0.001  # eV/Å, and eV/Å per atom; beyond it the sum of the forces is no noise of an integration grid
CENSUS = ["group", "n_read", "n_used", "n_left_out", "n_energy", "n_forces", "n_zero_forces", "n_net_force"]


@dataclass
class Count:
    """Of one group: structures that were read, and of those that are used what their labels are.

    zero: all forces zero; net: forces that do not sum to zero; largest: eV/Å, of these sums; energies: smallest and
    largest (eV); first: {what is missing: the first record that lacks it}.
    """

    read: int = 0
    used: int = 0
    energy: int = 0
    forces: int = 0
    both: int = 0
    zero: int = 0
    several_atoms: int = 0
    net: int = 0
    largest: float = 0.0
    energies: tuple[float, float] = (np.inf, -np.inf)
    left_out: Counter = field(default_factory=Counter)
    first: dict[str, Record] = field(default_factory=dict)

    def note(self, record: Record, label: tuple[float, np.ndarray] | None) -> None:
        """Count a structure that is used, with its label as records.label_of gives it."""
        self.used += 1
        energy, forces = (np.nan, np.array([np.nan])) if label is None else label
        has = bool(np.isfinite(energy)), bool(np.isfinite(forces).all())
        self.energy, self.forces, self.both = (
            n + k for n, k in zip((self.energy, self.forces, self.both), (*has, all(has)))
        )
        for known, name in zip(has, ("energy", "forces")):
            if not known:
                self.first.setdefault(name, record)
        if has[0]:
            self.energies = min(self.energies[0], energy), max(self.energies[1], energy)
        if has[1] and len(forces) > 1:
            self.several_atoms += 1
            self.zero += not forces.any()
            net = float(np.abs(forces.sum(axis=0)).max())
            if net > NET[0] + NET[1] * len(forces) and not np.any(record.pbc):
                self.net, self.largest = self.net + 1, max(self.largest, net)


class Census:
    """Counts of every group, in the order in which the groups are named first."""

    def __init__(self) -> None:
        self.groups: dict[str, Count] = {}

    def of(self, group: str) -> Count:
        """Count of a group."""
        return self.groups.setdefault(group, Count())

    def leave_out(self, group: str, reason: str) -> None:
        """Count a structure that is not used."""
        self.of(group).left_out[kind(reason)] += 1

    def rows(self) -> list[dict]:
        """Rows of CENSUS, one per group, those without a structure too."""
        return [
            {
                "group": group,
                "n_read": count.read,
                "n_used": count.used,
                "n_left_out": count.left_out.total(),
                "n_energy": count.energy,
                "n_forces": count.forces,
                "n_zero_forces": count.zero,
                "n_net_force": count.net,
            }
            for group, count in self.groups.items()
        ]

    def lines(self) -> list[str]:
        """What the user is told: what was left out, which labels are missing, and which look odd."""
        return [
            line for group, count in self.groups.items() for line in (*_left_out(group, count), *_labels(group, count))
        ]


def left_out_of(group: str, count: Count) -> str:
    """'6 of 15 structures of ood_broken were left out: has no atom (3), ...'."""
    missing = count.left_out.total()
    text = f"{missing} of {count.read} structures of {group} were left out: {reasons(count.left_out)}"
    return text if count.used else f"{text}; nothing is left of the group"


def _left_out(group, count):
    if count.left_out:
        yield left_out_of(group, count)
    elif not count.read:
        yield f"{group} has no structure"


def _labels(group, count):
    if group == "unlabelled" or not count.used:
        return
    part = lambda number, of: f"{number} of {of} structures of {group}"
    neither = count.used - count.energy - count.forces + count.both
    if neither:
        yield f"{part(neither, count.used)} have no label{in_the_file(count.first['energy'])}"
    for known, missing, place, effect in (
        ("forces", "energy", 0, "nothing that needs energies counts them"),
        ("energy", "forces", 1, "they have no error, and no network is trained on them"),
    ):
        number = getattr(count, known) - count.both
        if number:
            record = count.first[missing]
            name = f"{missing} {record.names[place]}{in_the_file(record)}"
            article = "an " if known == "energy" else ""
            yield f"{part(number, count.used)} have {article}{known} and no {name}; {effect}"
    if count.zero:
        yield f"{part(count.zero, count.several_atoms)} have forces that are all zero; are they labels?"
    if count.energy > 1 and count.energies[0] == count.energies[1]:
        yield f"all {count.energy} structures of {group} with an energy have the same, {count.energies[0]:.6g} eV"
    if count.net:
        yield (
            f"{part(count.net, count.several_atoms)} have forces that do not sum to zero (up to"
            f" {count.largest:.2g} eV/Å), as those of a molecule alone do"
        )
