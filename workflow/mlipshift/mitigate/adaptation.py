"""Test-time training (TTT), test-time distillation and prediction.

TTT (Kreiman & Krishnapriyan 2026, section 3.2) minimises the prior loss on test structures with the
prior head frozen, updating the shared representation; the reference head then predicts from the
repaired representation. Distillation instead fits the reference head's own prediction to pseudo-labels, which a
Δ-learning model gives with a prior call each. No reference label is involved, and none is an argument here.

A unit is what is adapted together: one structure, the structures given for one molecule, or those of a whole set.
Every unit has its own copy of the adapted parameters and its own optimiser state; many units are stepped at
once along the replica axis, and no unit sees another's gradient.
"""

from dataclasses import dataclass, fields

import numpy as np
import torch

from mlipshift.base.errors import UserError
from mlipshift.base.log import progress
from mlipshift.data import augmentation
from mlipshift.learn import batches
from mlipshift.learn.networks import HEADS, LEVELS, call, representation
from mlipshift.shift import graphs

OPTIMISERS = ("adam", "sgd")
STOPS = ("none", "drop", "held_out")
CLIP = 10.0  # gradient norm per unit, as in the released code

# recommended: the defaults of Settings, chosen on the validation shift groups. published: the released configurations
# and loss, with the energy per atom in eV where the released code has a standardised one
PRESETS = {
    "recommended": {},
    "published": {
        "steps": 500,
        "learning_rate": 1e-5,
        "optimiser": "sgd",
        "momentum": 0.9,
        "weight_decay": 1e-3,
        "level": "min",
        "energy_weight": 1.0,
        "force_weight": 1000.0,
    },
}


@dataclass(frozen=True)
class Settings:
    """Hyper-parameters of one adaptation; `record` lists the steps after which predictions are kept.

    level: part of the representation that is updated; heads: heads that are updated beside it, none by default.
    prior_weight, pseudo_weight: weights of the prior loss and of the loss on pseudo-labels, each of which is
    force_weight times the force loss plus energy_weight times the energy loss (prior only).
    stop: "none"; "drop", at the first recorded step at which the loss is below stop_fraction of that at step 0;
    "held_out", at the recorded step with the lowest prior loss on the unit's held-out structures.
    skip_below_eV_per_A: units are left as they are whose loss before adaptation is below it: that on the labels they
    would be adapted to, or on their held-out structures where these stop.
    interpolation: predictions are with weights this share of the way from the model's to the adapted ones (Wortsman et
    al., "Robust fine-tuning of zero-shot models", CVPR 2022); the losses are those of the adapted weights.
    predict: head that predicts.
    """

    steps: int = 50
    learning_rate: float = 3e-4
    optimiser: str = "adam"
    momentum: float = 0.9
    weight_decay: float = 0.0
    level: str = "max"
    heads: tuple = ()
    force_weight: float = 1.0
    energy_weight: float = 0.0
    prior_weight: float = 1.0
    pseudo_weight: float = 0.0
    stop: str = "none"
    stop_fraction: float = 0.3
    skip_below_eV_per_A: float = 0.0
    interpolation: float = 1.0
    predict: str = "reference"
    record: tuple = ()
    batch: int = 32

    def __post_init__(self):
        if self.steps < 0:
            raise UserError(f"ttt.steps is {self.steps}; give 0 or more")
        if not 0 < self.interpolation <= 1:
            raise UserError(f"ttt.interpolation is {self.interpolation}; give a share above 0 and of at most 1")
        self._one_of("optimiser", OPTIMISERS)
        self._one_of("level", LEVELS)
        self._one_of("stop", STOPS)
        self._one_of("predict", HEADS)
        for head in self.heads:
            if head not in HEADS:
                raise UserError(f"ttt.heads: {head!r} is unknown; use {' or '.join(HEADS)}, or none of them")
        if not (self.prior_weight or self.pseudo_weight):
            raise UserError("ttt.prior_weight and ttt.pseudo_weight are both 0, there is nothing to adapt to; set one")

    def _one_of(self, name, known):
        value = getattr(self, name)
        if value not in known:
            raise UserError(f"ttt.{name} {value!r} is unknown; use one of {', '.join(known)}")

    @classmethod
    def of(cls, settings):
        """Settings of a dictionary: defaults, the values of its `preset` if it names one, and its own on top."""
        settings = {k: v for k, v in settings.items() if v is not None}
        preset = settings.pop("preset", None)
        if preset is not None and preset not in PRESETS:
            raise UserError(f"preset {preset!r} is unknown; use one of {', '.join(PRESETS)}")
        known = {f.name for f in fields(cls)}
        unknown = sorted(set(settings) - known)
        if unknown:
            raise UserError(f"{unknown[0]!r} is no setting of an adaptation; known: {', '.join(sorted(known))}")
        return cls(**{**PRESETS.get(preset, {}), **settings})

    @property
    def checkpoints(self):
        """Recorded steps: 0, those of `record` that are reached, and the last."""
        return sorted({0, self.steps, *(k for k in self.record if k < self.steps)})


