"""MACE as a function of positions (see families.mace). Features: the invariant node features of all layers."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mace.modules.utils import extract_invariant

from mlipshift.external.families.mace import Model as Family
from mlipshift.external.families.mace import layout
from mlipshift.external.structure import Structure

SHARED = ("node_embedding", "interactions.0", "products.0")


class Model:
    def __init__(self, entry: Mapping[str, Any], checkpoint: Path | None):
        single = {**entry, "arguments": entry["arguments"] | {"default_dtype": "float32"}}
        self.family = Family(single, checkpoint)
        self.network = self.family.calculator.models[0]
        self.dtype = torch.float32
        self.layout = layout(self.network)
        for parameter in self.network.parameters():
            parameter.requires_grad_(False)

    def prepare(self, structures: Sequence[Structure]) -> dict[str, torch.Tensor]:
        return self.family.batch(structures).to_dict()

    def __call__(self, batch: dict[str, torch.Tensor], positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        out = self.network(batch | {"positions": positions}, training=True, compute_force=False)
        return out["energy"], extract_invariant(out["node_feats"], **self.layout)

    def representation(self) -> list[torch.nn.Parameter]:
        return [p for name, p in self.network.named_parameters() if name.startswith(SHARED)]

    def readout(self) -> list[torch.nn.Parameter]:
        return [p for name, p in self.network.named_parameters() if not name.startswith(SHARED)]
