"""Test-time training (TTT) and test-time distillation.

TTT (Kreiman & Krishnapriyan 2026, section 3.2) minimises the prior loss on test structures with the
prior head frozen, updating the shared representation; the reference head then predicts from the
repaired representation. Distillation instead fits the reference head's own prediction to pseudo-labels, which a
Δ-learning model gives with a prior call each. No reference label is involved, and none is an argument here.

A unit (mlipshift.mitigate.units) is what is adapted together. Every unit has its own copy of the adapted parameters and
its own optimiser state; many units are stepped at once along the replica axis, and no unit sees another's gradient.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor

from mlipshift.base.errors import UserError
from mlipshift.base.frames import Frames, Labels
from mlipshift.base.log import progress
from mlipshift.base.predictions import Predictions
from mlipshift.catalogue.adaptation import CORRECTED, Settings
from mlipshift.catalogue.strategies import HEADS
from mlipshift.learn import batches
from mlipshift.learn.backbones.base import Backbone
from mlipshift.learn.networks import call
from mlipshift.learn.potential import MOLECULES_ONLY, Potential, Row
from mlipshift.learn.recorded import Recorded
from mlipshift.mitigate.correction import with_prior
from mlipshift.mitigate.stepping import clip, optimiser_of
from mlipshift.mitigate.stopping import Stopping
from mlipshift.mitigate.units import Unit, Units
from mlipshift.shift import graphs


@dataclass(frozen=True)
class Adapted:
    """What adapted models say of S structures after T recorded steps.

    frames; members: numbers of the structures that each unit predicts; steps [T]; rows: per structure (energies [T] eV,
    forces [T, n, 3] eV/Å), None where nothing was adapted or Δ-learning lacks a prior label; loss [T, S]: loss of its
    unit in eV/Å, NaN where nothing was adapted.
    """

    frames: Frames
    members: list[list[int]]
    steps: list[int]
    rows: list[Row | None]
    loss: np.ndarray

    def predictions(self, potential: Potential, everything: Frames, method: str) -> Predictions:
        """Predictions for `everything`, which holds the frames among others; missing for those."""
        place = {name: k for k, name in enumerate(everything.ids)}
        rows: list[Row | None] = [None] * len(everything)
        loss = np.full((len(self.steps), len(everything)), np.nan)
        for k, name in enumerate(self.frames.ids):
            rows[place[name]] = self.rows[k]
            loss[:, place[name]] = self.loss[:, k]
        return potential.results(everything, rows, self.steps, method, loss=loss)


def adapt_frames(
    potential: Potential, frames: Frames, units: Units, settings: Settings, prior: Labels | None = None
) -> Adapted:
    """Adapt units and predict the structures `frames` that they name.

    prior: labels of `frames`, which Δ-learning adds to the predictions. Raises UserError for periodic structures, and
    for a model that has not learnt what it would be adapted by.
    """
    _check(potential, settings)
    frames.molecules_only(MOLECULES_ONLY)
    units, members = units
    steps, results, losses = adapt(potential.network, units, settings)
    rows: list[Row | None] = [None] * len(frames)
    loss = np.full((len(steps), len(frames)), np.nan)
    for member, result, own in zip(members, results, losses):
        for k, row in zip(member, result):
            rows[k] = row
            loss[:, k] = own
    rows = potential.complete(frames, rows, prior)
    if settings.predict == CORRECTED:
        rows = with_prior(potential, frames, rows, prior)
    return Adapted(frames, members, steps, rows, loss)


def adapt_potential(
    potential: Potential, frames: Frames, prior: Labels, settings: Settings, pseudo: Labels | None = None
) -> Potential:
    """The model after adaptation on all labelled structures of `frames` together, to predict with or to save.

    prior, pseudo: labels of `frames`; the latter with a pseudo-label weight only. The card says from what and how.
    Raises UserError as adapt_frames, without a structure to adapt on, and for settings that ask for another head or for
    held-out copies.
    """
    _check(potential, settings)
    frames.molecules_only(MOLECULES_ONLY)
    if settings.predict != "reference":
        raise UserError(f"ttt.predict is {settings.predict}; an adapted model predicts with its reference head")
    if settings.pseudo_weight and pseudo is None:
        raise UserError("ttt.pseudo_weight is set, but there are no pseudo-labels; give them")
    ok = np.flatnonzero(prior.ok if pseudo is None else prior.ok & pseudo.ok)
    if not len(ok):
        raise UserError(f"{potential.name}: no structure has a label to adapt on; give one")
    structures = [frames[k][:2] for k in ok]
    unit = Unit(structures, [prior.forces_of(k) for k in ok], [], prior.energy[ok])
    unit.pseudo = None if pseudo is None else [pseudo.forces_of(k) for k in ok]
    run = _Run(potential.network, [unit], settings)
    kept = [{name: weights[name][0].detach().clone() for name in run.names} for weights in run.checkpoints()]
    chosen, losses = run.outcome()
    card = {
        "from": potential.origin,
        "settings": asdict(settings),
        "level": prior.level,
        "structures": len(ok),
        "steps": settings.checkpoints,
        "loss_eV_per_A": losses[0].tolist() if settings.steps else None,
    }
    earlier = potential.card.get("adapted", [])
    return potential.with_parameters(kept[chosen[0, -1]], {"adapted": [*earlier, card]})


def _check(potential, settings):
    """Raise UserError unless the heads that an adaptation reads have learnt something."""
    watched = settings.prior_weight or settings.stop == "held_out"
    needed = {*_read(settings), *(["prior"] if watched else [])}
    for head in sorted(needed - potential.strategy.learnt):
        strategy = potential.card["strategy"]
        raise UserError(f"{potential.name}: learnt by {strategy}, which trains no {head} head; adapt another model")


def adapt(
    network: Backbone, units: Sequence[Unit], settings: Settings
) -> tuple[list[int], list[list[tuple[np.ndarray, np.ndarray]]], np.ndarray]:
    """Adapt and predict all units.

    Returns (steps, predictions, losses): predictions[u][p] is (energy [T], forces [T, n, 3]) of structure p
    of unit u after each of the T recorded steps, energies above the atomic baseline; losses [U, T] is the
    prior loss (eV/Å), NaN where nothing was adapted. The network is left as it was. Zero steps are the base model.
    """
    order = np.argsort([u.size for u in units], kind="stable")
    parts = batches.portions([units[u].size for u in order], settings.batch if network.stacks else 1, network.device)
    chunks = [order[part] for part in parts]
    predictions: list[list[tuple[np.ndarray, np.ndarray]]] = [[] for _ in units]
    losses = np.full((len(units), len(settings.checkpoints)), np.nan)
    for chunk in progress(chunks, len(chunks), "adapted batches"):
        results, losses[chunk] = _adapt_batch(network, [units[u] for u in chunk], settings)
        for u, result in zip(chunk, results):
            predictions[u] = result
    return settings.checkpoints, predictions, losses


def _read(settings):
    """Heads that are read for a prediction, of which a second one is taken from the first."""
    return HEADS if settings.predict == CORRECTED else (settings.predict,)


def adapted_parameters(network: Backbone, settings: Settings) -> list[str]:
    """Names of the parameters that an adaptation updates."""
    prefixes = tuple(f"heads.{head}." for head in settings.heads)
    chosen = {*network.representation(settings.level)}
    return [n for n, _ in network.named_parameters() if n in chosen or (prefixes and n.startswith(prefixes))]


def share_of_parameters(network: Backbone, names: Sequence[str]) -> float:
    """Fraction of the network's parameters that `names` hold."""
    sizes = {n: p.numel() for n, p in network.named_parameters()}
    return sum(sizes[n] for n in names) / sum(sizes.values())


