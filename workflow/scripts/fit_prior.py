"""Fit the prior to some reference labels of every molecule, and count them; none of them is of a test structure."""

from pathlib import Path

import numpy as np

from mlipshift.base.frames import Frames, Labels
from mlipshift.base.tables import read_table, write_table
from mlipshift.data import duplicates
from mlipshift.prior import fitting
from mlipshift.run import cli


def main(args):
    parts = [Frames.load(path) for path in args.frames]
    labels = [Labels.load(path, part) for path, part in zip(args.reference, parts, strict=True)]
    frames, reference = Frames.concatenate(parts), Labels.concatenate(labels)
    tested = {name for block in Frames.blocks(args.test) for name in block.ids.astype(str)}
    again = duplicates.same_as_any(read_table(args.duplicates), tested)
    usable = reference.ok & ~np.isin(frames.ids.astype(str), sorted(again))
    chosen = fitting.molecules_of(frames, usable, args.labels, args.seed)
    args.output.mkdir(parents=True, exist_ok=True)
    rows = []
    for number, (model, row) in enumerate(fitting.fit(frames, reference, chosen, args.sigmas)):
        np.savez_compressed(args.output / f"{number:03d}.npz", **model)
        rows.append(row)
    write_table(args.table, rows, fitting.FITTED)


if __name__ == "__main__":
    many = {"type": Path, "nargs": "+"}
    cli.run(
        main,
        __doc__,
        {
            "frames": {**many, "help": "frames with reference labels"},
            "reference": {**many, "help": "reference labels of each of --frames"},
            "test": {"type": Path, "help": "test frames, without labels; what is among them is not fitted to"},
            "duplicates": {"type": Path, "help": "CSV of the structures that occur more than once"},
            "labels": {"type": int, "help": "labels per molecule at most"},
            "sigmas": {"type": int, "nargs": "+", "help": "widths of the kernel to try"},
            "seed": {"type": int, "help": "of the draw of the labels"},
            "output": {"type": Path, "help": "folder of the models"},
            "table": {"type": Path, "help": "CSV of the labels that were used"},
        },
    )
