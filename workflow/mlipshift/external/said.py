"""What models say of structures, put together from the files of their predictions."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from mlipshift.base.averages import over_atoms
from mlipshift.base.frames import Frames, Labels
from mlipshift.base.predictions import Predictions
from mlipshift.external.embedding import Embedding
from mlipshift.mitigate.rescue import HEAD, PRIOR, Said

SUFFIX = "_head"  # behind the name of the model, the method of what its prior head predicts
OPTIONS: dict[str, dict[str, Any]] = {
    "frames": {"type": Path, "help": "structures, without labels"},
    "prior": {"type": Path, "help": "their prior labels"},
    "predictions": {"type": Path, "nargs": "+", "help": "predictions of the models"},
    "embeddings": {"type": Path, "nargs": "+", "help": "what the models say of every atom, in the same order"},
    "heads": {"type": Path, "nargs": "*", "default": [], "required": False, "help": "predictions of prior heads"},
}


def gather(
    frames: Frames, prior: Labels, predictions: Iterable[Path], embeddings: Iterable[Path], heads: Iterable[Path]
) -> Said:
    """Said of files of Predictions, Embedding, and Predictions of prior heads. Raises UserError if ids differ."""
    models, spreads = {}, {}
    energies: dict[str | tuple[str, str], np.ndarray] = {PRIOR: prior.energy}
    for path, beside in zip(predictions, embeddings, strict=True):
        found = Predictions.load(path, frames)
        models[found.method], energies[found.method] = found.forces[-1], found.energy[-1]
        spread = Embedding.load(beside, frames).spread
        if spread is not None and np.isfinite(spread).any():
            spreads[found.method] = root_mean_square(spread, frames.offsets)
    of_heads = {found.method.removesuffix(SUFFIX): found for found in (Predictions.load(p, frames) for p in heads)}
    energies |= {(name, HEAD): found.energy[-1] for name, found in of_heads.items()}
    forces = {name: found.forces[-1] for name, found in of_heads.items()}
    facts = {"charged": frames.charge != 0, "open_shell": frames.multiplicity > 1}
    return Said(models, prior.forces, forces, energies, spreads, facts, frames.offsets, frames.molecule.astype(str))


def root_mean_square(values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Root mean square [S] over atoms of values [N]; offsets [S + 1]."""
    return np.sqrt(over_atoms(values**2, offsets))
