"""Measure how far every structure lies from the training set on the three shift axes.

Reads and writes in blocks: memory grows with the sample of training structures and with nothing else.
"""

import tempfile
from pathlib import Path

import numpy as np

from mlipshift.base.frames import Frames
from mlipshift.base.tables import write_table
from mlipshift.run import cli
from mlipshift.shift import distribution, measures
from mlipshift.shift.measures import Training

ABOUT = ("id", "group", "molecule")


def main(args):
    labels = [{kind: Path(paths[part]) for kind, *paths in args.labels} for part in (0, 1)]
    training = Training.of(Frames.blocks(args.train), args.cutoff, args.variant, args.sample, args.seed)
    absent = {f"{kind}_force_norm_eV_per_A" for kind in measures.LABELS if kind not in labels[0]}
    criteria = [name for name in measures.MEASURED if name not in absent]

    args.output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=args.output.parent) as spool:
        groups = distribution.Groups(criteria, spool)

        def rows():
            for part, path in enumerate((args.train, args.test)):
                for frames, found in measures.of_store(path, labels[part], training, own=part == 0):
                    table = np.column_stack([found[name] for name in criteria])
                    groups.add(frames.group, table)
                    for texts in zip(frames.ids, frames.group, frames.molecule, table.tolist()):
                        yield dict(zip(ABOUT, texts)) | dict(zip(criteria, texts[3]))

        write_table(args.output, rows(), [*ABOUT, *criteria])
        summary, swept = groups.tables(args.sigma)
    write_table(args.summary, summary, distribution.SUMMARY)
    write_table(args.sweep, swept, distribution.SWEPT)


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "train": {"type": Path, "help": "training frames"},
            "test": {"type": Path, "help": "test frames"},
            "labels": {
                "nargs": 3,
                "action": "append",
                "default": [],
                "required": False,
                "metavar": ("KIND", "TRAIN", "TEST"),
                "help": f"labels ({', '.join(measures.LABELS)}) of the training and of the test frames, in their order",
            },
            "cutoff": {"type": float, "help": "radius of the graphs (Å)"},
            "variant": {"help": "spectrum variant: published or robust"},
            "sample": {"type": int, "help": "training structures among which the nearest one is looked for"},
            "seed": {"type": int, "help": "seed of that sample"},
            "sigma": {"type": float, "help": "outside beyond this many training standard deviations"},
            "output": {"type": Path, "help": "CSV, one row per structure"},
            "summary": {"type": Path, "help": "CSV, one row per group and criterion"},
            "sweep": {"type": Path, "help": "CSV of the fraction outside at several numbers of standard deviations"},
        },
    )
