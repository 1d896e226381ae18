"""A trajectory of some replicas of a molecule, in memory and as a file."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from mlipshift.base import store
from mlipshift.simulate import integrators, observables

FORMAT = "mlipshift-trajectory-1"


@dataclass(frozen=True)
class Trajectory:
    """F recorded frames of R replicas of n atoms.

    numbers [n]; time_ps [F]; positions [F, R, n, 3] Å; energy, kinetic [F, R] eV, potential and kinetic; momentum [F,
    R] u Å/fs, norm of the total one; all NaN after the end of a replica. event [R]: observables.NONE, BOND or ENERGY;
    ended [R]: number of the frame at which it happened, F where nothing did; stretched [R, 2]: atoms of the bond that
    is furthest from its mean length there, -1 where nothing happened. about: settings of the run, prior calls,
    adaptations and seconds.
    """

    numbers: np.ndarray
    positions: np.ndarray
    energy: np.ndarray
    kinetic: np.ndarray
    momentum: np.ndarray
    event: np.ndarray
    ended: np.ndarray
    stretched: np.ndarray
    about: Mapping[str, Any]

    @property
    def frames(self) -> int:
        """Number of recorded frames."""
        return len(self.positions)

    @property
    def replicas(self) -> int:
        """Number of replicas."""
        return self.positions.shape[1]

    @property
    def time_ps(self) -> np.ndarray:
        """Time [F] (ps) of every frame."""
        return np.arange(self.frames) * self.about["frame_ps"]

    @property
    def total(self) -> np.ndarray:
        """Total energy [F, R] (eV)."""
        return self.energy + self.kinetic

    @property
    def temperature_K(self) -> np.ndarray:
        """Kinetic temperature [F, R] (K)."""
        return integrators.temperature(self.numbers, self.kinetic)

    def stable_ps(self, replica: int) -> float:
        """Time (ps) until something happened to a replica, the whole time where nothing did."""
        return float(min(self.ended[replica], self.frames - 1) * self.about["frame_ps"])

    def stable(self, replica: int) -> slice:
        """Frames before anything happened to a replica; the first one at least."""
        return slice(0, max(1, int(self.ended[replica])))

    def drift(self, replica: int) -> float:
        """Slope of the total energy of a replica before anything happened to it (meV per atom and ps)."""
        frames = self.stable(replica)
        return observables.drift(self.time_ps[frames], self.total[frames, replica], len(self.numbers))

    def excursion(self, replica: int) -> float:
        """Largest distance of that energy from the first one (meV per atom)."""
        return observables.excursion(self.total[self.stable(replica), replica], len(self.numbers))

    def save(self, path: Path | str) -> None:
        """Write to HDF5; equal trajectories give equal bytes."""
        with store.created(path, FORMAT, about=json.dumps(dict(self.about), sort_keys=True)) as (handle, _):
            for name in (field.name for field in fields(self) if field.name != "about"):
                store.put(handle, name, getattr(self, name))

    @classmethod
    def load(cls, path: Path | str) -> "Trajectory":
        """Read a file by `save`. Raises UserError if it is missing, damaged or of another kind."""
        with store.opened(path, FORMAT) as handle:
            arrays = {field.name: store.get(handle, field.name) for field in fields(cls) if field.name != "about"}
            return cls(**arrays, about=json.loads(str(handle.attrs["about"])))
