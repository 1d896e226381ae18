"""Check and convert the input structures; test labels go into a store of their own."""

from pathlib import Path

from mlipshift import cli
from mlipshift.curate import curate
from mlipshift.tables import write_table


def main(args):
    train, test, failures = curate(args.settings)
    for (frames, labels), frames_path, labels_path in (
        (train, args.train, args.train_reference),
        (test, args.test, args.test_reference),
    ):
        frames.save(frames_path)
        labels.save(labels_path)
    if args.validation_reference:
        frames, labels = test
        labels.take(frames.of_kind("val_")).save(args.validation_reference)
    write_table(args.failures, failures, columns=["id", "stage", "reason"])
    cli.log.info("%d training, %d test structures, %d failures", len(train[0]), len(test[0]), len(failures))


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
            "validation_reference": {
                "type": Path,
                "required": False,
                "help": "reference labels of the validation groups alone, to write",
            },
            "failures": {"type": Path, "help": "CSV of structures that cannot be used, to write"},
        },
    )
