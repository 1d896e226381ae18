"""Add rattled copies to structures, for the prior to label; no reference label is needed."""

from pathlib import Path

import numpy as np

from mlipshift import cli, priors
from mlipshift.frames import Frames


def first_geometries(frames, count):
    """Numbers of the first `count` structures of every molecule within its group."""
    seen, chosen = {}, []
    for k, key in enumerate(zip(frames.group, frames.molecule)):
        seen[key] = seen.get(key, 0) + 1
        if seen[key] <= count:
            chosen.append(k)
    return chosen


def main(args):
    frames = Frames.load(args.frames).molecules_only(priors.MOLECULES_ONLY)
    if args.first:
        frames = frames.take(first_geometries(frames, args.first))
    rows = []
    for k in range(len(frames)):
        numbers, positions, charge, multiplicity = frames[k]
        rng = np.random.default_rng([args.seed, k])
        for copy in range(args.copies + 1):
            noise = args.sigma * rng.normal(size=positions.shape) if copy else 0.0
            rows.append(
                {
                    "id": frames.ids[k] + (f"~rattled{copy}" if copy else ""),
                    "group": frames.group[k],
                    "molecule": frames.molecule[k],
                    "numbers": numbers,
                    "positions": positions + noise,
                    "charge": charge,
                    "multiplicity": multiplicity,
                }
            )
    Frames.build(rows).save(args.output)
    cli.log.info("%d structures and %d rattled copies each", len(frames), args.copies)


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "frames": {"type": Path, "help": "frames to start from"},
            "output": {"type": Path, "help": "frames, each followed by its rattled copies"},
            "copies": {"type": int, "help": "rattled copies per structure"},
            "sigma": {"type": float, "help": "standard deviation of the displacement (Å)"},
            "seed": {"type": int},
            "first": {"type": int, "default": 0, "required": False, "help": "take this many of every molecule; 0: all"},
        },
    )
