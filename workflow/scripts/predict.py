"""Predict the test structures with a trained model as it is, without adaptation."""

from pathlib import Path

from mlipshift.base.frames import Frames, Labels
from mlipshift.base.timing import Stopwatch
from mlipshift.learn import device
from mlipshift.learn.potential import Potential
from mlipshift.run import cli


def main(args):
    device.configure(device=args.device)
    frames = Frames.load(args.frames)
    prior = Labels.load(args.prior, frames) if args.prior else None
    potential = Potential.load(args.model, args.device)
    potential.warm_up(frames, prior)
    watch = Stopwatch()
    predictions = potential.predictions(frames, prior)
    timing = watch.timing(len(frames))
    predictions.save(args.output)
    timing.write(args.timing)


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "model": {"type": Path, "help": "model directory"},
            "device": device.OPTION,
            "frames": {"type": Path, "help": "test frames, without labels"},
            "prior": {"type": Path, "required": False, "help": "prior labels, for Δ-learning only"},
            "output": {"type": Path},
            "timing": {"type": Path},
        },
    )
