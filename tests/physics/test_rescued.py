"""The ASE calculator of a rescued model, in the environment of AIMNet2: what its forces are, and what it refuses.

Skipped where `make models` has not made the environment.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mlipshift.external.registry import OPERATIVE, Registry

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-organic/bin/python"
pytestmark = pytest.mark.skipif(not PYTHON.exists(), reason="make models")

PROGRAM = """
import json, sys
import numpy as np
from ase.build import bulk, molecule
from mlipshift.base.errors import UserError
from mlipshift.external import differentiable, heads
from mlipshift.external.rescued import Rescued
from mlipshift.external.structure import Structure

card = json.loads(open("card.json").read())
atoms = molecule("CH3OH")
atoms.rattle(0.05, seed=1)
if card["head"]:
    none = np.zeros((3, 3)), np.zeros(3, bool)
    known = [Structure(atoms.numbers, atoms.positions + 0.1 * k, 0, 1, *none) for k in range(2)]
    settings = {"components": 8, "hidden": 4, "seed": 0}
    heads.start(differentiable.load(card["entry"]), known, settings).save(card["head"])
found = {}
with Rescued("card.json") as calculator:
    atoms.calc = calculator
    forces = atoms.get_forces()
    found["moved"] = float(np.abs(forces - calculator.results["model_forces"]).max())
    found["residual"] = calculator.results["prior_residual"]
    slopes = []
    for atom, axis in ((0, 0), (1, 1), (5, 2)):
        ends = []
        for step in (0.01, -0.01):
            moved = atoms.copy()
            moved.positions[atom, axis] += step
            moved.calc = calculator
            ends.append(moved.get_potential_energy())
        slopes.append((float(forces[atom, axis]), -(ends[0] - ends[1]) / 0.02))
    found["slopes"] = slopes
    turned = atoms.copy()
    turned.rotate(40, "x")
    turned.calc = calculator
    found["turned"] = turned.get_potential_energy() - atoms.get_potential_energy()
    ion = atoms.copy()
    ion.info["charge"] = 1
    ion.info["spin"] = 2
    ion.calc = calculator
    found["ion"] = ion.get_potential_energy() - atoms.get_potential_energy()
    try:
        crystal = bulk("NaCl", "rocksalt", a=5.6)
        crystal.calc = calculator
        crystal.get_forces()
    except UserError as error:
        found["crystal"] = str(error)
print(json.dumps(found))
"""


@pytest.mark.parametrize("with_head", [True, False], ids=["corrected", "mixed"])
def test_rescued_forces_are_the_gradient_of_the_rescued_energy(tmp_path, with_head):
    registry = Registry(ROOT / "config/models.yaml", ROOT / "workflow/schemas/models.schema.yaml")
    entry = registry.entry("aimnet2_single")
    card = {
        "model": "aimnet2_single",
        "entry": {key: entry[key] for key in OPERATIVE},
        "checkpoint": None,
        "head": str(tmp_path / "head.pt") if with_head else None,
        "weight": 0.3,
        "prior": {"method": "GFN2-xTB", "library": "tblite", "accuracy": 0.01},
        "python": sys.executable,
    }
    (tmp_path / "card.json").write_text(json.dumps(card))
    environment = os.environ | {"PYTHONPATH": str(ROOT / "workflow"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [PYTHON, "-c", PROGRAM], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["moved"] > 0.01
    assert (found["residual"] == found["residual"]) == with_head
    for force, slope in found["slopes"]:
        assert force == pytest.approx(slope, abs=0.02)
    assert abs(found["turned"]) < 1e-3
    assert found["ion"] > 5, "charge and multiplicity reach model and prior"
    assert "molecules" in found["crystal"]
