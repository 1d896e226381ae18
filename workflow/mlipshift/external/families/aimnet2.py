"""AIMNet2 (Anstine, Zubatyuk & Isayev, Chem. Sci. 2025, 16, 10228), weights in the wheel of Auto3D, as TorchScript.

The ensemble of four gives its spread; argument `file` names another file of the wheel. Charge is an input, spin is not.
Embedding: the last atomic feature vectors, of all members, mean over atoms.
"""

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mlipshift.external.prediction import Answer
from mlipshift.external.structure import Structure

ENSEMBLE = "aimnet2_wb97m_ens_f.jpt"


class Model:
    cutoff: float | None

    def __init__(self, entry: Mapping[str, Any], checkpoint: Path | None):
        torch.set_num_threads(1)
        self.cutoff = entry["cutoff_A"]
        self.members = members(torch.jit.load(str(self.weights(entry, checkpoint)), map_location="cpu"))

    @staticmethod
    def weights(entry: Mapping[str, Any], checkpoint: Path | None) -> Path | None:
        if checkpoint:
            return checkpoint
        found = importlib.util.find_spec("Auto3D")  # without running the package, which wants RDKit
        if found is None or found.origin is None:
            raise ImportError("no package Auto3D, which carries the weights of AIMNet2")
        return Path(found.origin).parent / "models" / entry["arguments"].get("file", ENSEMBLE)

    def __call__(self, structure: Structure) -> Answer:
        position = torch.as_tensor(structure.positions, dtype=torch.float32)[None].requires_grad_()
        same = {
            "numbers": torch.as_tensor(structure.numbers.astype(np.int64))[None],
            "charge": torch.tensor([float(structure.charge)]),
        }
        energies, forces, features = [], [], []
        for member in self.members:
            out = member({"coord": position, **same})
            (gradient,) = torch.autograd.grad(out["energy"].sum(), position)
            energies.append(float(out["energy"]))
            forces.append(-gradient[0].double().numpy())
            features.append(out["aim"][0, : len(structure.numbers)].detach().double().numpy())
        return Answer.of_members(energies, forces, np.concatenate(features, axis=1).mean(axis=0))


def members(module: torch.jit.ScriptModule) -> list[torch.nn.Module]:
    """The members of an ensemble, or the model alone, as they give energies without forces."""
    for parameter in module.parameters():
        parameter.requires_grad_(False)
    models = getattr(module, "models", None)
    return [module] if models is None else [member.module for member in models.children()]