def _adapt_batch(network, units, settings):
    """(predictions, losses [R, T]) of units that are stepped together; see adapt."""
    asked = [_graphs(network, u, u.predict) for u in units]
    goal = batches.collate(asked, network.dtype, network.device)
    run, snapshots = _Run(network, units, settings), []
    for weights in run.checkpoints():
        with torch.no_grad():
            out = call(network, weights, goal, _read(settings))
        first, *less = (out[head] for head in _read(settings))
        snapshots.append(tuple(a - b for a, b in zip(first, less[0])) if less else first)
    energies = torch.stack([e for e, _ in snapshots]).double().cpu().numpy()
    forces = torch.stack([f for _, f in snapshots]).double().cpu().numpy()
    chosen, losses = run.outcome()
    results, s = [], 0
    for r, graphs_of_unit in enumerate(asked):
        rows, start = [], 0
        for g in graphs_of_unit:
            n = len(g.numbers)
            rows.append((energies[chosen[r], s], forces[chosen[r], r, start : start + n]))
            start, s = start + n, s + 1
        results.append(rows)
    return results, losses


def _graphs(network, unit, structures):
    """Graphs of structures with the radii of their unit."""
    cutoff = network.architecture.cutoff if unit.cutoff is None else unit.cutoff
    return [graphs.build(*s, cutoff, unit.envelope) for s in structures]


class _Target:
    """Forces, and energies if given, of some structures of every unit, as one batch; the loss of every unit [R]."""

    def __init__(self, network, units, structures, forces, energy=None):
        dtype, device = network.dtype, network.device
        known = [_graphs(network, unit, of_unit) for unit, of_unit in zip(units, structures, strict=True)]
        self.batch = batches.collate(known, dtype, device)
        self.forces = torch.zeros_like(self.batch.vectors[:, :, 0])
        for r, of_unit in enumerate(forces):
            rows = np.concatenate(of_unit)
            self.forces[r, : len(rows)] = torch.as_tensor(rows, dtype=dtype, device=device)
        self.real = (self.batch.structure < len(self.batch.sizes)).to(dtype)
        if energy is not None:
            numbers = [z for of_unit in structures for z, _ in of_unit]
            baseline = network.baseline("prior", np.concatenate(numbers), [len(z) for z in numbers])
            self.energy = torch.as_tensor(np.concatenate(energy) - baseline, dtype=dtype, device=device)
            owner = torch.repeat_interleave(torch.arange(len(structures)), torch.tensor([*map(len, structures)]))
            self.owner = owner.to(device)
            self.weight = (1 / torch.bincount(owner)[owner]).to(device)

    def force_loss(self, forces):
        """Mean over the atoms of a unit of the Euclidean norm of the force error [R] (eV/Å)."""
        error = ((forces - self.forces).square().sum(-1) + 1e-12).sqrt() * self.real
        return error.sum(1) / self.real.sum(1)

    def energy_loss(self, energy):
        """Mean over the structures of a unit of the absolute energy error per atom [R] (eV)."""
        term = (energy - self.energy).abs() / self.batch.sizes * self.weight
        return torch.zeros(len(self.real), dtype=term.dtype, device=term.device).index_add(0, self.owner, term)