@dataclass
class Unit:
    """What is adapted together: structures with prior labels, and the structures to predict afterwards.

    adapt, predict: lists of (numbers [n], positions [n, 3] Å); forces: list of prior forces [n, 3] eV/Å of `adapt`;
    energy [len(adapt)]: prior energies in eV, needed only with an energy weight; pseudo: list of forces [n, 3] that
    the reference head is fitted to, needed only with a pseudo-label weight; held, held_forces: structures with prior
    forces that are watched and not adapted on, needed only to stop by them.
    """

    adapt: list
    forces: list
    predict: list
    energy: np.ndarray | None = None
    pseudo: list | None = None
    held: list | None = None
    held_forces: list | None = None

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
    # an energy readout has no gradient where only forces are fitted
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


def adapted_parameters(model, settings):
    """Names of the parameters that an adaptation updates."""
    prefixes = tuple(f"heads.{head}." for head in settings.heads)
    chosen = {*representation(model, settings.level)}
    return [n for n, _ in model.named_parameters() if n in chosen or (prefixes and n.startswith(prefixes))]


def share_of_parameters(model, names):
    """Fraction of the model's parameters that `names` hold."""
    sizes = {n: p.numel() for n, p in model.named_parameters()}
    return sum(sizes[n] for n in names) / sum(sizes.values())


class _Target:
    """Forces, and energies if given, of some structures of every unit, as one batch; the loss of every unit [R]."""

    def __init__(self, structures, forces, cutoff, dtype, device, energy=None):
        known = [[graphs.build(*s, cutoff) for s in of_unit] for of_unit in structures]
        self.batch = batches.collate(known, dtype, device)
        self.forces = torch.zeros_like(self.batch.vectors[:, :, 0])
        for r, of_unit in enumerate(forces):
            rows = np.concatenate(of_unit)
            self.forces[r, : len(rows)] = torch.as_tensor(rows, dtype=dtype, device=device)
        self.real = (self.batch.structure < len(self.batch.sizes)).to(dtype)
        self.energy = None
        if energy is not None:
            self.energy = torch.as_tensor(np.concatenate(energy), dtype=dtype, device=device)
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


