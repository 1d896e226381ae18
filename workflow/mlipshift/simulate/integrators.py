"""Steps of molecular dynamics of many replicas at once: velocity Verlet (NVE) and Langevin (NVT).

Positions are in Å, velocities in Å/fs, masses in u, energies in eV, in double precision whatever the forces were
computed in. Langevin is the splitting BAOAB (Leimkuhler and Matthews 2013, doi:10.1093/amrx/abs010), of which velocity
Verlet is the case without friction; each takes one force per step. The total momentum stays what it was: the noise has
none.
"""

from dataclasses import dataclass

import numpy as np
from ase import units
from ase.data import atomic_masses

# (Å/fs)/fs per eV/(Å u): ASE's unit of time is the one in which this is 1
ACCELERATION = units.fs**2
FRICTION_PER_PS = 1000 * units.fs  # 1/ps per unit of friction in ASE's unit of time
BLOCK = 100  # steps whose noise is drawn at once
START, NOISE = 0, 1  # what random numbers are for


@dataclass
class State:
    """R replicas of a molecule after `step` steps.

    numbers [n]; positions [R, n, 3] Å; velocities [R, n, 3] Å/fs; forces [R, n, 3] eV/Å and energy [R] eV at these
    positions; active [R]: whether a replica is still moved.
    """

    numbers: np.ndarray
    positions: np.ndarray
    velocities: np.ndarray
    forces: np.ndarray
    energy: np.ndarray
    active: np.ndarray
    step: int = 0

    @property
    def masses(self) -> np.ndarray:
        """Masses [n, 1] (u)."""
        return atomic_masses[self.numbers][:, None]


def generator(seed: int, replica: int, purpose: int, block: int = 0) -> np.random.Generator:
    """Random numbers of a replica: those of a block of steps do not depend on what was drawn before it."""
    return np.random.Generator(np.random.Philox(key=[seed, replica], counter=[0, 0, block, purpose]))


def degrees_of_freedom(atoms: int) -> int:
    """Of a molecule whose centre of mass rests."""
    return max(1, 3 * atoms - 3)


def kinetic_energy(numbers: np.ndarray, velocities: np.ndarray) -> np.ndarray:
    """Kinetic energy [...] (eV) of velocities [..., n, 3] Å/fs."""
    masses = atomic_masses[numbers][:, None]
    return 0.5 * (masses * velocities**2).sum((-2, -1)) / ACCELERATION


def temperature(numbers: np.ndarray, kinetic: np.ndarray) -> np.ndarray:
    """Kinetic temperature [...] (K) of kinetic energies [...] (eV), of 3n - 3 degrees of freedom."""
    return 2 * np.asarray(kinetic) / (degrees_of_freedom(len(numbers)) * units.kB)


def momentum(numbers: np.ndarray, velocities: np.ndarray) -> np.ndarray:
    """Norm [...] of the total momentum (u Å/fs) of velocities [..., n, 3] Å/fs."""
    masses = atomic_masses[numbers][:, None]
    return np.linalg.norm((masses * velocities).sum(-2), axis=-1)


def without_momentum(velocities: np.ndarray, masses: np.ndarray) -> np.ndarray:
    """Velocities [..., n, 3] with the velocity of the centre of mass taken away; masses [n, 1]."""
    return velocities - (masses * velocities).sum(-2, keepdims=True) / masses.sum()


def thermal(numbers: np.ndarray, kelvin: float, seed: int, replicas: np.ndarray) -> np.ndarray:
    """Velocities [R, n, 3] (Å/fs) of Maxwell and Boltzmann, without total momentum, of replicas with these numbers."""
    masses = atomic_masses[numbers][:, None]
    noise = np.stack([generator(seed, int(r), START).normal(size=(len(numbers), 3)) for r in replicas])
    return without_momentum(_spread(kelvin, masses) * noise, masses)


def _spread(kelvin, masses):
    """Standard deviation [n, 1] of a component of the velocities (Å/fs) at a temperature."""
    return np.sqrt(units.kB * kelvin / masses * ACCELERATION)


@dataclass(frozen=True)
class Integrator:
    """ensemble: "nvt" or "nve"; timestep_fs; temperature_K and friction_per_ps of the former; seed of the noise."""

    ensemble: str
    timestep_fs: float
    temperature_K: float
    friction_per_ps: float
    seed: int = 0

    def noise(self, numbers: np.ndarray, replicas: int, step: int) -> np.ndarray | None:
        """Noise [BLOCK, R, n, 3] of the steps of the block that begins with `step`, None where there is none."""
        if self.ensemble == "nve":
            return None
        assert step % BLOCK == 0
        shape = (BLOCK, len(numbers), 3)
        drawn = [generator(self.seed, r, NOISE, step // BLOCK).normal(size=shape) for r in range(replicas)]
        return np.stack(drawn, axis=1)

    def drift(self, state: State, noise: np.ndarray | None) -> None:
        """Half a kick, and the way to the next positions, where forces are due; noise [R, n, 3] of this step."""
        h, masses = self.timestep_fs, state.masses
        moved = state.active[:, None, None]
        state.velocities += np.where(moved, 0.5 * h * ACCELERATION * state.forces / masses, 0)
        if noise is None:
            state.positions += np.where(moved, h * state.velocities, 0)
            return
        state.positions += np.where(moved, 0.5 * h * state.velocities, 0)
        kept = np.exp(-self.friction_per_ps * 1e-3 * h)
        random = without_momentum(_spread(self.temperature_K, masses) * noise, masses)
        state.velocities = np.where(moved, kept * state.velocities + np.sqrt(1 - kept**2) * random, state.velocities)
        state.positions += np.where(moved, 0.5 * h * state.velocities, 0)

    def kick(self, state: State) -> None:
        """The other half, with the forces at the new positions; ends the step."""
        moved = state.active[:, None, None]
        kick = 0.5 * self.timestep_fs * ACCELERATION * state.forces / state.masses
        state.velocities += np.where(moved, kick, 0)
        state.step += 1
