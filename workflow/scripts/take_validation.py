"""Take the structures of the validation groups and their labels; no label of another group is passed on."""

from pathlib import Path

from mlipshift.base.frames import Frames, Labels
from mlipshift.run import cli


def main(args):
    frames = Frames.load(args.frames)
    chosen = frames.of_kind("val_")
    frames.take(chosen).save(args.output)
    Labels.load(args.reference, frames).take(chosen).save(args.labels)


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "frames": {"type": Path, "help": "test frames"},
            "reference": {"type": Path, "help": "their reference labels"},
            "output": {"type": Path, "help": "frames of the validation groups"},
            "labels": {"type": Path, "help": "their labels"},
        },
    )
