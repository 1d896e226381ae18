"""Structures of the energy surfaces and of the bonds that are compressed and stretched."""

import json
from pathlib import Path

import numpy as np

from mlipshift.base import geometry
from mlipshift.base.frames import Frames
from mlipshift.base.log import log
from mlipshift.run import cli
from mlipshift.simulate import bonds, grids, minima


def main(args):
    found = minima.load(args.minima)
    # where reference labels lie stands beside them; they are of the shipped minima alone
    shipped = minima.load(args.known) if args.known else {}
    same = {name for name, m in found.items() if name in shipped and shipped[name].smiles == m.smiles}
    places = json.loads(args.places.read_text())["grids"] if args.places else {}
    places = {key: where for key, where in places.items() if key.split("/")[0] in same}
    Frames.build(grids.structures(found, args.points, args.reach, places)).save(args.surfaces)
    ratios = np.linspace(args.shortest, args.longest, args.bond_points)
    rows = []
    for m in found.values():
        rows += bonds.chains(m, geometry.bonds(m.numbers, m.positions), ratios)
    Frames.build(rows).save(args.bonds)
    log.info("%d structures along %d bonds of %d molecules", len(rows), len(rows) // len(ratios), len(found))


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "minima": {"type": Path, "help": "minima of all molecules"},
            "known": {"type": Path, "required": False, "help": "minima that the reference labels are of"},
            "places": {"type": Path, "required": False, "help": "JSON of the grids that have reference labels"},
            "points": {"type": int, "help": "points along each direction"},
            "reach": {"type": cli.settings, "help": "JSON of {scan: largest displacement in Å}"},
            "shortest": {"type": float, "help": "bond length over that at the minimum"},
            "longest": {"type": float, "help": "the same"},
            "bond_points": {"type": int, "help": "points along a bond"},
            "surfaces": {"type": Path, "help": "frames of the surfaces"},
            "bonds": {"type": Path, "help": "frames of the bonds"},
        },
    )
