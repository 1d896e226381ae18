"""An adaptation of many structures in several jobs: which units a job takes, and their predictions put together."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mlipshift.base.errors import UserError
from mlipshift.base.frames import Frames
from mlipshift.base.predictions import Predictions
from mlipshift.base.text import shard_of
from mlipshift.mitigate.units import Units


def part_of(units: Units, shard: str) -> Units:
    """Units of a shard such as 1-of-4, the first and every fourth after it; a unit is never divided."""
    number, total = shard_of(shard)
    every = slice(number - 1, None, total)
    return units[0][every], units[1][every]


def joined(parts: Sequence[Predictions]) -> Predictions:
    """Predictions of all shards as one; each has those of its own structures and misses all others.

    Raises UserError for shards of different frames, methods, seeds or steps, and for structures that two of them have.
    """
    first = parts[0]
    about = {(p.method, p.seed, tuple(p.steps), tuple(p.ids.astype(str))) for p in parts}
    if len(about) > 1 or np.sum([p.ok for p in parts], axis=0).max(initial=0) > 1:
        raise UserError(f"shards of {first.method} do not belong together; delete them and run again")
    whole = replace(first, **{name: getattr(first, name).copy() for name in ("energy", "forces", "loss", "ok")})
    for part in parts[1:]:
        atoms = np.repeat(part.ok, np.diff(part.offsets))
        whole.energy[:, part.ok], whole.loss[:, part.ok] = part.energy[:, part.ok], part.loss[:, part.ok]
        whole.forces[:, atoms] = part.forces[:, atoms]
        whole.ok[part.ok] = True
    return whole


def unlabelled(frames: Frames, predictions: Predictions, mode: str) -> list[dict[str, str]]:
    """Rows of the table of failures: test structures, but for validation groups, that no unit has predicted."""
    missing = ~frames.of_kind("val_") & ~predictions.ok
    reason = {"stage": f"adapt:{mode}", "reason": "no prior label to adapt on"}
    return [{"id": frames.ids[k], **reason} for k in np.flatnonzero(missing)]
