"""Write structures with the forces of a model, the corrected ones and the reason: extended XYZ and CSV."""

from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import write

from mlipshift.base.files import replacing
from mlipshift.base.frames import Frames
from mlipshift.base.predictions import Predictions
from mlipshift.base.tables import read_table, write_table
from mlipshift.run import cli

COLUMNS = ["model_forces", "rescued_forces", "constant_forces"]
VALIDATION = "val_"  # whose structures set the weights and are not the user's


def main(args):
    frames = Frames.load(args.frames)
    table = read_table(args.structures)
    table = table[table.strategy == f"{args.model}_rescued"].set_index("id")
    forces = [Predictions.load(path, frames).forces[-1] for path in (args.predictions, args.rescued, args.constant)]
    own = np.flatnonzero(~frames.of_kind(VALIDATION))
    out = []
    for k in own:
        numbers, positions, charge, multiplicity = frames[k]
        atoms = Atoms(numbers, positions)
        atoms.info |= {"id": frames.ids[k], "group": frames.group[k], "charge": charge, "multiplicity": multiplicity}
        row = table.loc[frames.ids[k]]
        said = {n: row[n] for n in table.columns if n not in ("group", "molecule", "atoms", "strategy")}
        atoms.info |= {n: v for n, v in said.items() if v == v}  # no nan
        for name, values in zip(COLUMNS, forces):
            part = values[frames.offsets[k] : frames.offsets[k + 1]]
            if np.isfinite(part).all():
                atoms.arrays[name] = part
        out.append(atoms)
    with replacing(args.output) as part:
        write(part, out, format="extxyz")
    kept = table.loc[frames.ids[own]].reset_index()
    write_table(args.table, kept.to_dict("records"), list(kept.columns))


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "model": {"help": "name in the registry"},
            "frames": {"type": Path, "help": "structures"},
            "predictions": {"type": Path, "help": "forces of the model"},
            "rescued": {"type": Path, "help": "forces with weights of every structure"},
            "constant": {"type": Path, "help": "forces with one weight for all"},
            "structures": {"type": Path, "help": "CSV of rescue_models"},
            "output": {"type": Path, "help": "extended XYZ to write"},
            "table": {"type": Path, "help": "CSV to write"},
        },
    )
