"""Test-time training (TTT) and prediction.

TTT (Kreiman & Krishnapriyan 2026, section 3.2) minimises the prior loss on test structures with the
prior head frozen, updating the shared representation; the reference head then predicts from the
repaired representation. No reference label is involved, and none is an argument here.

A unit is what is adapted together: one structure, or all structures given for one molecule. Every
unit has its own copy of the adapted parameters and its own optimiser state; many units are stepped at
once along the replica axis, and no unit sees another's gradient.
"""

from dataclasses import dataclass

import numpy as np
import torch

from mlipshift import graphs
from mlipshift.cli import progress
from mlipshift.errors import UserError
from mlipshift.models import call, representation

OPTIMISERS = ("adam", "sgd")
CLIP = 10.0  # gradient norm per unit, as in the released code


@dataclass(frozen=True)
class Settings:
    """Hyper-parameters of one adaptation; `record` lists the steps after which predictions are kept."""

    steps: int = 50
    learning_rate: float = 3e-4
    optimiser: str = "adam"
    momentum: float = 0.9
    weight_decay: float = 0.0
    level: str = "max"
    energy_weight: float = 0.0
    record: tuple = ()
    batch: int = 16

    def __post_init__(self):
        if self.steps < 0:
            raise UserError(f"ttt.steps is {self.steps}; give 0 or more")
        if self.optimiser not in OPTIMISERS:
            raise UserError(f"ttt.optimiser {self.optimiser!r} is unknown; use one of {', '.join(OPTIMISERS)}")

    @property
    def checkpoints(self):
        """Recorded steps: 0, those of `record` that are reached, and the last."""
        return sorted({0, self.steps, *(k for k in self.record if k < self.steps)})


@dataclass
class Unit:
    """What is adapted together: structures with prior labels, and the structures to predict afterwards.

    adapt, predict: lists of (numbers [n], positions [n, 3] Å); forces: list of prior forces [n, 3] eV/Å;
    energy [len(adapt)]: prior energies in eV, needed only with an energy weight.
    """

    adapt: list
    forces: list
    predict: list
    energy: np.ndarray | None = None

    @property
    def size(self):
        return sum(len(z) for z, _ in self.adapt)


def _optimiser(parameters, settings):
    """torch's fused kernel on stacked parameters [R, ...]; element by element, so replicas stay apart."""
    common = {"lr": settings.learning_rate, "weight_decay": settings.weight_decay, "fused": True}
    if settings.optimiser == "sgd":
        return torch.optim.SGD(parameters, momentum=settings.momentum, **common)
    return torch.optim.Adam(parameters, **common)


