"""Minima of molecules and their softest and stiffest directions, by GFN2-xTB; those that are known are taken over."""

import os
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

from mlipshift.base.log import progress
from mlipshift.prior import engines
from mlipshift.run import cli
from mlipshift.simulate import minima, relaxation


def main(args):
    singlepoint = engines.engine("GFN2-xTB", "tblite", 0.01)
    shipped = minima.load(args.known) if args.known else {}
    found = {}
    for name, smiles in progress(sorted(args.molecules.items()), len(args.molecules), "minima"):
        known = shipped.get(name)
        taken = known and known.smiles == smiles
        found[name] = known if taken else relaxation.find(name, smiles, singlepoint, args.seed)
    minima.save(args.output, found)


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "molecules": {"type": cli.settings, "help": "JSON of {name: SMILES}"},
            "known": {"type": Path, "required": False, "help": "file of minima that are taken over"},
            "seed": {"type": int, "help": "seed of the embedding"},
            "output": {"type": Path, "help": "extended XYZ"},
        },
    )
