"""Training of the two-head potential by the strategies of mlipshift.catalogue.strategies."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR

from mlipshift.base.errors import UserError
from mlipshift.base.frames import Frames, Labels
from mlipshift.base.log import log
from mlipshift.catalogue.strategies import HEADS, STRATEGIES
from mlipshift.learn import batches, datasets, recorded
from mlipshift.learn.backbones.base import Backbone
from mlipshift.learn.networks import build

CLIP = 10.0  # gradient norm
CALIBRATION = 64  # training structures that fixed scaling factors are fitted to


def force_loss(predicted: Tensor, target: Tensor, batch: batches.Batch) -> Tensor:
    """Mean over real atoms of the Euclidean norm of the force error (eV/Å)."""
    real = batch.structure < len(batch.sizes)
    error = (predicted - target).square().sum(-1)
    return ((error + 1e-12).sqrt() * real).sum() / real.sum()


def loss_of(
    output: tuple[Tensor, Tensor], batch: batches.Batch, forces: Tensor, energy: Tensor, energy_weight: float
) -> Tensor:
    """Force loss plus `energy_weight` times the mean absolute energy error per atom of those that are not NaN."""
    loss = force_loss(output[1], forces, batch)
    known = energy.isfinite()
    # nothing is asked of a GPU that records
    if energy_weight and (recorded.recording() or known.any()):
        error = (output[0] - torch.where(known, energy, output[0].detach())).abs() / batch.sizes
        loss = loss + energy_weight * error.sum() / known.sum().clamp_min(1)
    return loss


def fit(
    network: Backbone,
    tasks: Mapping[str, datasets.Dataset],
    names: Iterable[str],
    settings: Mapping[str, Any],
    rng: np.random.Generator,
) -> list[tuple[int, dict[str, float]]]:
    """Train `names` of the network's parameters in place; returns [(step, loss per task)] every tenth of the run.

    tasks: {head: Dataset}; each step draws one batch per task from shuffled epochs.
    settings: {"steps", "batch", "learning_rate", "weight_decay", "energy_weight", "average"}; AdamW with a
    cosine schedule, gradient clipping, and an exponential moving average that becomes the result.
    """
    trained = learning(network, names)
    steps = settings["steps"]
    goals = [(head, data, 1.0) for head, data in tasks.items()]
    history, running = [], dict.fromkeys(tasks, 0.0)
    every = max(1, steps // 10)
    average: list[Tensor] = []
    for step, losses, weights in descend(network, goals, trained, settings, rng, cosine=True):
        average = weights
        for head, loss in zip(tasks, losses):
            running[head] += loss
        if step % every == 0 or step == steps:
            history.append((step, {h: v / every for h, v in running.items()}))
            log.info("step %d of %d: %s", step, steps, {h: round(v / every, 4) for h, v in running.items()})
            running = dict.fromkeys(tasks, 0.0)
    put(trained, average)
    network.requires_grad_(True)
    return history


def learning(network: Backbone, names: Iterable[str]) -> list[Parameter]:
    """The parameters `names` of a network, which alone have gradients from now on."""
    names = set(names)
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name in names)
    return [p for p in network.parameters() if p.requires_grad]


def put(parameters: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    """Give parameters other values, in place."""
    with torch.no_grad():
        for parameter, value in zip(parameters, values):
            parameter.copy_(value)


def descend(
    network: Backbone,
    goals: Sequence[tuple[str, datasets.Dataset, float]],
    trained: Sequence[Parameter],
    settings: Mapping[str, Any],
    rng: np.random.Generator,
    cosine: bool,
) -> Iterator[tuple[int, list[float], list[Tensor]]]:
    """Step with AdamW; yields (step, loss of every goal, average of the weights), which change in place after that.

    goals: (head, its data, weight of its loss), a batch of each per step; settings: as for `fit`; cosine: whether the
    learning rate falls to zero with the last step.
    """
    steps, on = settings["steps"], network.device
    records = recorded.records(on, network.recordable)
    optimiser, rates = _optimiser(trained, settings, cosine, on if records else None)
    average = [p.detach().clone() for p in trained]
    streams = [_epochs(len(data.graphs), settings["batch"], rng) for _, data, _ in goals]
    given = [_Given(network, data, settings) for _, data, _ in goals]

    def learn():
        optimiser.zero_grad()
        losses = []
        for (head, _, weight), known in zip(goals, given):
            batch, forces, energy = known.now()
            loss = loss_of(network(batch, (head,))[head], batch, forces, energy, known.energy_weight)
            (weight * loss).backward()
            losses.append(loss.detach())
        torch.nn.utils.clip_grad_norm_(trained, CLIP)
        optimiser.step()
        return torch.stack(losses)

    recorded_step = recorded.Recorded(learn, on, network.recordable)
    for step in range(1, steps + 1):
        for known, stream in zip(given, streams):
            known.take(next(stream))
        losses = recorded_step().cpu().tolist()
        rates.step()
        if records:
            optimiser.param_groups[0]["lr"].fill_(rates.get_last_lr()[0])
        decay = min(settings["average"], step / (step + 10))
        torch._foreach_lerp_(average, [p.detach() for p in trained], 1 - decay)
        yield step, losses, average


def _optimiser(trained, settings, cosine, on):
    """(AdamW, schedule of its rate); a recording reads the rate on the GPU `on` at every step, so it lies there."""
    rate, decay = settings["learning_rate"], settings["weight_decay"]
    fall = (lambda o: CosineAnnealingLR(o, settings["steps"])) if cosine else (lambda o: LambdaLR(o, lambda _: 1.0))
    if on is None:
        optimiser = torch.optim.AdamW(trained, lr=rate, weight_decay=decay, foreach=True)
        return optimiser, fall(optimiser)
    there = torch.tensor(rate, device=on)
    optimiser = torch.optim.AdamW(trained, lr=there, weight_decay=decay, fused=True, capturable=True)
    # the rate itself is reckoned in double precision, as on the processor
    reckoned = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=rate)
    schedule = fall(reckoned)
    reckoned.step()  # torch warns of a schedule that goes ahead of its optimiser
    return optimiser, schedule


class _Given:
    """The batch of a step with its labels; where steps are recorded always in the same places, with room for any."""

    def __init__(self, network, data, settings):
        self.data, self.on = data, network.device
        self.energy_weight = settings["energy_weight"] if np.isfinite(data.energy).any() else 0
        self.fixed = recorded.records(self.on, network.recordable)
        self.batch: tuple[batches.Batch, Tensor, Tensor] | None = None
        self.slots: recorded.Slots | None = None
        self.least = 0, 0
        if self.fixed:
            network.check_elements(np.unique(np.concatenate([g.numbers for g in data.graphs])))
            sizes = np.array([len(g.numbers) for g in data.graphs])
            self.least = recorded.room(sizes, settings["batch"]), max(g.neighbours.shape[1] for g in data.graphs)

    def take(self, index):
        """Those of the structures `index`."""
        if not self.fixed:
            self.batch = self.data.batch(index, torch.float32, self.on)
            return
        batch = self.data.batch(index, torch.float32, "cpu", self.least)
        if self.slots is None:
            self.slots = recorded.Slots.of(*batch, self.on)
        else:
            self.slots.fill(*batch)

    def now(self):
        """(Batch, forces, energy)"""
        return self.batch if self.slots is None else (self.slots.fresh(), self.slots.forces, self.slots.energy)


def _epochs(total: int, size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Shuffled structure numbers, `size` at a time, for ever."""
    size = min(size, total)
    while True:
        order = rng.permutation(total)
        for start in range(0, total - size + 1, size):
            yield order[start : start + size]


