"""SevenNet (Park et al., J. Chem. Theory Comput. 2024, 20, 4857), SevenNet-0 in the wheel.

Features: the scalar node features that go into the energy readout.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from sevenn import _keys as KEY
from sevenn.atom_graph_data import AtomGraphData
from sevenn.calculator import SevenNetCalculator
from sevenn.train.dataload import unlabeled_atoms_to_graph
from sevenn.util import pretrained_name_to_path
from torch_geometric.data import Batch

from mlipshift.external.answer import Answer
from mlipshift.external.families.ase import Calculated, Pristine, atoms_of
from mlipshift.external.structure import Structure

READOUT = "reduce_input_to_hidden"  # first layer of the readout; what goes into it is the representation


class Model(Calculated):
    calculator: SevenNetCalculator
    block = 128  # atoms

    def __init__(self, entry: Mapping[str, Any], checkpoint: Path | None):
        torch.set_num_threads(1)
        options = {"model": str(checkpoint)} if checkpoint else {}
        calculator = SevenNetCalculator(device="cpu", **options, **entry["arguments"])
        super().__init__(entry, calculator, float(calculator.cutoff))
        self.calculator.model._modules[READOUT].register_forward_pre_hook(self._keep)

    @staticmethod
    def weights(entry: Mapping[str, Any], checkpoint: Path | None) -> Path | None:
        return checkpoint or Path(pretrained_name_to_path(entry["arguments"].get("model", "7net-0")))

    def set_radius(self, radius: float) -> None:
        self.calculator.cutoff = radius
        self.pristine = Pristine(self.calculator)

    def many(self, structures: Sequence[Structure]) -> list[Answer]:
        """Answers for structures at once, as graphs side by side."""
        calculator, model = self.calculator, self.calculator.model
        graphs = [self._graph(atoms_of(structure, self.entry)) for structure in structures]
        model.set_is_batch_data(True)
        try:
            out = model(Batch.from_data_list(graphs).to(calculator.device))
        finally:
            model.set_is_batch_data(False)
        sizes = [len(s.numbers) for s in structures]
        each = zip(
            out[KEY.PRED_TOTAL_ENERGY].detach(), out[KEY.PRED_FORCE].detach().split(sizes), self.kept.split(sizes)
        )
        return [Answer.of_atoms(*one) for one in each]

    def _graph(self, atoms):
        """One structure as the calculator would hand it over; ValueError for elements that the model does not know."""
        self.calculator.set_atoms(atoms)
        graph = AtomGraphData.from_numpy_dict(unlabeled_atoms_to_graph(atoms, self.calculator.cutoff))
        if self.calculator.modal:
            graph[KEY.DATA_MODALITY] = self.calculator.modal
        return graph

    def _keep(self, module, inputs):
        self.kept = inputs[0]["x"].detach()

    def features(self, atoms: Atoms) -> np.ndarray:
        return self.kept.numpy()