def _clip(parameters):
    """Scale the gradients of every replica to a norm of at most CLIP."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    norm = torch.stack([torch.linalg.vector_norm(g.flatten(1), dim=1) for g in gradients]).norm(dim=0)
    if bool((norm > CLIP).any()):
        scale = (CLIP / norm).clamp_max(1.0)
        for g in gradients:
            g.mul_(scale.view(-1, *[1] * (g.dim() - 1)))


def adapt(model, units, settings, cutoff=None, device=None):
    """Adapt and predict all units.

    Returns (steps, predictions, losses): predictions[u][p] is (energy [T], forces [T, n, 3]) of structure p
    of unit u after each of the T recorded steps, energies above the atomic baseline; losses [U, T] is the
    prior loss (eV/Å), NaN where nothing was adapted. `model` is left as it was. Zero steps are the base model.
    device: that of the model unless given.
    """
    cutoff = cutoff or model.architecture.cutoff
    dtype, device = next(model.parameters()).dtype, device or model.shift.device
    order = np.argsort([u.size for u in units], kind="stable")
    size = settings.batch if model.stacks else 1
    chunks = [order[k : k + size] for k in range(0, len(order), size)]
    predictions = [None] * len(units)
    losses = np.full((len(units), len(settings.checkpoints)), np.nan)
    for chunk in progress(chunks, len(chunks), "adapted batches"):
        results, trace = _adapt_batch(model, [units[u] for u in chunk], settings, cutoff, dtype, device)
        losses[chunk] = trace
        for u, result in zip(chunk, results):
            predictions[u] = result
    return settings.checkpoints, predictions, losses


def _adapt_batch(model, units, settings, cutoff, dtype, device):
    graph = lambda structure: graphs.build(*structure, cutoff)
    known = [[graph(s) for s in u.adapt] for u in units]
    asked = [[graph(s) for s in u.predict] for u in units]
    goal = graphs.collate(asked, dtype, device)
    frozen = {n: p.detach() for n, p in model.named_parameters()}
    names = representation(model, settings.level)
    stacked = [frozen[n].unsqueeze(0).repeat(len(units), *[1] * frozen[n].dim()).requires_grad_() for n in names]
    # the heads stay shared: a weight without replica axis serves every unit and gets no gradient
    parameters = {**frozen, **dict(zip(names, stacked))}
    if settings.steps:
        batch = graphs.collate(known, dtype, device)
        target = torch.zeros_like(batch.vectors[:, :, 0])
        for r, unit in enumerate(units):
            rows = np.concatenate(unit.forces)
            target[r, : len(rows)] = torch.as_tensor(rows, dtype=dtype, device=device)
        real = (batch.structure < len(batch.sizes)).to(dtype)
        energy = None
        if settings.energy_weight:
            energy = torch.as_tensor(np.concatenate([u.energy for u in units]), dtype=dtype, device=device)
            owner = torch.repeat_interleave(torch.arange(len(units)), torch.tensor([len(u.adapt) for u in units]))
            owner = owner.to(device)
            weight = 1 / torch.bincount(owner)[owner]

    def prior_loss():
        """Prior loss of every unit [R]."""
        found, forces = call(model, parameters, batch, ("prior",))["prior"]
        error = ((forces - target).square().sum(-1) + 1e-12).sqrt() * real
        loss = error.sum(1) / real.sum(1)
        if energy is not None:
            term = (found - energy).abs() / batch.sizes * weight
            loss = loss + settings.energy_weight * torch.zeros_like(loss).index_add(0, owner, term)
        return loss

    optimiser = _optimiser(stacked, settings)
    snapshots, trace = [], []
    for step in range(settings.steps + 1):
        keep = step in settings.checkpoints
        if keep:
            with torch.no_grad():
                snapshots.append(call(model, parameters, goal, ("reference",))["reference"])
        if step == settings.steps:
            if settings.steps:
                with torch.no_grad():
                    trace.append(prior_loss())
            break
        loss = prior_loss()
        if keep:
            trace.append(loss.detach())
        # units are independent: the gradient of the sum is every unit's own gradient
        optimiser.zero_grad()
        loss.sum().backward()
        _clip(stacked)
        optimiser.step()

    energies = torch.stack([e for e, _ in snapshots]).double().cpu().numpy()
    forces = torch.stack([f for _, f in snapshots]).double().cpu().numpy()
    results, s = [], 0
    for r, graphs_of_unit in enumerate(asked):
        rows, start = [], 0
        for g in graphs_of_unit:
            n = len(g.numbers)
            rows.append((energies[:, s], forces[:, r, start : start + n]))
            start, s = start + n, s + 1
        results.append(rows)
    losses = torch.stack(trace).T.double().cpu().numpy() if trace else np.full((len(units), 1), np.nan)
    return results, losses


ENVELOPES = ("trained", "rescaled")


def predict(model, structures, cutoffs=None, batch=64, heads="reference", envelope="trained"):
    """Base predictions of a list of (numbers, positions): list of (energy, forces [n, 3]), energies above the baseline.

    cutoffs: neighbour-list cutoff (Å) per structure, the model's own if absent. envelope: the radius at which the
    model's envelope reaches zero stays the trained one (as published), or is rescaled to the cutoff of the structure.
    """
    if envelope not in ENVELOPES:
        raise UserError(f"envelope {envelope!r} is unknown; use one of {', '.join(ENVELOPES)}")
    cutoffs = [model.architecture.cutoff] * len(structures) if cutoffs is None else cutoffs
    dtype, device = next(model.parameters()).dtype, model.shift.device
    out = []
    for start in range(0, len(structures), batch):
        part = zip(structures[start : start + batch], cutoffs[start : start + batch])
        rows = [graphs.build(*s, c, c if envelope == "rescaled" else None) for s, c in part]
        with torch.no_grad():
            energy, forces = model(graphs.collate([rows], dtype, device), (heads,))[heads]
        split = np.split(forces[0].double().cpu().numpy(), np.cumsum([len(g.numbers) for g in rows])[:-1])
        out += list(zip(energy.double().tolist(), split))
    return out


MODES = ("structure", "molecule", "placebo")


def structure_units(frames, prior, energy):
    """(units, members): every labelled structure adapted on its own prior labels.

    energy [S]: prior energies above the atomic baseline of the prior head (eV). members[u] are the numbers of
    the structures that unit u predicts.
    """
    usable = np.flatnonzero(prior.ok)
    unit = lambda k: Unit([frames[k][:2]], [prior.forces_of(k)], [frames[k][:2]], energy[[k]])
    return [unit(k) for k in usable], [[k] for k in usable]


def placebo_units(frames, prior, energy, seed):
    """As structure_units, with the prior forces of a random structure of another molecule of the same group."""
    rng = np.random.default_rng([seed, 7])
    usable = np.flatnonzero(prior.ok)
    units, members = [], []
    for k in usable:
        forces = _foreign_forces(k, frames, prior, usable, rng)
        if forces is not None:
            units.append(Unit([frames[k][:2]], [forces], [frames[k][:2]], energy[[k]]))
            members.append([k])
    return units, members


def molecule_units(frames, known, prior, energy):
    """(units, members): one unit per molecule (within its group), adapted on the structures `known` of it.

    known: Frames with prior labels `prior` and energies above the baseline; every structure of the molecule in
    `frames` is predicted, without a prior label of its own.
    """
    keys, sources = (list(zip(f.group, f.molecule)) for f in (frames, known))
    units, members = [], []
    for key in dict.fromkeys(keys):
        usable = [j for j in range(len(known)) if sources[j] == key and prior.ok[j]]
        if not usable:
            continue
        member = [k for k in range(len(frames)) if keys[k] == key]
        units.append(
            Unit(
                [known[j][:2] for j in usable],
                [prior.forces_of(j) for j in usable],
                [frames[k][:2] for k in member],
                energy[usable],
            )
        )
        members.append(member)
    return units, members


def _foreign_forces(k, frames, prior, usable, rng):
    """Prior forces of another molecule of the group, repeated or cut to n atoms, net force removed."""
    other = [j for j in usable if frames.group[j] == frames.group[k] and frames.molecule[j] != frames.molecule[k]]
    if not other:
        return None
    n = int(frames.sizes[k])
    forces = np.resize(prior.forces_of(rng.choice(other)), (n, 3))
    return forces - forces.mean(0)
