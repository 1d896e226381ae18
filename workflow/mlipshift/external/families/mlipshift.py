"""The models that this workflow trains; `checkpoint` is the file weights.pt in their directory.

Features: the scalar ones of the shared representation.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from mlipshift.external.families.ase import Calculated
from mlipshift.learn import device
from mlipshift.learn.calculator import Calculator, frames_of


class Model(Calculated):
    calculator: Calculator

    def __init__(self, entry: Mapping[str, Any], checkpoint: Path | None):
        device.configure()
        assert checkpoint is not None  # the rule names the one that train_model made
        calculator = Calculator(checkpoint.parent)
        super().__init__(entry, calculator, calculator.potential.cutoff)

    def features(self, atoms: Atoms) -> np.ndarray:
        return self.calculator.potential.features_of_atoms(frames_of([atoms]))[0]
