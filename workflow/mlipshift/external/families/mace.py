"""MACE (Batatia et al., NeurIPS 2022, arXiv 2206.07697): any checkpoint of mace-torch, of older versions too.

A checkpoint is a whole model as a pickle: e3nn and torch refuse it unless they are told to run what it says, which is
why the registry loads none without an explicit yes.
Features: the invariant part of the node features of all layers; of a committee, of its members behind one another.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms

from mlipshift.base.errors import UserError, shortened
from mlipshift.base.text import listed
from mlipshift.external.answer import Answer, spread_of
from mlipshift.external.families.ase import Calculated, Pristine, atoms_of
from mlipshift.external.legacy import upgraded
from mlipshift.external.structure import Structure

# read by torch when a file is loaded; e3nn 0.4.4 loads one of its own when it is imported
os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] = "1"

from e3nn import o3  # noqa: E402
from mace import data  # noqa: E402
from mace.calculators import MACECalculator  # noqa: E402
from mace.modules.utils import extract_invariant  # noqa: E402
from mace.tools import torch_geometric, torch_tools  # noqa: E402

BATCHED = {"default_dtype", "head", "committee"}  # arguments with which structures can be put together


class Model(Calculated):
    calculator: MACECalculator
    block = 256  # atoms

    def __init__(self, entry: Mapping[str, Any], checkpoint: Path | None):
        torch.set_num_threads(1)
        models: list[torch.nn.Module] = []
        options = {"default_dtype": "float64"} | entry["arguments"]
        assert checkpoint is not None  # the schema asks for one
        paths = [checkpoint, *map(Path, options.pop("committee", []))]
        try:
            for checkpoint in paths:
                models.append(upgraded(torch.load(checkpoint, map_location="cpu", weights_only=False), checkpoint))
                # one that is not there would be another one, with a warning
                _known(options.get("head"), getattr(models[-1], "heads", None), checkpoint)
            calculator = MACECalculator(models=models, device="cpu", **options)
        except (FileNotFoundError, MemoryError, UserError):
            raise
        except ModuleNotFoundError as error:
            raise UserError(
                f"{checkpoint}: it needs {error.name}, which this version of mace-torch does not have; install the "
                "version that made it in an environment of its own, and name that in models.NAME.environment"
            ) from error
        except Exception as error:  # a damaged pickle raises many kinds
            raise UserError(
                f"{checkpoint}: not a MACE checkpoint that this version of mace-torch can use ({shortened(error)}); "
                "fetch it again, or save the model anew with the version that made it"
            ) from error
        super().__init__(entry, calculator, float(calculator.r_max))

    def many(self, structures: Sequence[Structure]) -> list[Answer]:
        """Answers for structures at once; one by one where the model is another kind or has more arguments."""
        if self.calculator.model_type != "MACE" or set(self.entry["arguments"]) - BATCHED:
            return [self(structure) for structure in structures]
        batch, sizes = self.batch(structures), [len(s.numbers) for s in structures]
        # a model writes into what it gets
        out = [model(batch.clone().to_dict(), compute_stress=False) for model in self.calculator.models]
        energies = torch.stack([one["energy"].detach() for one in out])
        forces = torch.stack([one["forces"].detach() for one in out])
        pairs = zip(self.calculator.models, out)
        features = torch.cat([extract_invariant(o["node_feats"].detach(), **layout(m)) for m, o in pairs], dim=1)
        each = zip(energies.T, forces.split(sizes, dim=1), features.split(sizes))
        if len(out) > 1:
            return [Answer.of_members(*one) for one in each]
        return [Answer.of_atoms(e[0], f[0], a) for e, f, a in each]

    def set_radius(self, radius: float) -> None:
        self.calculator.r_max = radius
        self.pristine = Pristine(self.calculator)

    def batch(self, structures: Sequence[Structure]) -> torch_geometric.Batch:
        """Structures as one graph."""
        return torch_geometric.Batch.from_data_list([self._graph(atoms_of(s, self.entry)) for s in structures])

    def _graph(self, atoms):
        """One structure as the calculator would hand it over, in its precision."""
        calculator = self.calculator
        keys = data.KeySpecification(info_keys=calculator.info_keys, arrays_keys=calculator.arrays_keys)
        with torch_tools.default_dtype(calculator.default_dtype):
            return data.AtomicData.from_config(
                data.config_from_atoms(atoms, key_specification=keys, head_name=calculator.head),
                z_table=calculator.z_table,
                cutoff=calculator.r_max,
                heads=calculator.available_heads,
            )

    def features(self, atoms: Atoms) -> np.ndarray:
        found = self.calculator.get_descriptors(atoms, invariants_only=True)
        return np.concatenate(found, axis=1) if isinstance(found, list) else found

    def spread(self, atoms: Atoms) -> np.ndarray | None:
        forces = self.calculator.results.get("forces_comm")
        return None if forces is None else spread_of(forces)


def layout(model: Any) -> dict[str, int]:
    """What extract_invariant has to know of a model to take the invariant part of the node features of all layers."""
    irreps = o3.Irreps(str(model.products[0].linear.irreps_out))
    width = irreps.dim // (irreps.lmax + 1) ** 2
    return {"num_layers": int(model.num_interactions), "num_features": width, "l_max": irreps.lmax}


def _known(head, heads, checkpoint):
    """UserError for a head that the model does not have."""
    if heads is not None and head is not None and head not in heads:
        raise UserError(f"{checkpoint}: has no head {head!r}; give one of {listed(heads)} as arguments.head")
