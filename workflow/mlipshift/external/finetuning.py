"""A published model and a few reference labels: fine-tuning, low-rank updates, a small correction on its features.

Ways: `full`, all weights of representation and readout; `low_rank`, updates of rank r of its weight matrices (tuning);
`correction`, a small network on the frozen features that learns reference − model; `delta`, the same for reference −
prior, which needs a prior call per prediction (Ramakrishnan et al., JCTC 2015, 11, 2087). All replay ordinary
structures with the model's own labels, so that little is lost where it was good.

How long each learns, and how fast, is chosen as learn.courses does, over the molecules of the labelled structures.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from mlipshift.base.errors import UserError
from mlipshift.external import heads, tuning
from mlipshift.external.differentiable import Differentiable
from mlipshift.external.heads import PriorHead
from mlipshift.external.settings import at_least
from mlipshift.external.structure import Structure
from mlipshift.external.tuning import Descent, Full, Goal, LowRank
from mlipshift.external.weights import adaptable, restored
from mlipshift.learn.courses import NOTHING, Choice, Course, folds

WAYS = ("full", "low_rank", "correction", "delta")


@dataclass(frozen=True)
class Settings:
    """structures: labelled ones that are used at most; folds: of the cross-validation; seed.

    steps, every: of Adam at most, and how often it is asked whether to stop; learning_rates: those that are tried;
    batch, energy_weight: see tuning.Descent; rank: of the low-rank updates; replay, replay_weight: ordinary structures
    at most, and their weight.
    epochs: passes of a correction that are tried beside none; components, hidden: its size, see heads.
    Raises UserError for what is not possible.
    """

    structures: int = 200
    folds: int = 4
    steps: int = 120
    every: int = 20
    learning_rates: tuple[float, ...] = (1e-4,)
    batch: int = 8
    energy_weight: float = 0.0
    rank: int = 4
    replay: int = 100
    replay_weight: float = 1.0
    epochs: tuple[int, ...] = (10, 30, 100)
    components: int = 128
    hidden: int = 32
    seed: int = 0

    def __post_init__(self):
        counts = {"structures": (self.structures, 1), "folds": (self.folds, 2), "steps": (self.steps, 0)}
        counts |= {
            "every": (self.every, 1),
            "batch": (self.batch, 1),
            "rank": (self.rank, 0),
            "replay": (self.replay, 0),
        }
        weights = {"energy_weight": (self.energy_weight, 0), "replay_weight": (self.replay_weight, 0)}
        at_least("few labels", **counts, **weights)
        for name in ("learning_rates", "epochs"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if not self.learning_rates or min(self.learning_rates) <= 0:
            raise UserError(f"few labels: learning_rates are {list(self.learning_rates)}; give one above 0 at least")


@dataclass(frozen=True)
class Labelled:
    """Structures with reference forces [n, 3] eV/Å, energies [S] eV, NaN where unknown, and their molecules [S]."""

    structures: Sequence[Structure]
    forces: Sequence[np.ndarray]
    energy: np.ndarray
    molecules: np.ndarray


def tune(
    model: Differentiable, labelled: Labelled, ordinary: Sequence[Structure], way: str, settings: Settings
) -> tuple[Course, np.ndarray]:
    """Change the weights of a model in place, way `full` or `low_rank`; (course, shifts [119] eV of the elements).

    The shifts, to be added to its energies, are what two levels of theory differ by; they are not learnt by steps.
    """
    goal = Goal(labelled.structures, labelled.forces, labelled.energy)
    kept, changed = tuning.replay(model, ordinary, settings.replay_weight), adaptable(model)
    own = np.array([energy for energy, _ in tuning.said(model, labelled.structures)])
    shifts = heads.element_shifts(labelled.structures, labelled.energy - own)
    sums = np.array([shifts[s.numbers].sum() for s in labelled.structures])
    goal = replace(goal, energy=labelled.energy - sums)
    descent = lambda rate: Descent(rate, settings.batch, settings.energy_weight, settings.seed)
    update = lambda: (
        LowRank(tuning.matrices(model), settings.rank, settings.seed) if way == "low_rank" else Full(changed)
    )
    errors: dict[Choice, list[float]] = {NOTHING: []}
    for learnt, held in folds(labelled.molecules, settings.folds):
        errors[NOTHING].extend(tuning.force_errors(model, goal.take(held)))
        for rate in settings.learning_rates:

            def watch(step, rate=rate, held=held):
                if step:
                    errors.setdefault((step, rate), []).extend(tuning.force_errors(model, goal.take(held)))

            with restored(changed):
                goals = [goal.take(learnt), kept]
                tuning.descend(model, update(), goals, descent(rate), settings.steps, watch, settings.every)
    course = Course.of(errors)
    steps, rate = course.chosen
    tuning.descend(model, update(), [goal, kept], descent(rate), steps)
    after = np.array([energy for energy, _ in tuning.said(model, labelled.structures)])
    return course, heads.element_shifts(labelled.structures, labelled.energy - after)


def correct(
    model: Differentiable,
    labelled: Labelled,
    ordinary: Sequence[Structure],
    settings: Settings,
    prior: Sequence[np.ndarray] | None = None,
    prior_ordinary: Sequence[np.ndarray] | None = None,
) -> tuple[Course, PriorHead]:
    """(course, head) of a correction to a model, which is left as it is: what the head adds to the model's forces.

    prior, prior_ordinary: prior forces [n, 3] eV/Å of the labelled and the ordinary structures, with which the head
    is to be added to the prior instead (way `delta`): reference − prior, on ordinary structures model − prior.
    """
    structures = [*labelled.structures, *ordinary]
    start = heads.start(model, structures, {"components": settings.components, "hidden": settings.hidden, "seed": 0})
    own = [f for _, f in tuning.said(model, structures)]
    rows = heads.examples(model, start, structures, [*labelled.forces, *own[len(labelled.forces) :]], "correction")
    if prior is not None and prior_ordinary is not None:
        wanted = [*labelled.forces, *own[len(labelled.forces) :]]
        added = [w - p for w, p in zip(wanted, [*prior, *prior_ordinary])]
        rows = [replace(row, forces=torch.as_tensor(a, dtype=torch.float32)) for row, a in zip(rows, added)]
    known, replayed = rows[: len(labelled.structures)], rows[len(labelled.structures) :]
    made = lambda chosen, epochs: _trained(start, [known[k] for k in chosen], replayed, epochs, settings)
    errors: dict[Choice, list[float]] = {}
    for learnt, held in folds(labelled.molecules, settings.folds):
        for epochs in (0, *settings.epochs):
            head = made(learnt, epochs)
            errors.setdefault((epochs, 0.0), []).extend(_residual(head, known[k]) for k in held)
    course = Course.of(errors)
    return course, made(range(len(known)), course.chosen[0]).requires_grad_(False)


def _trained(start, rows, replayed, epochs, settings):
    """A head that learns for so many epochs; the labelled rows are repeated until the replayed ones weigh as set."""
    head = copy.deepcopy(start)
    with torch.no_grad():  # adds nothing before it has learnt something
        head.network[-1].weight.zero_()
        head.network[-1].bias.zero_()
    if epochs:
        times = max(1, round(len(replayed) / settings.replay_weight / len(rows))) if settings.replay_weight else 1
        mixture = [*rows * times, *(replayed if settings.replay_weight else [])]
        heads.train(head, mixture, [], {"epochs": epochs, "seed": settings.seed})
    return head


def _residual(head, row):
    values = row.components.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(head.network(values).sum(), values)
    return float((row.added(gradient) - row.forces).abs().mean())
