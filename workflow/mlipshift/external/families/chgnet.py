"""CHGNet (Deng et al., Nat. Mach. Intell. 2023, 5, 1031), weights in the wheel; periodic structures only.

CHGNet 0.2.0 is of the same paper, r2SCAN of Huang et al., npj Comput. Mater. 2025, 11, 313.

Embedding: the crystal feature, the sum of the atom features in the published model, over the number of atoms.
Features: those of the atoms before the last layer, from which the package reads magnetic moments.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import chgnet
import torch
from chgnet.model import CHGNet
from pymatgen.core import Structure as Crystal
from pymatgen.core.periodic_table import Element

from mlipshift.external.answer import Answer
from mlipshift.external.structure import Structure


class Model:
    block = 128  # atoms

    def __init__(self, entry: Mapping[str, Any], checkpoint: Path | None):
        torch.set_num_threads(1)
        self.padding = entry["box_padding_A"]
        if checkpoint:
            self.model = CHGNet.from_file(str(checkpoint), **entry["arguments"])
        else:
            self.model = CHGNet.load(use_device="cpu", verbose=False, **entry["arguments"])
        converter = self.model.graph_converter
        self.cutoff, self.bonds = float(converter.atom_graph_cutoff), float(converter.bond_graph_cutoff)

    def set_radius(self, radius: float) -> None:
        converter = self.model.graph_converter
        converter.atom_graph_cutoff = radius
        # an angle is between two neighbours
        converter.bond_graph_cutoff = min(self.bonds, radius)

    @staticmethod
    def weights(entry: Mapping[str, Any], checkpoint: Path | None) -> Path | None:
        version = entry["arguments"].get("model_name", "0.3.0")
        return checkpoint or next(Path(chgnet.__file__).parent.joinpath("pretrained", version).glob("*.pth.tar"), None)

    def __call__(self, structure: Structure) -> Answer:
        return self.many([structure])[0]

    def many(self, structures: Sequence[Structure]) -> list[Answer]:
        """Answers for structures at once, molecules in boxes."""
        crystals = [_crystal(structure.in_box(self.padding)) for structure in structures]
        found = self.model.predict_structure(
            crystals, task="ef", return_atom_feas=True, return_crystal_feas=True, batch_size=len(crystals)
        )
        out = [found] if isinstance(found, dict) else found
        return [_answer(one, len(crystal)) for one, crystal in zip(out, crystals)]


def _crystal(boxed):
    elements = [Element.from_Z(int(z)) for z in boxed.numbers]
    return Crystal(boxed.cell, elements, boxed.positions, coords_are_cartesian=True)


def _answer(out, n):
    embedding = out["crystal_fea"].ravel().astype(float) / n
    return Answer(float(out["e"]) * n, out["f"].astype(float), embedding, out["atom_fea"])
