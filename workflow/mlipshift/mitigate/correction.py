"""Residual correction: the reference head, plus what the prior head lacks to the prior label of the structure.

The two heads share a representation, so that where it fails both err alike; the error of the prior head is known for
the price of the prior label that test-time training (Kreiman & Krishnapriyan 2026, section 3.2) needs as well. It is a
control variate: no gradient step, and with one weight for all structures forces stay the gradient of an energy.
"""

from collections.abc import Sequence

import numpy as np

from mlipshift.base.errors import UserError
from mlipshift.base.frames import Frames, Labels
from mlipshift.base.predictions import Predictions
from mlipshift.catalogue.strategies import HEADS
from mlipshift.learn import networks
from mlipshift.learn.potential import Potential


def correct(potential: Potential, frames: Frames, prior: Labels, weight: float = 1.0) -> Predictions:
    """Predictions E + weight (E_prior − E_head) of all frames, and forces likewise; missing without a prior label.

    prior: labels of `frames`; weight: 0 is the model as it is, 1 takes the whole residual. `loss` is the mean absolute
    residual of the forces (eV/Å). Raises UserError for a model of which not both heads have learnt.
    """
    if not set(HEADS) <= potential.strategy.learnt or potential.needs_prior:
        raise UserError(
            f"{potential.name}: a residual correction needs a reference and a prior head; take freeze or joint"
        )
    structures = [frames[k][:2] for k in range(len(frames))]
    base = potential.predict(frames, prior)
    head = networks.predict(potential.network, structures, head="prior")
    baseline = potential.network.baseline("prior", frames.numbers, frames.sizes)
    rows, loss = [], np.full((1, len(frames)), np.nan)
    for k, (own, said) in enumerate(zip(base, head)):
        if own is None or not prior.ok[k]:
            rows.append(None)
            continue
        residual = prior.energy[k] - said[0] - baseline[k], prior.forces_of(k) - said[1]
        loss[0, k] = np.abs(residual[1]).mean()
        rows.append(([own[0] + weight * residual[0]], (own[1] + weight * residual[1])[None]))
    return potential.results(frames, rows, [0], f"{potential.card['strategy']}_corrected", loss=loss)


def mean(members: Sequence[Predictions], frames: Frames, method: str) -> Predictions:
    """Mean of the last predictions of several methods, missing where one of them is.

    members: of `frames`, all of one seed. Raises UserError if seeds differ.
    """
    if len({one.seed for one in members}) != 1:
        raise UserError(f"{method}: its members have the seeds {sorted({one.seed for one in members})}; take one")
    rows: list[tuple | None] = []
    for k in range(len(frames)):
        atoms = slice(frames.offsets[k], frames.offsets[k + 1])
        known = all(one.ok[k] for one in members)
        energy, forces = ([one.energy[-1, k] for one in members], [one.forces[-1, atoms] for one in members])
        rows.append((np.mean(energy, keepdims=True), np.mean(forces, axis=0)[None]) if known else None)
    return Predictions.build(
        frames, rows, [0], np.min([one.cutoff for one in members], axis=0), method, members[0].seed
    )