def _adapt_batch(model, units, settings, cutoff, dtype, device):
    asked = [[graphs.build(*s, cutoff) for s in u.predict] for u in units]
    goal = batches.collate(asked, dtype, device)
    frozen = {n: p.detach() for n, p in model.named_parameters()}
    names = adapted_parameters(model, settings)
    stacked = [frozen[n].unsqueeze(0).repeat(len(units), *[1] * frozen[n].dim()).requires_grad_() for n in names]
    # what is not adapted stays shared: a weight without replica axis serves every unit and gets no gradient
    parameters = {**frozen, **dict(zip(names, stacked))}
    place = (cutoff, dtype, device)
    heads, prior, pseudo, held = [], None, None, None
    if settings.steps:
        known = [u.adapt for u in units]
        energy = [u.energy for u in units] if settings.energy_weight else None
        prior = _Target(known, [u.forces for u in units], *place, energy)
        heads = ["prior"] * bool(settings.prior_weight) + ["reference"] * bool(settings.pseudo_weight)
        if settings.pseudo_weight:
            pseudo = _Target(known, [u.pseudo for u in units], *place)
        if settings.stop == "held_out":
            if not all(u.held for u in units):
                raise UserError("ttt.stop is held_out, but some structures have no held-out copies; set another")
            held = _Target([u.held for u in units], [u.held_forces for u in units], *place)

    def losses():
        """(loss that is minimised, loss that is reported) of every unit [R]."""
        out = call(model, parameters, prior.batch, tuple(heads))
        total, shown = 0.0, None
        if pseudo is not None:
            shown = pseudo.force_loss(out["reference"][1])
            total = settings.pseudo_weight * settings.force_weight * shown
        if settings.prior_weight:
            shown = loss = prior.force_loss(out["prior"][1])
            loss = settings.force_weight * loss
            if settings.energy_weight:
                term = settings.energy_weight * prior.energy_loss(out["prior"][0])
                loss, shown = loss + term, shown + term
            total = total + settings.prior_weight * loss
        return total, shown

    def predicting():
        """The parameters that predict, between those of the model and the adapted ones."""
        share = settings.interpolation
        if share == 1:
            return parameters
        return parameters | {n: frozen[n].expand_as(p).lerp(p, share) for n, p in zip(names, stacked)}

    optimiser = _optimiser(stacked, settings)
    snapshots, trace, stopping = [], [], _Stopping(settings, len(units))
    for step in range(settings.steps + 1):
        keep = step in settings.checkpoints
        last = step == settings.steps
        loss = shown = None
        if settings.steps:
            with torch.set_grad_enabled(not last):
                loss, shown = losses()
        if keep:
            with torch.no_grad():
                weights = predicting()
                snapshots.append(call(model, weights, goal, (settings.predict,))[settings.predict])
                watched = shown
                if held is not None:
                    watched = held.force_loss(call(model, weights, held.batch, ("prior",))["prior"][1])
            if shown is not None:
                trace.append(shown.detach())
                stopping.look(watched.detach())
        if last or stopping.skipped().all():
            break
        # units are independent: the gradient of the sum is every unit's own gradient
        optimiser.zero_grad()
        loss.sum().backward()
        _clip(stacked)
        optimiser.step()

    energies = torch.stack([e for e, _ in snapshots]).double().cpu().numpy()
    forces = torch.stack([f for _, f in snapshots]).double().cpu().numpy()
    chosen = stopping.chosen(len(settings.checkpoints))
    results, s = [], 0
    for r, graphs_of_unit in enumerate(asked):
        rows, start = [], 0
        for g in graphs_of_unit:
            n = len(g.numbers)
            rows.append((energies[chosen[r], s], forces[chosen[r], r, start : start + n]))
            start, s = start + n, s + 1
        results.append(rows)
    found = torch.stack(trace).T.double().cpu().numpy() if trace else np.full((len(units), 1), np.nan)
    return results, np.take_along_axis(found, chosen, axis=1)


class _Stopping:
    """Which recorded step every unit stops at, decided from prior labels alone."""

    def __init__(self, settings, units):
        self.settings, self.units, self.seen = settings, units, []

    def look(self, loss):
        self.seen.append(loss.double().cpu().numpy())

    def skipped(self):
        """Which units [R] are not adapted at all."""
        if not self.seen:
            return np.zeros(self.units, dtype=bool)
        return self.seen[0] < self.settings.skip_below_eV_per_A

    def chosen(self, times):
        """Index [R, T] of the recorded step whose parameters are those of the unit after each recorded step."""
        skipped = self.skipped()
        if skipped.all():  # they were left at once, and no later step was seen
            return np.zeros((self.units, times), dtype=int)
        index = self._stopped(times)
        index[skipped] = 0
        return index

    def _stopped(self, times):
        index = np.tile(np.arange(times), (self.units, 1))
        if self.settings.stop == "none" or not self.seen:
            return index
        seen = np.stack(self.seen, axis=1)
        for t in range(1, times):
            if self.settings.stop == "drop":
                reached = seen[:, t - 1] <= self.settings.stop_fraction * seen[:, 0]
                index[:, t] = np.where(reached | (index[:, t - 1] < t - 1), index[:, t - 1], t)
            else:
                best = np.take_along_axis(seen, index[:, t - 1 : t], axis=1)[:, 0]
                index[:, t] = np.where(seen[:, t] < best, t, index[:, t - 1])
        return index


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
            energy, forces = model(batches.collate([rows], dtype, device), (heads,))[heads]
        split = np.split(forces[0].double().cpu().numpy(), np.cumsum([len(g.numbers) for g in rows])[:-1])
        out += list(zip(energy.double().cpu().tolist(), split))
    return out


