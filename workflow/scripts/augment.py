"""Add rattled copies of the training structures, which only the prior labels (no reference label is needed)."""

from pathlib import Path

import numpy as np

from mlipshift import cli
from mlipshift.frames import Frames


def main(args):
    frames = Frames.load(args.frames)
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
            "frames": {"type": Path, "help": "training frames"},
            "output": {"type": Path, "help": "frames with their rattled copies"},
            "copies": {"type": int, "help": "rattled copies per structure"},
            "sigma": {"type": float, "help": "standard deviation of the displacement (Å)"},
            "seed": {"type": int},
        },
    )
