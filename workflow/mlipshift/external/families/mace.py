"""MACE (Batatia et al., NeurIPS 2022, arXiv 2206.07697): any checkpoint of mace-torch, of older versions too.

A checkpoint is a whole model as a pickle: e3nn and torch refuse it unless they are told to run what it says, which is
why the registry loads none without an explicit yes.
Features: the invariant part of the node features of all layers; of a committee, of its members behind one another.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms

from mlipshift.base.errors import UserError, shortened
from mlipshift.base.text import listed
from mlipshift.external.answer import spread_of
from mlipshift.external.families.ase import Calculated
from mlipshift.external.legacy import upgraded

# read by torch when a file is loaded; e3nn 0.4.4 loads one of its own when it is imported
os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] = "1"

from mace.calculators import MACECalculator  # noqa: E402


class Model(Calculated):
    calculator: MACECalculator

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

    def features(self, atoms: Atoms) -> np.ndarray:
        found = self.calculator.get_descriptors(atoms, invariants_only=True)
        return np.concatenate(found, axis=1) if isinstance(found, list) else found

    def spread(self, atoms: Atoms) -> np.ndarray | None:
        forces = self.calculator.results.get("forces_comm")
        return None if forces is None else spread_of(forces)


def _known(head, heads, checkpoint):
    """UserError for a head that the model does not have."""
    if heads is not None and head is not None and head not in heads:
        raise UserError(f"{checkpoint}: has no head {head!r}; give one of {listed(heads)} as arguments.head")
