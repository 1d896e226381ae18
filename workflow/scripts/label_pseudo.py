"""Pseudo-labels: what a Δ-learning model says of structures with prior labels; reference labels are no input."""

from pathlib import Path

from mlipshift.base.frames import Frames, Labels
from mlipshift.learn import device
from mlipshift.learn.potential import Potential
from mlipshift.mitigate.distillation import pseudo_labels
from mlipshift.run import cli


def main(args):
    device.configure(device=args.device)
    frames = Frames.load(args.frames)
    prior = Labels.load(args.prior, frames)
    pseudo_labels(Potential.load(args.model, args.device), frames, prior).save(args.output)


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "model": {"type": Path, "help": "directory of a Δ-learning model"},
            "frames": {"type": Path, "help": "frames to label"},
            "prior": {"type": Path, "help": "prior labels of --frames"},
            "device": device.OPTION,
            "output": {"type": Path, "help": "labels to write"},
        },
    )