MODES = ("structure", "molecule", "set", "placebo")


def structure_units(frames, prior, energy, held=None):
    """(units, members): every labelled structure adapted on its own prior labels.

    energy [S]: prior energies above the atomic baseline of the prior head (eV). members[u] are the numbers of
    the structures that unit u predicts. held: (Frames, Labels) of rattled copies to stop by; structures without
    such copies are left out then.
    """
    usable = np.flatnonzero(prior.ok)
    units, members = [], []
    copies = {} if held is None else _copies_of(*held)
    for k in usable:
        unit = Unit([frames[k][:2]], [prior.forces_of(k)], [frames[k][:2]], energy[[k]])
        if held is not None:
            rows = copies.get(str(frames.ids[k]), [])
            if not rows:
                continue
            unit.held = [held[0][j][:2] for j in rows]
            unit.held_forces = [held[1].forces_of(j) for j in rows]
        units.append(unit)
        members.append([k])
    return units, members


def _copies_of(frames, labels):
    """{id: numbers of its labelled rattled copies}."""
    out = {}
    for j, name in enumerate(frames.ids):
        source, copy = augmentation.source_of(name)
        if copy and labels.ok[j]:
            out.setdefault(source, []).append(j)
    return out


def placebo_units(frames, prior, energy, seed):
    """As structure_units, with the prior forces of a random structure of another molecule of the same group.

    Of another structure where the group has one molecule alone; a structure that is alone in its group has no placebo.
    """
    rng = np.random.default_rng([seed, 7])
    usable = np.flatnonzero(prior.ok)
    units, members = [], []
    for k in usable:
        forces = _foreign_forces(k, frames, prior, usable, rng)
        if forces is not None:
            units.append(Unit([frames[k][:2]], [forces], [frames[k][:2]], energy[[k]]))
            members.append([k])
    return units, members


def molecule_units(frames, known, prior, energy, pseudo=None, unseen=False):
    """(units, members): one unit per molecule (within its group), adapted on the structures `known` of it.

    known: Frames with prior labels `prior` and energies above the baseline; every structure of the molecule in
    `frames` is predicted, without a prior label of its own, with `unseen` only those that are not in `known`.
    pseudo: list of forces [n, 3] of `known` for the reference head, None for a structure that has none.
    """
    keys, sources = (list(zip(f.group, f.molecule)) for f in (frames, known))
    return _units_by(keys, sources, frames, known, prior, energy, pseudo, unseen)


def set_units(frames, known, prior, energy):
    """(units, members): one unit per group of structures, adapted on all of `known` of it together."""
    return _units_by(list(frames.group), list(known.group), frames, known, prior, energy)


def _units_by(keys, sources, frames, known, prior, energy, pseudo=None, unseen=False):
    """One unit per distinct key of `frames`, adapted on the labelled structures of `known` with the same key."""
    taken = set(known.ids.astype(str)) if unseen else ()
    places = {}
    for j, key in enumerate(sources):
        if prior.ok[j] and (pseudo is None or pseudo[j] is not None):
            places.setdefault(key, []).append(j)
    asked = {}
    for k, key in enumerate(keys):
        if str(frames.ids[k]) not in taken:
            asked.setdefault(key, []).append(k)
    units, members = [], []
    for key, member in asked.items():
        usable = places.get(key)
        if not usable:
            continue
        units.append(
            Unit(
                [known[j][:2] for j in usable],
                [prior.forces_of(j) for j in usable],
                [frames[k][:2] for k in member],
                energy[usable],
                None if pseudo is None else [pseudo[j] for j in usable],
            )
        )
        members.append(member)
    return units, members


def _foreign_forces(k, frames, prior, usable, rng):
    """Prior forces of another structure, repeated or cut to n atoms, net force removed; None if there is none."""
    group = [j for j in usable if frames.group[j] == frames.group[k] and j != k]
    other = [j for j in group if frames.molecule[j] != frames.molecule[k]] or group
    if not other:
        return None
    n = int(frames.sizes[k])
    forces = np.resize(prior.forces_of(rng.choice(other)), (n, 3))
    return forces - forces.mean(0)
