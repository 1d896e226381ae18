"""Label the grid of one surface with density functional theory, going on where a killed job stopped."""

import os
from pathlib import Path

from mlipshift.base.log import progress

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
from ase import Atoms
from ase.io import read, write

from mlipshift.base.errors import UserError
from mlipshift.base.files import replacing
from mlipshift.base.geometry import rotation
from mlipshift.labelling import reference
from mlipshift.run import cli
from mlipshift.simulate import grids, minima

SAME = 0.002  # Å, between distances of a structure and of one that it is the image of, as of a planar molecule


def same(first, second):
    """Whether two structures [n, 3] have the same distances between their atoms."""
    apart = [np.linalg.norm(x[:, None] - x[None], axis=-1) for x in (first, second)]
    return np.abs(apart[0] - apart[1]).max() < SAME


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
        twin = next((k for k, other in enumerate(done) if same(atoms.positions, other.positions)), None)
        if twin is None:
            energy, forces = reference.label(row["numbers"], row["positions"], 0, 1, args.settings)
        else:
            other = done[twin]
            atoms.info["twin"] = other.info["id"]
            energy = other.info["REF_energy"]
            forces = other.arrays["REF_forces"] @ rotation(atoms.positions, other.positions, mirrored=True)
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
