"""Label one shard of geometries with density functional theory."""

import os
from pathlib import Path

from mlipshift.base.log import log, progress

os.environ["OMP_NUM_THREADS"] = "1"

from ase.io import read, write

from mlipshift.base.files import replacing
from mlipshift.base.tables import FAILURES, write_table
from mlipshift.labelling import reference
from mlipshift.run import cli


def main(args):
    frames = [a for path in args.geometries for a in read(path, index=":")][args.shard :: args.shards]
    known = reference.known_labels(args.known, args.settings)
    done, failures, reused = [], [], 0
    for atoms in progress(frames, len(frames), f"shard {args.shard}"):
        info = atoms.info
        found = reference.find(known, atoms)
        reused += found is not None
        try:
            energy, forces = found or reference.label(
                atoms.numbers, atoms.positions, info["charge"], info["multiplicity"], args.settings
            )
        except ValueError as error:
            failures.append({"id": info["id"], "stage": "reference", "reason": str(error)})
            continue
        atoms.info["REF_energy"] = energy
        atoms.arrays["REF_forces"] = forces
        done.append(atoms)
    write_table(args.failures, failures, FAILURES)
    with replacing(args.output) as part:
        write(part, done, format="extxyz")
    log.info("%d labels, %d of them from %s", len(done), reused, args.known)


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "geometries": {"type": Path, "nargs": "+", "help": "extxyz files of all geometries"},
            "output": {"type": Path, "help": "extxyz of the labelled shard"},
            "failures": {"type": Path, "help": "CSV of structures without a label"},
            "shard": {"type": int, "help": "number of this shard, from 0"},
            "shards": {"type": int, "help": "number of shards"},
            "settings": {"type": cli.settings, "help": "JSON: xc, basis, grid_level, conv_tol"},
            "known": {"type": Path, "required": False, "help": "folder of a benchmark whose labels are taken over"},
        },
    )
