"""Check and convert the input structures; test labels go into a store of their own."""

from contextlib import ExitStack
from pathlib import Path

from mlipshift.base.frames import Frames, Labels
from mlipshift.base.log import log
from mlipshift.base.tables import FAILURES, write_table
from mlipshift.data.curation import curate
from mlipshift.run import cli


def main(args):
    failures, count = [], {"train": 0, "test": 0, "unlabelled": 0}
    with ExitStack() as stores:
        frames = {
            "train": stores.enter_context(Frames.writer(args.train)),
            "test": stores.enter_context(Frames.writer(args.test)),
        }
        if args.unlabelled:
            frames["unlabelled"] = stores.enter_context(Frames.writer(args.unlabelled))
        labels = {
            "train": stores.enter_context(Labels.writer(args.train_reference, "reference")),
            "test": stores.enter_context(Labels.writer(args.test_reference, "reference")),
        }
        validation = None
        if args.validation_reference:
            validation = stores.enter_context(Labels.writer(args.validation_reference, "reference"))
        for row, label in curate(args.settings, failures):
            kind = row["group"] if row["group"] in ("train", "unlabelled") else "test"
            count[kind] += 1
            if kind == "unlabelled":
                # a reference label that a file may hold goes nowhere
                if args.unlabelled:
                    frames[kind](row)
                continue
            frames[kind](row)
            labels[kind]((row, label))
            if validation and row["group"].startswith("val_"):
                validation((row, label))
    write_table(args.failures, failures, FAILURES)
    log.info("%d training, %d test, %d unlabelled structures, %d failures", *count.values(), len(failures))


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "settings": {"type": cli.settings, "help": "JSON: section data of the configuration"},
            "train": {"type": Path, "help": "training frames to write"},
            "train_reference": {"type": Path, "help": "reference labels of the training frames to write"},
            "test": {"type": Path, "help": "frames of all other groups to write"},
            "test_reference": {"type": Path, "help": "reference labels of the test frames to write"},
            "unlabelled": {"type": Path, "required": False, "help": "frames of the group unlabelled to write"},
            "validation_reference": {
                "type": Path,
                "required": False,
                "help": "reference labels of the validation groups alone, to write",
            },
            "failures": {"type": Path, "help": "CSV of structures that cannot be used, to write"},
        },
    )
