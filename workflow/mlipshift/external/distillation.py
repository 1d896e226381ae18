"""A published model learns from the forces of a teacher on geometries that nobody has labelled.

The teacher is any set of predictions: a more robust model, a committee, the model with its residual correction. To keep
what the model knows, every step also has ordinary structures with the model's own labels from before (replay; Robins,
Connection Science 1995, 7, 123; as self-distillation Li & Hoiem, ECCV 2016, arXiv 1606.09282). One model is changed for
a whole set of structures, and predicts without a call of prior or teacher. No reference label is involved.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mlipshift.external.differentiable import Differentiable
from mlipshift.external.settings import at_least
from mlipshift.external.structure import Structure
from mlipshift.external.tuning import Descent, Full, Goal, descend, replay
from mlipshift.external.weights import adaptable


@dataclass(frozen=True)
class Settings:
    """steps, learning_rate: of Adam; batch: taught and replayed structures in a step; their weights in the loss.

    replay: ordinary structures that are replayed at most; gate_eV_per_A: prior residual below which the model as it was
    predicts. Raises UserError for what is not possible.
    """

    steps: int = 300
    learning_rate: float = 1e-4
    batch: int = 8
    taught_weight: float = 1.0
    replay_weight: float = 1.0
    replay: int = 200
    gate_eV_per_A: float = 0.0
    seed: int = 0

    def __post_init__(self):
        weights = {"taught_weight": (self.taught_weight, 0), "replay_weight": (self.replay_weight, 0)}
        counts = {"steps": (self.steps, 0), "batch": (self.batch, 1), "replay": (self.replay, 0)}
        rates = {"learning_rate": (self.learning_rate, 0), "gate_eV_per_A": (self.gate_eV_per_A, 0)}
        at_least("distillation", **weights, **counts, **rates)


def distil(
    model: Differentiable,
    taught: Sequence[Structure],
    forces: Sequence[np.ndarray],
    ordinary: Sequence[Structure],
    settings: Settings,
) -> None:
    """Change representation and readout of a model in place.

    taught, forces: structures and what the teacher says of them, [n, 3] eV/Å; ordinary: structures to replay.
    """
    unknown = np.full(len(taught), np.nan)
    goals = [Goal(taught, forces, unknown, settings.taught_weight), replay(model, ordinary, settings.replay_weight)]
    descent = Descent(settings.learning_rate, settings.batch, seed=settings.seed)
    descend(model, Full(adaptable(model)), goals, descent, settings.steps)