class _Run:
    """The adaptation of units side by side: what is fitted to what, and the steps."""

    def __init__(self, network, units, settings):
        self.network, self.settings = network, settings
        self.frozen = {n: p.detach() for n, p in network.named_parameters()}
        self.names = adapted_parameters(network, settings)
        own = [self.frozen[n] for n in self.names]
        self.stacked = [p.unsqueeze(0).repeat(len(units), *[1] * p.dim()).requires_grad_() for p in own]
        # what is not adapted stays shared: a weight without replica axis serves every unit and gets no gradient
        self.parameters = {**self.frozen, **dict(zip(self.names, self.stacked))}
        self.heads = ["prior"] * bool(settings.prior_weight) + ["reference"] * bool(settings.pseudo_weight)
        self.prior = self.pseudo = self.held = None
        if settings.steps:
            known = [u.adapt for u in units]
            energy = [u.energy for u in units] if settings.energy_weight else None
            self.prior = _Target(network, units, known, [u.forces for u in units], energy)
            if settings.pseudo_weight:
                self.pseudo = _Target(network, units, known, [u.pseudo for u in units])
            if settings.stop == "held_out":
                if not all(u.held for u in units):
                    raise UserError("ttt.stop is held_out, but some structures have no held-out copies; set another")
                self.held = _Target(network, units, [u.held for u in units], [u.held_forces for u in units])
        self.stopping, self.trace = Stopping(settings, len(units)), []

    def checkpoints(self) -> Iterator[dict[str, Tensor]]:
        """Step, and yield the parameters that predict after every recorded step; they change in place after that."""
        settings, on = self.settings, self.network.device
        optimiser = optimiser_of(self.stacked, settings, on)

        def descend():
            optimiser.zero_grad()
            loss, shown = self._losses()
            # units are independent: the gradient of the sum is every unit's own gradient
            loss.sum().backward()
            return shown.detach()

        def move():
            clip(self.stacked)
            optimiser.step()

        descend, move = (Recorded(part, on, self.network.recordable) for part in (descend, move))
        for step in range(settings.steps + 1):
            last, shown = step == settings.steps, None
            if not last:
                shown = descend()
            elif settings.steps:
                with torch.no_grad():
                    _, shown = self._losses()
            if step in settings.checkpoints:
                with torch.no_grad():
                    weights = self._predicting()
                yield weights
                self._look(weights, shown)
            if last or self.stopping.skipped().all():
                break
            move()

    def outcome(self) -> tuple[np.ndarray, np.ndarray]:
        """(index [R, T] of the checkpoint that each unit is at after each recorded step, loss there [R, T])."""
        chosen = self.stopping.chosen(len(self.settings.checkpoints))
        if not self.trace:
            return chosen, np.full(chosen.shape, np.nan)
        found = torch.stack(self.trace).T.double().cpu().numpy()
        return chosen, np.take_along_axis(found, chosen, axis=1)

    def _losses(self):
        """(loss that is minimised, loss that is reported) of every unit [R]."""
        settings = self.settings
        out = call(self.network, self.parameters, self.prior.batch, tuple(self.heads))
        total, shown = 0.0, None
        if self.pseudo is not None:
            shown = self.pseudo.force_loss(out["reference"][1])
            total = settings.pseudo_weight * settings.force_weight * shown
        if settings.prior_weight:
            shown = loss = self.prior.force_loss(out["prior"][1])
            loss = settings.force_weight * loss
            if settings.energy_weight:
                term = settings.energy_weight * self.prior.energy_loss(out["prior"][0])
                loss, shown = loss + term, shown + term
            total = total + settings.prior_weight * loss
        return total, shown

    def _predicting(self):
        """The parameters that predict, between those of the model and the adapted ones."""
        share = self.settings.interpolation
        if share == 1:
            return self.parameters
        between = {n: self.frozen[n].expand_as(p).lerp(p, share) for n, p in zip(self.names, self.stacked)}
        return self.parameters | between

    def _look(self, weights, shown):
        """Keep the reported loss of a recorded step, and let the stopping rule see the one that it watches."""
        if shown is None:
            return
        self.trace.append(shown.clone())  # a recorded step writes where it wrote before
        if self.held is not None:
            with torch.no_grad():
                shown = self.held.force_loss(call(self.network, weights, self.held.batch, ("prior",))["prior"][1])
        self.stopping.look(shown)
