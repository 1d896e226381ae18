"""Diagnose one model: its error against every measure of shift, and a map of its own representation.

What has no reference label is diagnosed as far as that goes; diagnosis.json says in plain words what is missing.
"""

import json
from pathlib import Path

from mlipshift.base.files import replacing
from mlipshift.base.frames import Frames, Labels
from mlipshift.base.log import log
from mlipshift.base.predictions import Predictions
from mlipshift.base.tables import write_table
from mlipshift.evaluate.diagnosed import Diagnosed, representation
from mlipshift.run import cli


def main(args):
    frames = (Frames.load(args.train), Frames.load(args.test))
    pair = lambda load, *paths: tuple(load(path, own) for path, own in zip(paths, frames))
    found = Diagnosed.of(
        frames,
        pair(Labels.load, args.reference_train, args.reference_test),
        pair(Predictions.load, args.predictions_train, args.predictions_test),
        args.shifts,
        pair(representation, args.embedding_train, args.embedding_test),
    )
    for name, (columns, rows) in found.tables(args.sigma, args.resamples, args.seed).items():
        write_table(args.output / f"{name}.csv", rows, columns)
    summary = found.summary(args.model)
    for line in summary["missing"]:
        log.info("%s: %s", args.model, line)
    with replacing(args.output / "diagnosis.json") as part:
        part.write_text(json.dumps(summary, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    optional = {"type": Path, "required": False}
    cli.run(
        main,
        __doc__,
        {
            "model": {"help": "name of the model"},
            "train": {"type": Path, "help": "training frames"},
            "test": {"type": Path, "help": "test frames"},
            "reference_train": {"type": Path, "help": "reference labels of the training frames, as far as there are"},
            "reference_test": {"type": Path, "help": "reference labels of the test frames, as far as there are"},
            "predictions_train": {"type": Path, "help": "the model's predictions of the training frames"},
            "predictions_test": {"type": Path, "help": "the model's predictions of the test frames"},
            "embedding_train": {**optional, "help": "HDF5 with the model's representation of the training frames"},
            "embedding_test": {**optional, "help": "HDF5 with the model's representation of the test frames"},
            "shifts": {"type": Path, "help": "CSV of the shift measures of all frames"},
            "sigma": {"type": float, "help": "outside beyond this many training standard deviations"},
            "resamples": {"type": int, "help": "bootstrap resamples"},
            "seed": {"type": int, "help": "seed of the bootstrap"},
            "output": {"type": Path, "help": "folder of the tables and diagnosis.json"},
        },
    )
