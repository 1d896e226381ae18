"""Correct a model by the residual of its prior head, alone and in the mean with Δ-learning; no reference label is read."""

from pathlib import Path

import numpy as np

from mlipshift.base.frames import Frames, Labels
from mlipshift.base.predictions import Predictions
from mlipshift.base.tables import FAILURES, write_table
from mlipshift.base.timing import Stopwatch, Timing
from mlipshift.learn import device
from mlipshift.learn.potential import Potential
from mlipshift.mitigate.correction import correct, mean
from mlipshift.run import cli


def main(args):
    device.configure(device=args.device)
    frames = Frames.load(args.frames)
    prior = Labels.load(args.prior, frames)
    potential = Potential.load(args.model, args.device)
    potential.warm_up(frames)
    watch = Stopwatch()
    corrected = correct(potential, frames, prior, args.weight)
    timing = watch.timing(len(frames))
    corrected.save(args.output)
    timing.write(args.timing)
    if args.delta:
        mean([corrected, Predictions.load(args.delta, frames)], frames, f"{corrected.method}_delta").save(args.mean)
        other = Timing.read(args.delta_timing)
        Timing(timing.seconds + other.seconds, len(frames), timing.measured).write(args.mean_timing)
    failures = [
        {"id": frames.ids[k], "stage": "correct", "reason": "no prior label to correct by"}
        for k in np.flatnonzero(~corrected.ok & ~frames.of_kind("val_"))
    ]
    write_table(args.failures, failures, FAILURES)


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "model": {"type": Path, "help": "model directory, of a model with two heads"},
            "device": device.OPTION,
            "frames": {"type": Path, "help": "test frames, without labels"},
            "prior": {"type": Path, "help": "prior labels of the test frames"},
            "weight": {"type": float, "help": "share of the residual that is taken"},
            "delta": {"type": Path, "required": False, "help": "predictions of Δ-learning, for the mean of both"},
            "delta_timing": {"type": Path, "required": False, "help": "timing of --delta"},
            "output": {"type": Path},
            "mean": {"type": Path, "required": False, "help": "output: the mean with --delta"},
            "failures": {"type": Path},
            "timing": {"type": Path},
            "mean_timing": {"type": Path, "required": False},
        },
    )
