"""Sample the geometries of the stress set, or of the calibration set (not part of the default run)."""

import csv
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from mlipshift.base.log import log, progress

os.environ["OMP_NUM_THREADS"] = "1"

from ase.io import read, write

from mlipshift.base.errors import UserError
from mlipshift.base.files import replacing
from mlipshift.base.tables import FAILURES, write_table
from mlipshift.labelling import stress
from mlipshift.run import cli
from mlipshift.run.processes import end_with_parent


def main(args):
    with open(args.molecules, newline="") as handle:
        rows = list(csv.DictReader(handle))
    cages = {a.info["name"]: a for a in read(args.cages, index=":")} if args.cages else {}
    benchmark = {a.info["id"]: a for path in sorted(args.benchmark) for a in read(path, index=":")}
    frames, failures = [], []
    with ProcessPoolExecutor(args.threads, initializer=end_with_parent) as pool:
        jobs = [pool.submit(stress.sample, row, cages, benchmark, args.seed) for row in rows]
        for row, job in progress(zip(rows, jobs), len(jobs), "rows of the table"):
            try:
                frames += job.result()
            except UserError as error:
                if not args.failures:
                    raise
                name = f"{row['group']}/{row['name']}"
                failures.append({"id": name, "group": row["group"], "stage": "sample", "reason": str(error)})
    for a in frames if args.group else []:
        a.info["group"] = args.group
    if args.failures:
        write_table(args.failures, failures, FAILURES)
    with replacing(args.output) as part:
        write(part, frames, format="extxyz")
    log.info("%d geometries of %d molecules", len(frames), len({a.info["molecule"] for a in frames}))


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "molecules": {"type": Path, "help": "CSV of names, SMILES, charges, groups, roles and sampling plans"},
            "cages": {
                "type": Path,
                "required": False,
                "help": "extxyz of start geometries of molecules without a SMILES",
            },
            "benchmark": {
                "type": Path,
                "nargs": "+",
                "default": [],
                "required": False,
                "help": "extxyz files of the embedded benchmark, of which a plan may take structures over",
            },
            "group": {"required": False, "help": "group to write instead of the one of the table"},
            "output": {"type": Path, "help": "extxyz to write"},
            "failures": {
                "type": Path,
                "required": False,
                "help": "CSV of molecules that cannot be sampled, to write; without, one of them ends it all",
            },
            "seed": {"type": int},
            "threads": {"type": int, "default": 1, "required": False},
        },
    )
