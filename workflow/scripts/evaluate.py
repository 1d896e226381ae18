"""Compare all predictions with the reference labels: the only rule that reads labels of held-out structures."""

from pathlib import Path

import numpy as np

from mlipshift.base.frames import Frames, Labels
from mlipshift.base.log import log
from mlipshift.base.tables import FAILURES, read_table, write_table
from mlipshift.evaluate import bins
from mlipshift.evaluate.errors import Errors
from mlipshift.evaluate.left_out import with_groups
from mlipshift.evaluate.tables import tables_of
from mlipshift.evaluate.weights import CORRECTION_WEIGHTS, correction_weights
from mlipshift.run import cli


def main(args):
    frames, train = Frames.load(args.frames), Frames.load(args.train)
    reference, prior = Labels.load(args.reference, frames), Labels.load(args.prior, frames)
    errors = Errors(frames, reference, prior, args.predictions, args.resamples, args.seed)
    axes = bins.shift_values(reference, Labels.load(args.train_reference, train), read_table(args.shifts))
    radii = {path.parent.name: read_table(path) for path in args.radii}
    tables = tables_of(errors, axes, radii, args.prior_calls)
    weights = correction_weights(errors, reference, args.predictions, args.correction_weight)
    tables["correction_weights"] = CORRECTION_WEIGHTS, weights
    for name, (columns, rows) in tables.items():
        write_table(args.output / f"{name}.csv", rows, columns)
    failures = [r for path in args.failures for r in read_table(path).to_dict("records")]
    failures += [
        {"id": frames.ids[k], "stage": "evaluate", "reason": "no reference forces"}
        for k in np.flatnonzero(~reference.ok)
    ]
    failures = with_groups(failures, dict(zip(frames.ids, frames.group)))
    write_table(args.output / "method_failures.csv", failures, FAILURES)
    for line in errors.missing():
        log.info("%s", line)
    for row in sorted(tables["frontier"][1], key=lambda r: r["mean_meV_per_A"]):
        log.info("%-24s %8.1f meV/Å on all held-out structures", row["method"], row["mean_meV_per_A"])


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "frames": {"type": Path, "help": "test frames"},
            "reference": {"type": Path, "help": "reference labels of the test frames"},
            "prior": {"type": Path, "help": "prior labels of the test frames"},
            "radii": {"type": Path, "nargs": "*", "help": "CSV of the refined radii, one per model"},
            "train": {"type": Path, "help": "training frames"},
            "train_reference": {"type": Path, "help": "reference labels of the training frames"},
            "shifts": {"type": Path, "help": "CSV of the shift measures"},
            "predictions": {"type": Path, "nargs": "+"},
            "failures": {"type": Path, "nargs": "+"},
            "prior_calls": {"type": cli.settings, "help": "JSON: prior calls per predicted structure of every method"},
            "correction_weight": {"type": float, "help": "weight with which models were corrected"},
            "resamples": {"type": int, "help": "bootstrap resamples"},
            "seed": {"type": int, "help": "bootstrap seed"},
            "output": {"type": Path, "help": "directory of the tables"},
        },
    )
