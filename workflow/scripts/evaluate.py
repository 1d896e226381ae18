"""Compare all predictions with the reference labels: the only rule that reads labels of held-out structures."""

from pathlib import Path

import numpy as np

from mlipshift.base.frames import Frames, Labels
from mlipshift.base.log import log
from mlipshift.base.tables import read_table, write_table
from mlipshift.evaluate import comparisons
from mlipshift.run import cli


def main(args):
    frames, train = Frames.load(args.frames), Frames.load(args.train)
    reference, prior = Labels.load(args.reference, frames), Labels.load(args.prior, frames)
    errors = comparisons.Errors(frames, reference, prior, args.predictions, args.resamples, args.seed)
    axes = comparisons.shift_values(
        errors, reference, Labels.load(args.train_reference, train), read_table(args.shifts)
    )
    summary = comparisons.summary(errors)
    failures = [r for path in args.failures for r in read_table(path).to_dict("records")]
    failures += [
        {"id": frames.ids[k], "stage": "evaluate", "reason": "no reference label"}
        for k in np.flatnonzero(~reference.ok)
    ]
    tables = {
        "per_structure": comparisons.per_structure(errors),
        "summary": summary,
        "paired": comparisons.paired(errors),
        "bins": comparisons.bins(errors, axes),
        "training_density": comparisons.training_density(axes),
        "error_bins": comparisons.error_bins(errors),
        "steps": comparisons.steps(errors),
        "shift_axes": comparisons.shift_axes(summary),
        "frontier": comparisons.frontier(errors, summary),
        "gains": comparisons.gains(errors),
        "gain_correlation": comparisons.gain_correlation(errors),
        "refinement": comparisons.refinement(errors, {p.parent.name: read_table(p) for p in args.radii}),
    }
    # no model may be refined, and none adapted
    columns = {
        "refinement": comparisons.REFINEMENT,
        "gains": comparisons.GAINS,
        "gain_correlation": comparisons.GAIN_CORRELATION,
    }
    for name, rows in tables.items():
        write_table(args.output / f"{name}.csv", rows, columns.get(name))
    write_table(args.output / "failures.csv", failures, columns=["id", "stage", "reason"])
    for row in sorted(tables["frontier"], key=lambda r: r["mean_meV_per_A"]):
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
            "resamples": {"type": int, "help": "bootstrap resamples"},
            "seed": {"type": int, "help": "bootstrap seed"},
            "output": {"type": Path, "help": "directory of the tables"},
        },
    )
