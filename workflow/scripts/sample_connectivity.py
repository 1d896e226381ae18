"""Sample the structures of the connectivity benchmark, all groups of it."""

import csv
import os
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

# threads only get into each other's way on molecules; rows of the table are the parallel unit
os.environ["OMP_NUM_THREADS"] = "1"

from mlipshift.base.frames import Frames
from mlipshift.base.log import log, progress
from mlipshift.labelling import connectivity
from mlipshift.run import cli
from mlipshift.run.processes import end_with_parent


def main(args):
    with open(args.molecules, newline="") as handle:
        rows = list(csv.DictReader(handle))
    counts = connectivity.shares(rows, args.structures)
    with ProcessPoolExecutor(args.threads, initializer=end_with_parent) as pool:
        jobs = [pool.submit(connectivity.sample, row, count, args.seed) for row, count in zip(rows, counts)]
        found = [s for job in progress(jobs, len(jobs), "molecules") for s in job.result()]
    Frames.build(found).save(args.output)
    number = Counter(s["group"] for s in found)
    for group in args.structures:
        log.info("%s: %d structures", group, number[group])


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "molecules": {"type": Path, "help": "CSV of groups, names, forms and SMILES"},
            "structures": {"type": cli.settings, "help": "JSON of {group: number of structures}"},
            "seed": {"type": int},
            "threads": {"type": int, "default": 1, "required": False},
            "output": {"type": Path, "help": "frames of all groups"},
        },
    )
