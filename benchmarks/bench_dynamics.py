"""Dynamics of several replicas in one batch against ASE, one replica after the other, per replica and step.

Both take the same Langevin steps of the same network with random weights, of the default size, on butane; ASE through
the calculator of this workflow. The second line of each is the limit: the network alone on the batch, without dynamics.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from ase import units
from ase.build import molecule
from ase.md.langevin import Langevin
from common import best_of_both, line

from mlipshift.base.frames import Frames
from mlipshift.learn import device, networks
from mlipshift.learn.calculator import Calculator
from mlipshift.learn.potential import Potential
from mlipshift.simulate.dynamics import Settings, simulate
from mlipshift.simulate.fields import NetworkField
from mlipshift.simulate.integrators import FRICTION_PER_PS
from mlipshift.simulate.observables import Bonds

REPLICAS, STEPS, ROUNDS = 16, 60, 3
FRICTION = 0.01  # in ASE's unit
MOLECULE = molecule("trans-butane")


def main():
    device.configure()
    for forces in ("direct", "gradient"):
        torch.manual_seed(0)
        compare(forces, Potential(networks.build({"forces": forces}), {"strategy": "joint", "seed": 0}))


def compare(forces, potential):
    """Two lines of a network with one kind of forces."""
    numbers, positions = MOLECULE.numbers, MOLECULE.positions
    row = {"group": "", "molecule": "", "numbers": numbers, "positions": positions, "charge": 0, "multiplicity": 1}
    start = Frames.build(row | {"id": str(k)} for k in range(REPLICAS))
    settings = Settings(duration_ps=STEPS * 0.5e-3, friction_per_ps=FRICTION * FRICTION_PER_PS, explosion=1e9)
    none = Bonds(np.empty((0, 2), dtype=int), np.empty(0))
    field, batch = NetworkField(potential, numbers), np.repeat(positions[None], REPLICAS, 0)
    atoms = MOLECULE.copy()
    atoms.calc = Calculator(potential)

    def ours():
        with tempfile.TemporaryDirectory() as folder:
            simulate(field, start, none, settings, Path(folder))

    def other():
        atoms.positions = positions
        atoms.set_velocities(np.zeros_like(positions))
        options = {"temperature_K": 500, "friction": FRICTION, "fixcm": False, "rng": np.random.default_rng(0)}
        Langevin(atoms, 0.5 * units.fs, **options).run(STEPS)

    def network():
        for _ in range(STEPS):
            field(batch)

    each = REPLICAS * STEPS / 1e3  # of ms
    seconds, reference = best_of_both(ours, other, ROUNDS, time.process_time)
    name, found = f"dynamics, {forces}, {REPLICAS} replicas", seconds / each
    line(name, f"{found:.3f} ms/step", f"{reference / STEPS * 1e3:.3f} ms/step", reference / STEPS * 1e3 / found)
    seconds, limit = best_of_both(ours, network, ROUNDS, time.process_time)
    line("  and the network alone", f"{seconds / each:.3f} ms/step", f"{limit / each:.3f} ms/step", limit / seconds)


if __name__ == "__main__":
    main()
