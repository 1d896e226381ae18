"""SO3LR (Kabylda et al., J. Am. Chem. Soc. 2025, 147, 33723), weights in the wheel of so3krates-torch, a pickle.

What the wheel holds is what pip installed and checked, so that no further yes is asked for; its sha256 is compared.
Its `total_spin` is S, and not 2S + 1 as MACE's of the same name: 1 there would be two unpaired electrons.
Embedding: the invariant features of the last layer, mean over atoms.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import so3krates_torch
import torch
from ase import Atoms
from so3krates_torch.calculator.so3 import SO3LRCalculator

from mlipshift.external.families.ase import Calculated
from mlipshift.external.structure import Structure


class Model(Calculated):
    calculator: SO3LRCalculator

    def __init__(self, entry: Mapping[str, Any], checkpoint: Path | None):
        torch.set_num_threads(1)
        super().__init__(entry, SO3LRCalculator(device="cpu", **entry["arguments"]))

    @staticmethod
    def weights(entry: Mapping[str, Any], checkpoint: Path | None) -> Path | None:
        return Path(so3krates_torch.__file__).parent / "pretrained" / "so3lr" / "so3lr.model"

    def atoms_of(self, structure: Structure) -> Atoms:
        atoms = super().atoms_of(structure)
        atoms.info["total_spin"] = (structure.multiplicity - 1) / 2
        return atoms

    def embedding(self, atoms: Atoms) -> np.ndarray:
        return np.asarray(self.calculator.get_descriptors(atoms)["invariant_features"][0], dtype=float).mean(axis=0)
