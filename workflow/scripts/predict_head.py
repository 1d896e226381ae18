"""Predict the prior with the head of a model, which is what a residual correction compares with the prior itself."""

from pathlib import Path

import numpy as np

from mlipshift.base.errors import shortened
from mlipshift.base.frames import Frames
from mlipshift.base.log import log, progress
from mlipshift.base.predictions import Predictions
from mlipshift.base.tables import read_table
from mlipshift.base.timing import Stopwatch
from mlipshift.external import differentiable, heads
from mlipshift.external.structure import Structure
from mlipshift.run import cli


def answers(model, head, structures):
    """(energy [1] eV, forces [1, n, 3] eV/Å) of the head for structures of one batch."""
    found = heads.both(model, head, structures)
    ends = np.cumsum([len(s.numbers) for s in structures])[:-1]
    split = np.split(found.head_forces.detach().double().numpy(), ends)
    return [([float(e)], f[None]) for e, f in zip(found.head_energy, split)]


def main(args):
    frames = Frames.load(args.frames)
    excluded = set(read_table(args.excluded)["id"])
    model = differentiable.load(args.entry, args.checkpoint)
    head = heads.PriorHead.load(args.head)
    rows: list = [None] * len(frames)
    asked = [k for k in range(len(frames)) if frames.ids[k] not in excluded and not frames.pbc[k].any()]
    asked.sort(key=lambda k: frames.sizes[k])
    watch = Stopwatch()
    parts = [asked[k : k + heads.BATCH] for k in range(0, len(asked), heads.BATCH)]
    for part in progress(parts, len(parts), f"{args.model}, prior head"):
        try:
            for k, row in zip(part, answers(model, head, [Structure.of(frames, k) for k in part])):
                rows[k] = row
        except (RuntimeError, ValueError):  # one of them; which one is asked one by one
            for k in part:
                try:
                    rows[k] = answers(model, head, [Structure.of(frames, k)])[0]
                except (RuntimeError, ValueError) as error:
                    log.info("%s: %s", frames.ids[k], shortened(error))
    rows = [row if row is not None and np.isfinite(row[1]).all() else None for row in rows]
    watch.timing(len(asked)).write(args.timing)
    Predictions.build(frames, rows, [0], np.nan, f"{args.model}_head", -1).save(args.output)


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "model": {"help": "name in the registry"},
            "entry": {"type": cli.settings, "help": "entry of the registry as JSON"},
            "checkpoint": {"type": Path, "required": False, "help": "weights, where the package carries none"},
            "frames": {"type": Path, "help": "structures, without labels"},
            "excluded": {"type": Path, "help": "table of the structures that the model cannot take"},
            "head": {"type": Path, "help": "weights of the head, by fit_head"},
            "output": {"type": Path},
            "timing": {"type": Path},
        },
    )
