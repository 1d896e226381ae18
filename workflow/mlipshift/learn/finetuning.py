"""A network trained here and a few reference labels of other structures: fine-tuning, with replay against forgetting.

All of the representation and the reference head learn, by AdamW at a constant rate with averaged weights. How long and
how fast is chosen as learn.courses does. Replay adds a batch of training structures with their own reference labels
(or differences, for Δ-learning) to every step, so that what was known is not forgotten.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch

from mlipshift.base.averages import over_atoms
from mlipshift.base.errors import UserError
from mlipshift.base.frames import Frames, Labels, offsets_of
from mlipshift.learn import batches, datasets, training
from mlipshift.learn.backbones.base import Backbone
from mlipshift.learn.courses import NOTHING, Course, folds
from mlipshift.learn.networks import predict
from mlipshift.learn.potential import MOLECULES_ONLY, Potential

TRIED = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)  # of the largest number of steps
HEAD = "reference"
Labelled = tuple[Frames, Labels]


@dataclass(frozen=True)
class Settings:
    """steps, passes: gradient steps at most, and passes over the labelled structures at most; learning_rates: tried.

    folds, held_out: of the cross-validation, and structures that are enough to be held out in all; batch: structures
    per step; weight_decay, average: see training.fit; energy_weight: of the energy error per atom; replay_weight: of
    the loss on the training structures. Raises UserError for what is not possible.
    """

    steps: int = 400
    passes: int = 60
    learning_rates: tuple[float, ...] = (3e-4, 1e-3)
    folds: int = 3
    held_out: int = 40
    batch: int = 8
    weight_decay: float = 0.0
    average: float = 0.98
    energy_weight: float = 0.0
    replay_weight: float = 1.0

    def __post_init__(self):
        object.__setattr__(self, "learning_rates", tuple(self.learning_rates))
        if not self.learning_rates or min(self.learning_rates) <= 0:
            raise UserError(f"finetuning.learning_rates are {list(self.learning_rates)}; give one above 0 at least")
        if self.folds < 2 or self.steps < 1 or self.passes < 1 or self.batch < 1:
            raise UserError("finetuning: give at least 2 folds, and 1 for steps, passes and batch")

    def stops(self, structures: int) -> list[int]:
        """Numbers of steps that are tried with so many labelled structures."""
        last = min(self.steps, self.passes * max(1, structures // min(self.batch, structures)))
        return sorted({max(1, round(last * share)) for share in TRIED})


def tune(
    potential: Potential, labelled: Labelled, settings: Settings, seed: int, replay: Labelled | None = None
) -> tuple[Potential, Course]:
    """(fine-tuned copy, what was chosen); the model itself where nothing helps the structures that are held out.

    labelled, replay: structures with labels, which for Δ-learning are differences to the prior (datasets.difference).
    Raises UserError for fewer than two labelled structures, for periodic ones, and for a model whose reference head
    has learnt nothing.
    """
    if HEAD not in potential.strategy.learnt:
        raise UserError(f"{potential.name}: learnt by {potential.card['strategy']}, which trains no {HEAD} head")
    network = _on_scale(potential.network, [part for part in (labelled, replay) if part], settings)
    known, kept = _data(network, labelled), None if replay is None else _data(network, replay)
    molecules = labelled[0].molecule[labelled[1].ok]
    stops = settings.stops(len(known.graphs)) if known.graphs else []
    errors: dict[tuple[int, float], list[float]] = {NOTHING: []}
    for learnt, held in folds(molecules, settings.folds, settings.held_out):
        out = _part(known, held)
        errors[NOTHING] += force_errors(network, out)
        for rate in settings.learning_rates:
            for step, tuned in _descent(network, _part(known, learnt), kept, settings, stops, rate, seed):
                errors.setdefault((step, rate), []).extend(force_errors(tuned, out))
    course = Course.of(errors)
    steps, rate = course.chosen
    if course.chosen == NOTHING:
        return potential, course
    *_, (_, tuned) = _descent(network, known, kept, settings, [steps], rate, seed)
    card = {"from": potential.origin, "level": labelled[1].level, "labels": len(known.graphs), "course": asdict(course)}
    card |= {"replayed": len(kept.graphs) if kept else 0, "settings": asdict(settings), "seed": seed}
    earlier = potential.card.get("finetuned", [])
    return replace(potential, network=tuned.eval(), card={**potential.card, "finetuned": [*earlier, card]}), course


def force_errors(network: Backbone, data: datasets.Dataset, batch: int = 64) -> list[float]:
    """Mean absolute error per force component of the reference head on every structure of `data` (eV/Å)."""
    sizes, out = [len(g.numbers) for g in data.graphs], []
    for part in batches.portions(sizes, batch, network.device):
        index = range(len(sizes))[part]
        collated, forces, _ = data.batch(index, network.dtype, network.device)
        with torch.no_grad():
            found = network(collated, (HEAD,))[HEAD][1]
        error = (found[0, : forces.shape[1]] - forces[0]).abs().mean(-1).double().cpu().numpy()
        out += over_atoms(error, offsets_of(sizes[part])).tolist()
    return out


def _data(network, labelled):
    frames, labels = labelled
    shift = network.shift[training.HEADS.index(HEAD)].cpu().numpy()
    return datasets.dataset(frames.molecules_only(MOLECULES_ONLY), labels, network.architecture.cutoff, shift)


def _part(data: datasets.Dataset, index: Sequence[int]) -> datasets.Dataset:
    return datasets.Dataset([data.graphs[k] for k in index], [data.forces[k] for k in index], data.energy[list(index)])


def _on_scale(network, parts, settings):
    """A copy whose atomic energies take up what new molecules have as constant offset; steps are not to learn that."""
    network = deepcopy(network)
    frames = Frames.concatenate([f for f, _ in parts])
    energy = np.concatenate([labels.energy for _, labels in parts])
    known = np.flatnonzero(np.isfinite(energy))
    if not settings.energy_weight or not len(known):
        return network
    chosen = frames.take(known)
    said = np.array([e for e, _ in predict(network, [chosen[k][:2] for k in range(len(chosen))])])
    left = energy[known] - said - network.baseline(HEAD, chosen.numbers, chosen.sizes)
    row = training.HEADS.index(HEAD)
    network.shift[row] += torch.as_tensor(datasets.atomic_energies(chosen, left)).to(network.shift)
    return network


def _descent(network, known, kept, settings, stops, rate, seed):
    """Yield (step, copy of the network with the average of its weights) at `stops`, which changes after that."""
    network, averaged = deepcopy(network).train(), deepcopy(network).eval()
    names = [*network.representation(), *(n for n, _ in network.named_parameters() if n.startswith(f"heads.{HEAD}."))]
    trained, shown = training.learning(network, names), training.learning(averaged, names)
    goals = [(HEAD, known, 1.0)] + ([(HEAD, kept, settings.replay_weight)] if kept is not None else [])
    own = asdict(settings) | {"steps": stops[-1], "learning_rate": rate}
    rng = np.random.default_rng([seed, len(known.graphs)])
    for step, _, average in training.descend(network, goals, trained, own, rng, cosine=False):
        if step in stops:
            training.put(shown, average)
            yield step, averaged
    averaged.requires_grad_(True)
