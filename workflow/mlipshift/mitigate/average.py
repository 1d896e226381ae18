"""The mean of the predictions of several methods, of which each errs in its own way; no further prior call."""

from collections.abc import Sequence

import numpy as np

from mlipshift.base.errors import UserError
from mlipshift.base.frames import Frames
from mlipshift.base.predictions import Predictions


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
