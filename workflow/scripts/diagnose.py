"""Measure how far every structure lies from the training set on the three shift axes, without reference labels."""

from pathlib import Path

import numpy as np

from mlipshift import cli, shifts
from mlipshift.frames import Frames, Labels
from mlipshift.tables import write_table


def main(args):
    train, test = Frames.load(args.train), Frames.load(args.test)
    prior_train = Labels.load(args.prior_train).select(train.ids)
    prior_test = Labels.load(args.prior_test, test)
    measures = shifts.measure(train, test, prior_train, prior_test, args.cutoff, args.variant)
    rows, counts = [], []
    for part, frames in enumerate((train, test)):
        for k in range(len(frames)):
            rows.append(
                {"id": frames.ids[k], "group": frames.group[k], "molecule": frames.molecule[k]}
                | {name: values[part][k] for name, values in measures.items()}
            )
    for name, (known, values) in measures.items():
        axis, side = shifts.CRITERIA[name]
        for group in ("train", *dict.fromkeys(test.group)):
            chosen = known if group == "train" else values[test.group == group]
            counts.append(
                {
                    "axis": axis,
                    "criterion": name,
                    "group": group,
                    "n_structures": len(chosen),
                    "mean": np.nanmean(chosen),
                    "training_mean": np.nanmean(known),
                    "training_standard_deviation": np.nanstd(known),
                    "fraction_outside": shifts.outside(known, chosen, side, args.sigma).mean(),
                }
            )
    write_table(args.output, rows)
    write_table(args.summary, counts)


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "train": {"type": Path, "help": "training frames"},
            "test": {"type": Path, "help": "test frames"},
            "prior_train": {"type": Path, "help": "prior labels that cover the training frames"},
            "prior_test": {"type": Path, "help": "prior labels of the test frames"},
            "cutoff": {"type": float, "help": "radius of the graphs (Å)"},
            "variant": {"help": "spectrum variant: published or robust"},
            "sigma": {"type": float, "help": "outside beyond this many training standard deviations"},
            "output": {"type": Path, "help": "CSV, one row per structure"},
            "summary": {"type": Path, "help": "CSV, one row per group and criterion"},
        },
    )
