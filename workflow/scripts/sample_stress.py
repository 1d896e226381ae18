"""Sample the geometries of the stress set (not part of the default run)."""

import csv
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from mlipshift.base.log import log, progress

os.environ["OMP_NUM_THREADS"] = "1"

from ase.io import read, write

from mlipshift.base.files import replacing
from mlipshift.labelling import stress
from mlipshift.run import cli
from mlipshift.run.processes import end_with_parent


def main(args):
    with open(args.molecules, newline="") as handle:
        rows = list(csv.DictReader(handle))
    cages = {a.info["name"]: a for a in read(args.cages, index=":")}
    benchmark = {a.info["id"]: a for path in sorted(args.benchmark) for a in read(path, index=":")}
    with ProcessPoolExecutor(args.threads, initializer=end_with_parent) as pool:
        jobs = [pool.submit(stress.sample, row, cages, benchmark, args.seed) for row in rows]
        frames = [f for job in progress(jobs, len(jobs), "rows of the table") for f in job.result()]
    with replacing(args.output) as part:
        write(part, frames, format="extxyz")
    log.info("%d geometries of %d molecules", len(frames), len({r["name"] for r in rows}))


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "molecules": {"type": Path, "help": "CSV of names, SMILES, charges, groups, roles and sampling plans"},
            "cages": {"type": Path, "help": "extxyz of start geometries of molecules without a SMILES"},
            "benchmark": {"type": Path, "nargs": "+", "help": "extxyz files of the embedded benchmark"},
            "output": {"type": Path, "help": "extxyz to write"},
            "seed": {"type": int},
            "threads": {"type": int, "default": 1, "required": False},
        },
    )
