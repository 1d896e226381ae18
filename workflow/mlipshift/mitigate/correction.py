"""Residual correction: the reference head, plus what the prior head lacks to the prior label of the structure.

The two heads share a representation, so that where it fails both err alike; the error of the prior head is known for
the price of the prior label that test-time training (Kreiman & Krishnapriyan 2026, section 3.2) needs as well. It is a
control variate: no gradient step, and with one weight for all structures the forces are the gradient of an energy
wherever those of network and prior are.
"""

from collections.abc import Sequence

import numpy as np

from mlipshift.base.errors import UserError
from mlipshift.base.frames import Frames, Labels
from mlipshift.base.predictions import Predictions
from mlipshift.catalogue.adaptation import CORRECTIONS
from mlipshift.catalogue.strategies import HEADS
from mlipshift.learn import networks
from mlipshift.learn.potential import Potential, Row


def correct(
    potential: Potential, frames: Frames, prior: Labels, weight: float = 1.0, mode: str = "structure"
) -> Predictions:
    """Predictions E + weight (E_prior − E_head) of all frames, and forces likewise; missing without a prior label.

    prior: labels of `frames`; weight: 0 is the model as it is, 1 takes the whole residual; mode: of CORRECTIONS,
    whose labels these are, which names the method. `loss` is the mean absolute residual of the forces
    (eV/Å). Raises UserError for a model of which not both heads have learnt, and for a weight below 0.
    """
    if not set(HEADS) <= potential.strategy.learnt or potential.needs_prior:
        raise UserError(
            f"{potential.name}: a residual correction needs a reference and a prior head; take freeze or joint"
        )
    if not weight >= 0:
        raise UserError(f"correction.weight is {weight}; give a number of at least 0")
    base = potential.predict(frames)
    structures = [frames[k][:2] for k in range(len(frames))]
    head = networks.predict(potential.network, structures, head="prior")
    baseline = potential.network.baseline("prior", frames.numbers, frames.sizes)
    rows: list[Row | None] = []
    loss = np.full((1, len(frames)), np.nan)
    for k, (own, said) in enumerate(zip(base, head)):
        if own is None or not prior.ok[k]:
            rows.append(None)
            continue
        residual = prior.energy[k] - said[0] - baseline[k], prior.forces_of(k) - said[1]
        loss[0, k] = np.abs(residual[1]).mean()
        rows.append(([own[0] + weight * residual[0]], (own[1] + weight * residual[1])[None]))
    return potential.results(frames, rows, [0], f"{potential.card['strategy']}_{CORRECTIONS[mode]}", loss=loss)


def with_prior(
    potential: Potential, frames: Frames, rows: Sequence[Row | None], prior: Labels | None
) -> list[Row | None]:
    """Complete the corrected predictions of an adapted model, with the whole residual; None without a prior label.

    rows: of `frames`, per structure (energies [T] eV, forces [T, n, 3] eV/Å) from which what the prior head says is
    taken already, its atomic baseline apart; prior: labels of `frames`. Raises UserError without labels.
    """
    if prior is None:
        raise UserError(f"{potential.name}: a corrected prediction needs its prior label; give prior labels")
    baseline = potential.network.baseline("prior", frames.numbers, frames.sizes)
    return [
        row and (row[0] - baseline[k] + prior.energy[k], row[1] + prior.forces_of(k)) if prior.ok[k] else None
        for k, row in enumerate(rows)
    ]
