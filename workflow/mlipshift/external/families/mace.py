"""MACE (Batatia et al., NeurIPS 2022, arXiv 2206.07697): any checkpoint of mace-torch.

A checkpoint is a whole model as a pickle: e3nn and torch refuse it unless they are told to run what it says, which is
why the registry loads none without an explicit yes.
Embedding: the invariant part of the node features of all layers, mean over atoms.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms

from mlipshift.base.errors import UserError, shortened
from mlipshift.external.families.ase import Calculated

# read by torch when a file is loaded; e3nn 0.4.4 loads one of its own when it is imported
os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] = "1"

from mace.calculators import MACECalculator  # noqa: E402


class Model(Calculated):
    calculator: MACECalculator

    def __init__(self, entry: Mapping[str, Any], checkpoint: Path | None):
        torch.set_num_threads(1)
        options = {"default_dtype": "float64"} | entry["arguments"]
        try:
            calculator = MACECalculator(model_paths=str(checkpoint), device="cpu", **options)
        except FileNotFoundError:
            raise
        except Exception as error:  # a damaged pickle raises many kinds
            raise UserError(f"{checkpoint}: not a MACE checkpoint ({shortened(error)}); fetch it again") from error
        super().__init__(entry, calculator, float(calculator.r_max))

    def embedding(self, atoms: Atoms) -> np.ndarray:
        return self.calculator.get_descriptors(atoms, invariants_only=True).mean(axis=0)
