"""Pseudo-labels: what teachers say of structures with prior labels; reference labels are no input."""

from pathlib import Path

from mlipshift.base.frames import Frames, Labels
from mlipshift.learn import device
from mlipshift.learn.potential import Potential
from mlipshift.mitigate.distillation import pseudo_labels
from mlipshift.run import cli


def main(args):
    device.configure(device=args.device)
    frames = Frames.load(args.frames)
    teachers = [Potential.load(path, args.device) for path in args.models]
    pseudo_labels(teachers, frames, Labels.load(args.prior, frames), args.weight).save(args.output)


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "models": {"type": Path, "nargs": "+", "help": "directories of the teachers, whose mean is taken"},
            "frames": {"type": Path, "help": "frames to label"},
            "prior": {"type": Path, "help": "prior labels of --frames"},
            "weight": {"type": float, "default": 1.0, "required": False, "help": "of the residual correction"},
            "device": device.OPTION,
            "output": {"type": Path, "help": "labels to write"},
        },
    )
