"""Dynamics on graphs whose radius is chosen along the way, and what every change of it does to the energy.

A radius that changes changes the potential: the energy jumps though nothing has moved, and is not conserved by what
moves next. Three ways: the radius of the first geometry for good, that of every step, or one that follows it smoothly.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from mlipshift.base.errors import UserError
from mlipshift.catalogue.runs import FIXED, MOVING, SMOOTH
from mlipshift.learn.potential import Potential
from mlipshift.mitigate.radius import Rule, choose_of
from mlipshift.mitigate.references import Graphs
from mlipshift.shift import graphs
from mlipshift.simulate.fields import Answer, NetworkField


@dataclass(frozen=True)
class Rewiring:
    """How radii are chosen along a trajectory.

    mode: of MOVING; known: training graphs; trained, candidates: radii (Å); rule: that chooses among them; rate: Å per
    step at most that a smooth radius changes by; rescaled: whether the envelope ends at the radius, or at the trained
    one as published. Raises UserError for an unknown mode.
    """

    mode: str
    known: Graphs
    trained: float
    candidates: np.ndarray
    rule: Rule
    rate: float
    rescaled: bool

    def __post_init__(self):
        if self.mode not in MOVING:
            raise UserError(f"a radius along a trajectory is {self.mode!r}; use one of {', '.join(MOVING)}")


class RewiredField(NetworkField):
    """A model on graphs of a radius per replica; see Rewiring. Counts the changes and the jumps of the energy."""

    def __init__(self, potential: Potential, numbers: np.ndarray, rewiring: Rewiring, precision: str = "float32"):
        self.rewiring = rewiring
        self.radii = np.empty(0)
        # changes of the radius, the sum of the jumps of the energy that they are, and the largest one (eV)
        self.changes, self.jumped, self.largest = 0, 0.0, 0.0
        super().__init__(potential, numbers, precision)

    def __call__(self, positions: np.ndarray) -> Answer:
        before = self.radii
        self.radii = self._next(positions)
        energy, forces = super().__call__(positions)
        if len(before):
            self._count(positions, before, energy)
        return energy, forces

    def _count(self, positions, before, energy):
        """Take note of the radii that have changed since `before` [R], and of the jumps of the energy [R] by them."""
        changed = np.flatnonzero(before != self.radii)
        if len(changed):
            now, self.radii = self.radii, before
            jumps = np.abs(energy - super().__call__(positions)[0])[changed]
            self.radii = now
            self.changes += len(changed)
            self.jumped += float(jumps.sum())
            self.largest = max(self.largest, float(jumps.max()))

    def keep(self, still: np.ndarray) -> None:
        self.radii = self.radii[still]

    def _next(self, positions):
        """Radii [R] (Å) at these positions."""
        how, started = self.rewiring, len(self.radii) > 0
        if how.mode == FIXED and started:
            return self.radii
        wanted = choose_of(how.known, list(positions), how.trained, how.candidates, how.rule)
        if how.mode == SMOOTH and started:
            return self.radii + np.clip(wanted - self.radii, -how.rate, how.rate)
        return wanted

    def _ask(self, positions):
        rescaled, both = self.rewiring.rescaled, zip(positions, self.radii)
        return self._say([graphs.build(self.numbers, x, r, r if rescaled else None) for x, r in both])

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        notes = {"changes": self.changes, "jumped": self.jumped, "largest": self.largest}
        return {"radii": self.radii}, super().state()[1] | notes

    def restore(self, arrays: dict[str, np.ndarray], notes: dict[str, Any]) -> None:
        super().restore(arrays, notes)
        self.radii = arrays["radii"]
        self.changes, self.jumped, self.largest = (notes[name] for name in ("changes", "jumped", "largest"))
