"""Add rattled copies to structures, for the prior to label; no reference label is needed."""

from pathlib import Path

import numpy as np

from mlipshift.base.frames import Frames
from mlipshift.base.limits import MOLECULES_ONLY
from mlipshift.base.log import log
from mlipshift.data import augmentation
from mlipshift.run import cli


def main(args):
    frames = Frames.concatenate([Frames.load(path) for path in args.frames]).molecules_only(MOLECULES_ONLY)
    if args.groups:
        frames = frames.take(np.isin(frames.group.astype(str), args.groups))
    if args.pool:
        frames = frames.take(augmentation.pool(frames, args.pool))
    augmentation.rattled(frames, args.copies, args.sigma, args.seed).save(args.output)
    log.info("%d structures and %d rattled copies each", len(frames), args.copies)


if __name__ == "__main__":
    count = {"type": int, "default": 0, "required": False}
    cli.run(
        main,
        __doc__,
        {
            "frames": {"type": Path, "nargs": "+", "help": "frames to start from"},
            "output": {"type": Path, "help": "frames, each followed by its rattled copies"},
            "copies": {"type": int, "help": "rattled copies per structure"},
            "sigma": {"type": float, "help": "standard deviation of the displacement (Å)"},
            "seed": {"type": int},
            "groups": {"nargs": "*", "required": False, "help": "take these groups only"},
            "pool": {**count, "help": "take the first half of every molecule, this many at most; 0: all"},
        },
    )
