"""What a model says at many radii, so that any rule of radii is but a look at it.

A scan is stored as Predictions whose steps are the numbers of the radii, the trained radius first; its loss is the
force error of the prior head at every radius, where there is one, which a choice may look at: it knows no reference
label.
"""

from collections.abc import Sequence

import numpy as np

from mlipshift.base.averages import mean_norm
from mlipshift.base.frames import Frames, Labels
from mlipshift.base.predictions import Predictions
from mlipshift.learn import networks
from mlipshift.learn.potential import Potential


def scan(
    potential: Potential,
    frames: Frames,
    radii: Sequence[float],
    envelope: str,
    method: str,
    prior: Labels | None = None,
) -> Predictions:
    """Predictions at radii [T] (Å), of which the first is that of the model as it is.

    envelope: of networks.ENVELOPES; prior: labels of `frames`, of which Δ-learning needs all, and which a model with a
    prior head is compared with. Raises UserError as Potential.predict.
    """
    rows, loss = [], np.full((len(radii), len(frames)), np.nan)
    known = prior.select(frames.ids) if prior is not None and "prior" in potential.strategy.learnt else None
    structures = [frames[k][:2] for k in range(len(frames))]
    for t, radius in enumerate(radii):
        cutoffs = [radius] * len(frames)
        rows.append(potential.predict(frames, prior, cutoffs, envelope))
        if known is not None:
            said = networks.predict(potential.network, structures, cutoffs, envelope, head="prior")
            own = Labels.build(frames, said, "prior head")
            loss[t] = mean_norm(own.forces - known.forces, frames.offsets)
    whole = [
        None if any(row is None for row in of) else (np.array([r[0] for r in of]), np.stack([r[1] for r in of]))
        for of in zip(*rows)
    ]
    return potential.results(frames, whole, range(len(radii)), method, [radii[0]] * len(frames), loss)
