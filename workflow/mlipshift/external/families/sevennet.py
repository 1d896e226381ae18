"""SevenNet (Park et al., J. Chem. Theory Comput. 2024, 20, 4857), SevenNet-0 in the wheel.

Features: the scalar node features that go into the energy readout.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from sevenn.calculator import SevenNetCalculator
from sevenn.util import pretrained_name_to_path

from mlipshift.external.families.ase import Calculated

READOUT = "reduce_input_to_hidden"  # first layer of the readout; what goes into it is the representation


class Model(Calculated):
    calculator: SevenNetCalculator

    def __init__(self, entry: Mapping[str, Any], checkpoint: Path | None):
        torch.set_num_threads(1)
        options = {"model": str(checkpoint)} if checkpoint else {}
        calculator = SevenNetCalculator(device="cpu", **options, **entry["arguments"])
        super().__init__(entry, calculator, float(calculator.cutoff))
        self.calculator.model._modules[READOUT].register_forward_pre_hook(self._keep)

    @staticmethod
    def weights(entry: Mapping[str, Any], checkpoint: Path | None) -> Path | None:
        return checkpoint or Path(pretrained_name_to_path(entry["arguments"].get("model", "7net-0")))

    def _keep(self, module, inputs):
        self.kept = inputs[0]["x"].detach()

    def features(self, atoms: Atoms) -> np.ndarray:
        return self.kept.numpy()
