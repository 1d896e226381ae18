"""CHGNet (Deng et al., Nat. Mach. Intell. 2023, 5, 1031), weights in the wheel; periodic structures only.

Embedding: the crystal feature, the sum of the atom features in the published model, over the number of atoms.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import chgnet
import numpy as np
import torch
from chgnet.model import CHGNet
from pymatgen.core import Structure as Crystal
from pymatgen.core.periodic_table import Element

from mlipshift.external.structure import Structure


class Model:
    def __init__(self, entry: Mapping[str, Any], checkpoint: Path | None):
        torch.set_num_threads(1)
        self.padding = entry["box_padding_A"]
        if checkpoint:
            self.model = CHGNet.from_file(str(checkpoint), **entry["arguments"])
        else:
            self.model = CHGNet.load(use_device="cpu", verbose=False, **entry["arguments"])
        self.cutoff = float(self.model.graph_converter.atom_graph_cutoff)

    @staticmethod
    def weights(entry: Mapping[str, Any], checkpoint: Path | None) -> Path | None:
        version = entry["arguments"].get("model_name", "0.3.0")
        return checkpoint or next(Path(chgnet.__file__).parent.joinpath("pretrained", version).glob("*.pth.tar"), None)

    def __call__(self, structure: Structure) -> tuple[float, np.ndarray, np.ndarray]:
        boxed = structure.in_box(self.padding)
        elements = [Element.from_Z(int(z)) for z in boxed.numbers]
        crystal = Crystal(boxed.cell, elements, boxed.positions, coords_are_cartesian=True)
        out = self.model.predict_structure(crystal, task="ef", return_crystal_feas=True)
        embedding = out["crystal_fea"].ravel().astype(float) / len(elements)
        return float(out["e"]) * len(elements), out["f"].astype(float), embedding
