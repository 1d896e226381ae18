"""Check labels of the stress set, each of its own determinant, as check_reference does those of the benchmark."""

import os
from collections import defaultdict
from itertools import chain, zip_longest
from pathlib import Path

from mlipshift.base.log import progress

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
from ase import Atoms
from ase.io import read

from mlipshift.base.errors import UserError
from mlipshift.base.tables import write_table
from mlipshift.labelling import reference, stability
from mlipshift.labelling.sampling import molecule_seed
from mlipshift.run import cli

COMPONENTS = 2  # forces per structure that are compared with finite differences
LARGEST = 4  # atoms of the structures that are drawn from; the checks cost a dozen calculations each
NOTHING = 1e-3  # eV/Å
DETERMINANT = ["charge", "multiplicity", "stability"]
LABEL = "label_meV_per_A"


def drawn(frames: list[Atoms], structures: int, seed: int) -> list[Atoms]:
    """One structure of every group after the other, those first whose determinant was followed.

    Which one depends on its id and the seed, and so on no other structure.
    """
    groups = defaultdict(list)
    for a in sorted(frames, key=lambda a: (a.info["stability"] != "followed", molecule_seed(a.info["id"], seed))):
        groups[a.info["group"]].append(a)
    in_turn = chain.from_iterable(zip_longest(*(groups[name] for name in sorted(groups))))
    return [a for a in in_turn if a][:structures]


def checked(atoms, settings, seed):
    """Row of the table of checks of one structure."""
    rng = np.random.default_rng(molecule_seed(atoms.info["id"], seed))
    info, given = atoms.info, atoms.arrays["REF_forces"]
    # across a molecule that lies on an axis there is nothing to compare
    components = np.column_stack(np.divmod(rng.choice(np.flatnonzero(np.abs(given) > NOTHING), COMPONENTS, False), 3))
    structure = (atoms.numbers, atoms.positions, info["charge"], info["multiplicity"])
    field, _ = stability.stable(*structure, settings)
    change = np.abs(reference.label_of(field)[1] - given).max()
    found = reference.quality(*structure, settings, components, field)
    return (
        {"id": info["id"], "atoms": len(atoms)}
        | {name: info[name] for name in DETERMINANT}
        | {name: round(v, 4) for name, v in ({LABEL: 1e3 * float(change)} | found).items()}
    )


def main(args):
    frames = [a for path in args.shards for a in read(path, index=":") if 1 < len(a) <= LARGEST]
    if len(frames) < args.structures:
        raise UserError(f"{len(frames)} labelled structures have at most {LARGEST} atoms; label more, or ask for fewer")
    chosen = sorted(drawn(frames, args.structures, args.seed), key=lambda a: a.numbers.sum())  # the dearest last
    rows = []
    for atoms in progress(chosen, len(chosen), "checked structures"):
        rows.append(checked(atoms, args.settings, args.seed))
        write_table(args.output, rows, ["id", "atoms", *DETERMINANT, LABEL, *reference.QUALITY])


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
