"""One structure as it is given to a model of any origin."""

from dataclasses import dataclass

import numpy as np
from ase.geometry import complete_cell

from mlipshift.base.frames import Frames


@dataclass(frozen=True)
class Structure:
    """numbers [n]; positions [n, 3] Å; charge e; multiplicity; cell [3, 3] Å, zero for a molecule; pbc [3]."""

    numbers: np.ndarray
    positions: np.ndarray
    charge: int
    multiplicity: int
    cell: np.ndarray
    pbc: np.ndarray

    @classmethod
    def of(cls, frames: Frames, k: int) -> "Structure":
        """Structure k of Frames, a molecule centred at the origin.

        rMD17 has benzene 200 Å away from it, where cell lists of molecules become huge and single precision coarse.
        """
        numbers, positions, charge, multiplicity = frames[k]
        if not frames.pbc[k].any():
            positions = positions - positions.mean(axis=0)
        return cls(numbers, positions, charge, multiplicity, frames.cell[k], frames.pbc[k])

    def in_box(self, padding: float) -> "Structure":
        """A molecule in a box, a slab between vacuum, `padding` Å away from the next image; a crystal as it is.

        What the cell has along directions that are not periodic does not count.
        """
        if self.pbc.all():
            return self
        cell = complete_cell(np.where(self.pbc[:, None], self.cell, 0.0))
        # the directions added are perpendicular to all others, and of unit length
        along = self.positions @ np.linalg.inv(cell)
        low, high = along.min(axis=0), along.max(axis=0)
        stretch = np.where(self.pbc, 1.0, high - low + padding)
        moved = self.positions + np.where(self.pbc, 0.0, padding / 2 - low) @ cell
        return Structure(self.numbers, moved, self.charge, self.multiplicity, cell * stretch[:, None], np.ones(3, bool))
