"""JMP (Shoghi et al., ICLR 2024, arXiv 2310.16802): the pre-trained checkpoints with one of their four task heads.

Written from the code of github.com/facebookresearch/JMP (package jmp, commit 937b1487; read at 2a130dbe) and NOT RUN:
neither checkpoint nor package could be had where this was written. Forces are those of the head; energies are relative
to the task's linear atomic references, which the checkpoint does not hold, so they compare geometries of one molecule.
Features: those of the atoms that go into the energy head.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from jmp.tasks.pretrain import PretrainModel
from jmp.utils.finetune_state_dict import retreive_state_dict_for_finetuning
from torch_geometric.data import Batch, Data

from mlipshift.base.errors import UserError
from mlipshift.external.answer import Answer
from mlipshift.external.structure import Structure


class Model:
    """Arguments of the entry: task, ani1x or transition1x, whose head and graph are used."""

    def __init__(self, entry: Mapping[str, Any], checkpoint: Path | None):
        torch.set_num_threads(1)
        task = entry["arguments"].get("task", "ani1x")
        self.model = PretrainModel.load_from_checkpoint(checkpoint, map_location="cpu", strict=False)
        # the published numbers are of the averaged weights
        self.model.load_state_dict(retreive_state_dict_for_finetuning(checkpoint, load_emas=True), strict=False)
        self.model.eval()
        names = [t.name for t in self.model.config.tasks]
        if task not in ("ani1x", "transition1x") or task not in names:
            raise UserError(f"{checkpoint}: has no molecular task {task!r}; its tasks are {', '.join(names)}")
        self.index = names.index(task)
        self.cutoff = entry["cutoff_A"]
        self.normalization = self.model.config.tasks[self.index].normalization or {}
        self.transform = getattr(self.model, f"{task}_transform")
        self.model.backbone.register_forward_hook(self._keep)

    @staticmethod
    def weights(entry: Mapping[str, Any], checkpoint: Path | None) -> Path | None:
        return checkpoint

    def _keep(self, module, inputs, output):
        self.features = output["energy"].detach()

    def _scaled(self, name, value):
        scale = self.normalization.get(name)
        return value if scale is None else value * scale.std + scale.mean

    @torch.no_grad()
    def __call__(self, structure: Structure) -> Answer:
        n = len(structure.numbers)
        data = Data(
            atomic_numbers=torch.as_tensor(structure.numbers, dtype=torch.long),
            pos=torch.as_tensor(structure.positions, dtype=torch.float32),
            natoms=n,
            sid=0,
            y=torch.zeros(1),
            force=torch.zeros(n, 3),
        )
        data = self.model.data_transform(self.transform(data, training=False))
        energy, forces = self.model(Batch.from_data_list([data], exclude_keys=self.model.config.exclude_keys))
        return Answer.of_atoms(
            self._scaled("y", energy[0, self.index]),
            self._scaled("force", forces[:, :, self.index]),
            self.features,
        )
