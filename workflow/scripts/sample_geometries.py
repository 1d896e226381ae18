"""Sample the geometries of the embedded benchmark (not part of the default run)."""

import csv
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from mlipshift.base.log import log, progress

os.environ["OMP_NUM_THREADS"] = "1"

from ase.io import write

from mlipshift.labelling import sampling
from mlipshift.run import cli
from mlipshift.run.processes import end_with_parent


def main(args):
    with open(args.molecules, newline="") as handle:
        rows = list(csv.DictReader(handle))
    with ProcessPoolExecutor(args.threads, initializer=end_with_parent) as pool:
        jobs = [pool.submit(sampling.of_row, row, args.seed) for row in rows]
        frames = [f for job in progress(jobs, len(jobs), "molecules") for f in job.result()]
    write(args.output, frames, format="extxyz")
    log.info("%d geometries of %d molecules", len(frames), len({r["name"] for r in rows}))


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "molecules": {"type": Path, "help": "CSV of names, SMILES, groups and sampling plans"},
            "output": {"type": Path, "help": "extxyz to write"},
            "seed": {"type": int},
            "threads": {"type": int, "default": 1, "required": False},
        },
    )
