"""Compare fine-tuned models with the reference labels: error against the number of labels they learnt from."""

import json
from pathlib import Path

from mlipshift.base.frames import Frames, Labels
from mlipshift.base.predictions import Predictions
from mlipshift.base.tables import write_table
from mlipshift.evaluate import finetuning
from mlipshift.run import cli


def main(args):
    frames = Frames.load(args.frames)
    reference = Labels.load(args.reference, frames)
    reports = {path.parent: json.loads(path.read_text(encoding="utf-8")) for path in args.courses}
    runs = [
        finetuning.run_of(reports[path.parent], path.stem, Predictions.load(path, frames), frames, reference)
        for path in args.predictions
    ]
    curves = finetuning.curves(runs, frames, args.resamples, args.seed)
    write_table(args.finetuning, finetuning.rows(runs, frames), finetuning.FINETUNING)
    write_table(args.curves, curves, finetuning.CURVES)
    write_table(args.needed, finetuning.needed(curves, args.target), finetuning.NEEDED)


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "frames": {"type": Path, "help": "test frames"},
            "reference": {"type": Path, "help": "reference labels of the test frames"},
            "predictions": {"type": Path, "nargs": "+", "help": "of the fine-tuned models"},
            "courses": {"type": Path, "nargs": "+", "help": "JSON of rule finetune, beside the predictions"},
            "target": {"type": float, "help": "error that counts as reached, meV/Å"},
            "resamples": {"type": int, "help": "bootstrap resamples"},
            "seed": {"type": int, "help": "bootstrap seed"},
            "finetuning": {"type": Path, "help": "table of every model, to write"},
            "curves": {"type": Path, "help": "table of means over seeds, to write"},
            "needed": {"type": Path, "help": "table of the labels that reach the target, to write"},
        },
    )
