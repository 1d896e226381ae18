"""Test-time training of a published model through a frozen prior head, structure by structure.

Kreiman & Krishnapriyan 2026, section 3.2, adapt a model that was trained with two heads. Here the prior head was fitted
to the frozen features of a model that is as it is (heads). It stays frozen, as the model's readout does; the
representation of every structure starts from the published weights and follows the gradient of the prior residual
mean |F_prior − F_head|, after which the model's own head predicts. No reference label is involved.

The residual before adaptation is a sign of the error (weighting); where it is below a gate the model's own
prediction stands, since adaptation harms a model that is better than the prior.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from mlipshift.base.checkpoints import Checkpoints
from mlipshift.base.errors import UserError, shortened
from mlipshift.base.frames import Frames, Labels
from mlipshift.base.log import log, progress
from mlipshift.external.differentiable import Differentiable, energy_and_forces
from mlipshift.external.heads import PriorHead
from mlipshift.external.kept import Kept
from mlipshift.external.settings import CLIP, settings_of
from mlipshift.external.structure import Structure
from mlipshift.external.weights import learning, restored
from mlipshift.mitigate.units import placebo_units

DIVERGED = 2.0  # times the residual at the beginning


@dataclass(frozen=True)
class Settings:
    """steps, learning_rate: of Adam; record: steps after which predictions are kept, beside 0 and the last.

    gate_eV_per_A: residual per component below which a structure is left as it is; 0 adapts all, infinity none.
    Raises UserError for what is not possible.
    """

    steps: int = 30
    learning_rate: float = 1e-3
    record: tuple[int, ...] = ()
    gate_eV_per_A: float = 0.0

    def __post_init__(self):
        if self.steps < 0 or not self.learning_rate > 0 or not self.gate_eV_per_A >= 0:
            raise UserError(
                f"test-time training: {self.steps} steps, learning rate {self.learning_rate}, gate "
                f"{self.gate_eV_per_A} eV/Å; give steps and a gate of at least 0 and a rate above 0"
            )

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "Settings":
        """Settings of a dictionary. Raises UserError for an unknown one."""
        return settings_of(cls, settings, "test-time training")

    @property
    def checkpoints(self) -> list[int]:
        """Recorded steps."""
        return sorted({0, self.steps, *(k for k in self.record if k < self.steps)})


@dataclass(frozen=True)
class Outcome:
    """What one structure came to at T recorded steps.

    energy [T] eV; forces [T, n, 3] eV/Å; loss [T] eV/Å: residual of what was adapted to; reason: why the model's own
    prediction stands, empty where it does not or where the gate says so.
    """

    energy: np.ndarray
    forces: np.ndarray
    loss: np.ndarray
    reason: str = ""


def adapt(
    model: Differentiable,
    head: PriorHead,
    structure: Structure,
    prior: np.ndarray,
    settings: Settings,
    target: np.ndarray | None = None,
) -> Outcome:
    """Adapt to the prior forces [n, 3] (eV/Å) of a structure and predict it; the model is left as it was.

    target: forces to adapt to in their place, a placebo's; the gate is that of the prior all the same.
    """
    batch, x = model.prepare([structure]), torch.as_tensor(structure.positions, dtype=model.dtype)
    truth = torch.as_tensor(prior, dtype=model.dtype)
    goal = truth if target is None else torch.as_tensor(target, dtype=model.dtype)
    parameters, times = model.representation(), settings.checkpoints
    rows: list[tuple[float, np.ndarray, float]] = [_answer(model, batch, x, np.nan)]
    reason = ""
    with restored(parameters), learning(parameters):
        optimiser = torch.optim.Adam(parameters, lr=settings.learning_rate)
        for step in range(settings.steps + 1):
            last = step == settings.steps
            said = _head_forces(model, head, batch, x, create=not last)
            loss = (said - goal).abs().mean()
            now = float(loss.detach())
            if step == 0:
                rows[0] = rows[0][:2] + (now,)
                if float((said.detach() - truth).abs().mean()) < settings.gate_eV_per_A:
                    break
            elif step in times:
                rows.append(_answer(model, batch, x, now))
            reason = _wrong(now, rows, step, last)
            if reason or last:
                break
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, CLIP)
            optimiser.step()
    # what was left early is what it was at the beginning
    rows = rows[:1] * len(times) if reason else rows + rows[:1] * (len(times) - len(rows))
    energy, forces, losses = zip(*rows)
    return Outcome(np.array(energy), np.stack(forces), np.array(losses), reason)


def _head_forces(model, head, batch, positions, create):
    """Forces [n, 3] of the prior head alone, in one backward pass where heads.both takes two."""
    x = positions.detach().requires_grad_()
    energy, features = model(batch, x)
    (gradient,) = torch.autograd.grad(energy.sum() + head(features).sum(), x, create_graph=create)
    return -gradient


def _answer(model, batch, positions, loss):
    energy, forces, _ = energy_and_forces(model, batch, positions)
    return float(energy.detach().sum()), forces.detach().double().numpy(), loss


def _wrong(loss, rows, step, last):
    """Why an adaptation has failed, empty if it has not; on the way the residual may rise."""
    if not (np.isfinite(loss) and np.isfinite(rows[-1][1]).all()):
        return f"not finite after {step} steps; the model's own prediction stands"
    if last and loss > DIVERGED * max(rows[0][2], 1e-3):
        return f"diverged, the prior residual is {loss:.3g} eV/Å after {step} steps; the model's own prediction stands"
    return ""


@dataclass
class Adapted:
    """What adapted models say of S structures at T recorded steps.

    rows: (energy [T] eV, forces [T, n, 3] eV/Å) of each, None where there is none; loss [T, S] eV/Å; reasons {number:
    why there is none, or why the model's own prediction stands}; seconds: spent by whichever job, `measured` as
    base.timing says; resumed: structures of a job that was killed.
    """

    rows: list[tuple[np.ndarray, np.ndarray] | None]
    loss: np.ndarray
    reasons: dict[int, str] = field(default_factory=dict)
    seconds: float = 0.0
    measured: str = ""
    resumed: int = 0


class _Kept(Kept):
    """Outcomes."""

    def to_arrays(self, rows: list[Outcome]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        arrays = {
            "energy": np.stack([row.energy for row in rows]),
            "forces": np.concatenate([row.forces for row in rows], axis=1),
            "loss": np.stack([row.loss for row in rows]),
        }
        return arrays, {"reasons": [row.reason for row in rows]}

    def from_arrays(self, arrays: dict[str, np.ndarray], notes: dict[str, Any], sizes: np.ndarray) -> list[Outcome]:
        forces = np.split(arrays["forces"], np.cumsum(sizes)[:-1], axis=1)
        return [Outcome(*row) for row in zip(arrays["energy"], forces, arrays["loss"], notes["reasons"])]


def placebo(frames: Frames, prior: Labels, seed: int) -> dict[int, np.ndarray]:
    """{number: prior forces [n, 3] of another structure}, see mitigate.units.placebo_units; some have none."""
    units, members = placebo_units(frames, prior, seed)
    return {member[0]: unit.forces[0] for unit, member in zip(units, members)}


def adapt_frames(
    model: Differentiable,
    head: PriorHead,
    frames: Frames,
    prior: Labels,
    asked: Sequence[int],
    settings: Settings,
    kept: Checkpoints,
    name: str,
    targets: Mapping[int, np.ndarray] | None = None,
) -> Adapted:
    """Adapt and predict the structures `asked`, by their numbers; prior: labels of `frames`.

    targets: {number: forces to adapt to}, those of the prior if absent; kept: where results are kept while the job
    runs, and taken from when it starts again. Failures of a structure have a reason and end nothing.
    """
    store = _Kept(frames, kept)
    out = Adapted([None] * len(frames), np.full((len(settings.checkpoints), len(frames)), np.nan))
    # equal sizes behind each other: TorchScript compiles for every new one
    for k in progress(sorted(asked, key=lambda k: (frames.sizes[k], k)), len(asked), name):
        if k in store.rows:
            continue
        if not prior.ok[k]:
            out.reasons[k] = "no prior label to adapt on"
        elif targets is not None and k not in targets:
            out.reasons[k] = "no foreign prior label to adapt on"
        else:
            target = None if targets is None else targets[k]
            try:
                found = adapt(model, head, Structure.of(frames, k), prior.forces_of(k), settings, target)
            except (RuntimeError, ValueError) as error:
                log.info("%s", frames.ids[k], exc_info=True)
                out.reasons[k] = f"{type(error).__name__}: {shortened(error)}"
                continue
            store.add((k, found))
    store.flush()
    for k, row in store.rows.items():
        if np.isfinite(row.forces).all():
            out.rows[k], out.loss[:, k] = (row.energy, row.forces), row.loss
        if row.reason or out.rows[k] is None:
            out.reasons[k] = row.reason or "the model's own forces are not finite"
    out.seconds, out.measured, out.resumed = store.seconds, store.measured, store.resumed
    return out
