"""Predictions of the test structures at every candidate radius, the trained one first."""

from pathlib import Path

from mlipshift.base.frames import Frames, Labels
from mlipshift.base.timing import Stopwatch
from mlipshift.learn import device
from mlipshift.learn.networks import ENVELOPES
from mlipshift.learn.potential import Potential
from mlipshift.mitigate import scans
from mlipshift.run import cli


def main(args):
    device.configure(device=args.device)
    frames = Frames.load(args.frames)
    potential = Potential.load(args.model, args.device)
    prior = Labels.load(args.prior, frames)
    potential.warm_up(frames)
    found = scans.scan(potential, frames, [args.cutoff, *args.radii], args.envelope, args.method, prior)
    found.save(args.output)
    # what a prediction costs at the radius of the model
    watch = Stopwatch()
    potential.predict(frames, None, [args.cutoff] * len(frames), args.envelope)
    watch.timing(len(frames)).write(args.timing)


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "model": {"type": Path, "help": "model directory"},
            "device": device.OPTION,
            "frames": {"type": Path, "help": "test frames, without labels"},
            "prior": {"type": Path, "help": "prior labels of the test frames"},
            "cutoff": {"type": float, "help": "radius of the model as it is (Å)"},
            "radii": {"type": float, "nargs": "+", "help": "candidate radii (Å)"},
            "envelope": {"choices": ENVELOPES, "help": "where the envelope reaches zero"},
            "method": {"help": "name of the method"},
            "output": {"type": Path, "help": "predictions, a step per radius"},
            "timing": {"type": Path},
        },
    )
