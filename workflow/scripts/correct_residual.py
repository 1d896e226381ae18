"""Correct a model by what its prior head lacks to the prior labels of the test structures; no reference label is read.

The placebo takes the foreign labels that the placebo of test-time training takes, and leaves out the validation groups.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from mlipshift.base.frames import Frames, Labels
from mlipshift.base.tables import FAILURES, write_table
from mlipshift.base.timing import Stopwatch
from mlipshift.catalogue.adaptation import CORRECTIONS
from mlipshift.learn import device
from mlipshift.learn.potential import Potential
from mlipshift.mitigate.correction import correct
from mlipshift.mitigate.units import foreign
from mlipshift.run import cli


def main(args):
    device.configure(device=args.device)
    frames = Frames.load(args.frames)
    prior, asked = Labels.load(args.prior, frames), ~frames.of_kind("val_")
    if args.mode == "placebo":
        prior = foreign(frames, replace(prior, ok=prior.ok & asked), args.seed)
    potential = Potential.load(args.model, args.device)
    potential.warm_up(frames)
    watch = Stopwatch()
    predictions = correct(potential, frames, prior, args.weight, args.mode)
    timing = watch.timing(len(frames))
    predictions.save(args.output)
    failures = [
        {"id": frames.ids[k], "stage": f"correct:{args.mode}", "reason": "no prior label to correct by"}
        for k in np.flatnonzero(asked & ~predictions.ok)
    ]
    write_table(args.failures, failures, FAILURES)
    timing.write(args.timing)


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "model": {"type": Path, "help": "model directory, of a model with two heads"},
            "device": device.OPTION,
            "frames": {"type": Path, "help": "test frames, without labels"},
            "prior": {"type": Path, "help": "prior labels of the test frames"},
            "mode": {"choices": CORRECTIONS, "help": "structure: by the own label of each; placebo: by a foreign one"},
            "weight": {"type": float, "help": "share of the residual that is taken"},
            "seed": {"type": int, "help": "seed of the placebo's choice"},
            "output": {"type": Path},
            "failures": {"type": Path},
            "timing": {"type": Path},
        },
    )
