"""Predict the prior with the head of a model, which is what a residual correction compares with the prior itself."""

from pathlib import Path

import numpy as np

from mlipshift.base.frames import Frames
from mlipshift.base.log import log
from mlipshift.base.predictions import Predictions
from mlipshift.base.tables import read_table
from mlipshift.base.timing import Stopwatch
from mlipshift.external import differentiable, heads, tuning
from mlipshift.external.batch import per_structure
from mlipshift.external.picks import usable
from mlipshift.external.structure import Structure
from mlipshift.run import cli


def main(args):
    frames = Frames.load(args.frames)
    excluded = set(read_table(args.excluded)["id"])
    model = differentiable.load(args.entry, args.checkpoint)
    head = heads.PriorHead.load(args.head)

    def answer(structures):
        found = heads.both(model, head, structures)
        return per_structure(found.head_energy, found.head_forces, structures)

    asked = {k: Structure.of(frames, k) for k in np.flatnonzero(usable(frames, excluded)).tolist()}
    watch = Stopwatch()
    found, reasons = tuning.in_parts(answer, asked, f"{args.model}, prior head")
    for k, reason in reasons.items():
        log.info("%s: %s", frames.ids[k], reason)
    rows = [([found[k][0]], found[k][1][None]) if k in found else None for k in range(len(frames))]
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
