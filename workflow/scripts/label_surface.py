"""Label the grid of one surface with density functional theory, going on where a killed job stopped."""

import os
from pathlib import Path

from mlipshift.base.log import progress

os.environ["OMP_NUM_THREADS"] = "1"

from ase import Atoms
from ase.io import read, write

from mlipshift.base.errors import UserError
from mlipshift.base.files import replacing
from mlipshift.labelling import reference
from mlipshift.run import cli
from mlipshift.simulate import grids, minima


def main(args):
    known = minima.load(args.minima)
    if args.molecule not in known:
        raise UserError(f"{args.minima}: no minimum of {args.molecule}; known: {', '.join(known)}")
    rows = list(grids.surface(known[args.molecule], args.scan, args.points, args.reach, grids.REFERENCE))
    kept = args.output.with_name(args.output.name + ".part")
    done = read(kept, index=":", format="extxyz") if kept.exists() else []
    level = {**args.settings, "reach_A": args.reach, "points": args.points}
    for row in progress(rows[len(done) :], len(rows) - len(done), f"{args.molecule}, {args.scan}"):
        atoms = Atoms(row["numbers"], row["positions"])
        atoms.info = {"id": row["id"], "molecule": args.molecule, "scan": args.scan, **level}
        energy, forces = reference.label(row["numbers"], row["positions"], 0, 1, args.settings)
        atoms.info["REF_energy"] = energy
        atoms.set_array("REF_forces", forces)
        done.append(atoms)
        with replacing(kept) as part:
            write(part, done, format="extxyz")
    kept.rename(args.output)


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "minima": {"type": Path, "help": "minima and directions, extended XYZ"},
            "molecule": {"help": "its name there"},
            "scan": {"choices": grids.SCANS, "help": "which directions"},
            "points": {"type": int, "help": "points along each of them"},
            "reach": {"type": float, "help": "largest displacement (Å)"},
            "settings": {"type": cli.settings, "help": "JSON: xc, basis, grid_level, conv_tol"},
            "output": {"type": Path, "help": "extended XYZ with REF_energy and REF_forces"},
        },
    )
