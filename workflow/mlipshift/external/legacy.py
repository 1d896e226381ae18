"""Checkpoints of older versions of a package, made into what today's version expects."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from mlipshift.base.errors import UserError

# tensors of a MACE of today, which older versions had as numbers and lists
TENSORS = ("r_max", "atomic_numbers", "num_interactions", "p", "scale", "shift", "atomic_energies")


def upgraded(model: Any, checkpoint: Path) -> torch.nn.Module:
    """A loaded model with tensors where older versions had numbers. Raises UserError for what is no whole model."""
    if not isinstance(model, torch.nn.Module):
        kind = "a dictionary, the state of a training run" if isinstance(model, dict) else type(model).__name__
        raise UserError(f"{checkpoint}: holds {kind}; give the .model file that MACE writes at the end of a training")
    dtype = next((p.dtype for p in model.parameters()), torch.get_default_dtype())
    for module in model.modules():
        for name in TENSORS:
            value = vars(module).get(name)
            if isinstance(value, int | float | list | tuple | np.ndarray | np.generic):
                tensor = torch.as_tensor(np.asarray(value))
                delattr(module, name)
                module.register_buffer(name, tensor.to(dtype) if tensor.is_floating_point() else tensor)
    return model