def _drawn(labelled, share, rng):
    """A share of the labelled structures, at least one; all of them as they are where that is 1."""
    if labelled is None or share == 1:
        return labelled
    frames, labels = labelled
    usable = np.flatnonzero(labels.ok)
    chosen = np.sort(rng.choice(usable, max(1, round(share * len(usable))), replace=False))
    return frames.take(chosen), labels.take(chosen)


def _range(network, cutoffs):
    """(lowest, highest) radius that structures are trained with; raises UserError unless the network has them."""
    low, high = map(float, cutoffs)
    if not 0 < low < high <= network.architecture.cutoff:
        raise UserError(
            f"cutoffs are to be drawn from {low:g} to {high:g} Å; give an ascending range up to the cutoff of the"
            f" network, {network.architecture.cutoff:g} Å"
        )
    return low, high


def train(
    strategy: str,
    architecture: Mapping[str, Any],
    settings: Mapping[str, Any],
    seed: int,
    reference: tuple[Frames, Labels] | None = None,
    prior: tuple[Frames, Labels] | None = None,
    base: Backbone | None = None,
    device: torch.device | str = "cpu",
) -> tuple[Backbone, list[tuple[int, dict[str, float]]]]:
    """(network trained by a strategy of STRATEGIES, history of `fit`).

    architecture: as for networks.build; settings: as for `fit`, with "share" of the structures that are learnt from,
    "frozen_level" of a base that stays as it is, and "cutoffs", the range (Å) of the radii that structures are trained
    with at random (cf. Flexible Cutoff Learning, arXiv 2603.10205), if wanted. reference, prior: structures with
    labels; where the strategy says so, the labels of `reference` are differences. base: network of the strategy that it
    starts from, which is trained in place.
    """
    kind = STRATEGIES[strategy]
    torch.manual_seed(seed)
    rng = np.random.default_rng([seed, list(STRATEGIES).index(strategy)])
    network = base if kind.base else build(architecture)
    assert network is not None, f"{strategy} starts from a network"
    network = network.to(device)
    if kind.base:
        # a new head starts from the head of the base rather than from noise; a difference resembles neither
        learnt = STRATEGIES[kind.base].heads
        for head in () if kind.difference else set(kind.heads) - set(learnt):
            network.heads[head].load_state_dict(network.heads[learnt[0]].state_dict())
    share, level = settings.get("share", 1.0), settings.get("frozen_level")
    sources = {"reference": _drawn(reference, share, rng), "prior": _drawn(prior, share, rng)}
    tasks = {}
    for head in kind.heads:
        given = sources[head]
        assert given is not None, f"{strategy} needs {head} labels"
        frames, labels = given
        row = HEADS.index(head)
        if not (kind.base and head in STRATEGIES[kind.base].heads):
            known = np.isfinite(labels.energy)
            network.shift[row] = torch.as_tensor(datasets.atomic_energies(frames.take(known), labels.energy[known]))
        tasks[head] = datasets.dataset(frames, labels, network.architecture.cutoff, network.shift[row].cpu().numpy())
        if settings.get("cutoffs"):
            tasks[head] = replace(tasks[head], cutoffs=_range(network, settings["cutoffs"]), rng=rng)
    if not kind.base:
        first = tasks[kind.heads[0]]
        evenly = np.unique(np.linspace(0, len(first.graphs) - 1, CALIBRATION).astype(int))
        network.calibrate(first.batch(evenly, torch.float32, device)[0])
    fixed = "max" if kind.frozen else level if kind.base else None
    left = network.representation(str(fixed)) if fixed else []
    names = [name for name in network.representation() if name not in {*left}]
    names += [n for n, _ in network.named_parameters() if n.startswith(tuple(f"heads.{h}." for h in kind.heads))]
    assert not kind.frozen or not set(names) & set(network.representation())
    return network, fit(network, tasks, names, settings, rng)
