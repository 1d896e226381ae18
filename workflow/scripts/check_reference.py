"""Check the reference labels of a few structures by finite differences, a finer grid and tighter convergence."""

import os
from pathlib import Path

from mlipshift.base.log import progress

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
from ase.io import read

from mlipshift.base.errors import UserError
from mlipshift.base.tables import write_table
from mlipshift.labelling import reference
from mlipshift.run import cli

COMPONENTS = 3  # forces per structure that are compared with finite differences
LARGEST = 7  # atoms of the structures that are drawn from; the checks cost a dozen calculations each


def main(args):
    frames = [a for path in args.shards for a in read(path, index=":") if 1 < len(a) <= LARGEST]
    if len(frames) < args.structures:
        raise UserError(
            f"{len(frames)} labelled structures have at most {LARGEST} atoms, {args.structures} are to be checked; "
            "lower labelling.checked"
        )
    rng = np.random.default_rng(args.seed)
    frames.sort(key=lambda a: a.info["id"])
    rows = []
    chosen = sorted(rng.choice(len(frames), args.structures, replace=False))
    for atoms in progress([frames[k] for k in chosen], len(chosen), "checked structures"):
        components = np.column_stack(np.divmod(rng.choice(3 * len(atoms), COMPONENTS, replace=False), 3))
        info = atoms.info
        found = reference.quality(
            atoms.numbers, atoms.positions, info["charge"], info["multiplicity"], args.settings, components
        )
        rows.append({"id": info["id"], "atoms": len(atoms)} | {name: round(v, 4) for name, v in found.items()})
    write_table(args.output, rows, ["id", "atoms", *reference.QUALITY])


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "shards": {"type": Path, "nargs": "+", "help": "extxyz of labelled structures"},
            "structures": {"type": int, "help": "number of structures to check"},
            "seed": {"type": int, "help": "seed of their choice"},
            "settings": {"type": cli.settings, "help": "JSON: xc, basis, grid_level, conv_tol"},
            "output": {"type": Path, "help": "CSV of the largest errors per structure"},
        },
    )
