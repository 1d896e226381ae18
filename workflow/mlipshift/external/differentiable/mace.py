"""MACE as a function of positions (see families.mace). Features: the invariant node features of all layers."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from ase import Atoms
from e3nn import o3
from mace import data
from mace.modules.utils import extract_invariant
from mace.tools import torch_geometric
from mace.tools.torch_tools import default_dtype

from mlipshift.external.families.mace import Model as Family
from mlipshift.external.structure import Structure

SHARED = ("node_embedding", "interactions.0", "products.0")


class Model:
    def __init__(self, entry: Mapping[str, Any], checkpoint: Path | None):
        single = {**entry, "arguments": entry["arguments"] | {"default_dtype": "float32"}}
        calculator = Family(single, checkpoint).calculator
        self.network = calculator.models[0]
        self.dtype = torch.float32
        self.z_table, self.cutoff = calculator.z_table, calculator.r_max
        self.head, self.heads = calculator.head, calculator.available_heads
        irreps = o3.Irreps(str(self.network.products[0].linear.irreps_out))
        layers = int(self.network.num_interactions)
        self.invariants = {
            "num_layers": layers,
            "num_features": irreps.dim // (irreps.lmax + 1) ** 2,
            "l_max": irreps.lmax,
        }
        for parameter in self.network.parameters():
            parameter.requires_grad_(False)

    def prepare(self, structures: Sequence[Structure]) -> dict[str, torch.Tensor]:
        rows = []
        with default_dtype("float32"):
            for s in structures:
                atoms = Atoms(s.numbers, s.positions, cell=s.cell, pbc=s.pbc)
                configuration = data.config_from_atoms(atoms, head_name=self.head)
                known = {"z_table": self.z_table, "cutoff": self.cutoff, "heads": self.heads}
                rows.append(data.AtomicData.from_config(configuration, **known))
            loader = torch_geometric.dataloader.DataLoader(dataset=rows, batch_size=len(rows), shuffle=False)
            return next(iter(loader)).to_dict()

    def __call__(self, batch: dict[str, torch.Tensor], positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        out = self.network(batch | {"positions": positions}, training=True, compute_force=False)
        return out["energy"], extract_invariant(out["node_feats"], **self.invariants)

    def representation(self) -> list[torch.nn.Parameter]:
        return [p for name, p in self.network.named_parameters() if name.startswith(SHARED)]

    def readout(self) -> list[torch.nn.Parameter]:
        return [p for name, p in self.network.named_parameters() if not name.startswith(SHARED)]
