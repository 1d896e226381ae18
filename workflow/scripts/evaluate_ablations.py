"""Compare the points of the ablations with the reference labels: error of prior, models and TTT, and TTT's gain."""

from pathlib import Path

import numpy as np

from mlipshift.base.frames import Frames, Labels
from mlipshift.base.log import log
from mlipshift.base.tables import write_table
from mlipshift.evaluate.ablations import ABLATION, POINT, ablation
from mlipshift.evaluate.bins import ERROR_BINS, error_bins
from mlipshift.evaluate.errors import POOLED, Errors
from mlipshift.run import cli


def main(args):
    frames = Frames.load(args.frames)
    reference = Labels.load(args.reference, frames)
    by_point = {}
    for path in args.predictions:
        by_point.setdefault(path.parts[-3], []).append(path)
    rows, bins = [], []
    for name, paths in by_point.items():
        # the prior of a point is one of its predictions; the labels of none are needed
        none = Labels.build(frames, [None] * len(frames), "none")
        errors = Errors(frames, reference, none, paths, args.resamples, args.seed)
        point = {"point": name, **args.points[name]}
        rows += ablation(errors, point)
        bins += [point | row for row in error_bins(errors)]
    write_table(args.output, rows, ABLATION)
    write_table(args.bins, bins, [*POINT, *ERROR_BINS])
    for row in rows:
        if row["group"] == POOLED and np.isfinite(row["gain_meV_per_A"]):
            log.info("%s: TTT's gain %.1f meV/Å", row["point"], row["gain_meV_per_A"])


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "frames": {"type": Path, "help": "test frames"},
            "reference": {"type": Path, "help": "reference labels of the test frames"},
            "predictions": {"type": Path, "nargs": "+", "help": "FOLDER/POINT/seedN/METHOD.h5"},
            "points": {"type": cli.settings, "help": "JSON: prior, noise and fraction of every point"},
            "resamples": {"type": int, "help": "bootstrap resamples"},
            "seed": {"type": int, "help": "bootstrap seed"},
            "bins": {"type": Path, "help": "table of the structures per bin of the error"},
            "output": {"type": Path},
        },
    )
