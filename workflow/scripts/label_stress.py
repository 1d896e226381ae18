"""Label one shard of the stress set with density functional theory, each structure in a stable determinant."""

import os
import time
from pathlib import Path

from mlipshift.base.log import log

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
from ase.io import read, write

from mlipshift.base.files import replacing
from mlipshift.base.tables import FAILURES, write_table
from mlipshift.labelling import reference, stability
from mlipshift.run import cli

PAUSE = 5  # seconds between two looks at the file that pauses the labelling


def wait_for(path):
    """Return once there is no file `path`."""
    while path and path.exists():
        time.sleep(PAUSE)


def labelled(atoms, settings, earlier, largest):
    """The structure with its label and the state of its determinant.

    Raises ValueError with the reason when there is no label, or a force above `largest` (eV/Å).
    """
    info = atoms.info
    energy, forces, state = stability.stable_label(
        atoms.numbers,
        atoms.positions,
        info["charge"],
        info["multiplicity"],
        settings,
        reference.find(earlier, atoms),
    )
    force = np.linalg.norm(forces, axis=1).max()
    if force > largest:
        raise ValueError(f"force of {force:.1f} eV/Å on an atom, more than {largest:g}")
    info["REF_energy"] = energy
    atoms.arrays["REF_forces"] = forces
    info.update({k: round(v, 6) if isinstance(v, float) else v for k, v in state.items() if v == v})  # no nan
    return atoms


def main(args):
    frames = read(args.geometries, index=":")[args.shard :: args.shards]
    earlier = reference.known_labels(args.known, args.settings)
    done, failures = [], []
    for atoms in frames:
        wait_for(args.pause)
        start, name = time.perf_counter(), atoms.info["id"]
        try:
            done.append(labelled(atoms, args.settings, earlier, args.largest_force))
            found = f"{atoms.info['kohn_sham']}, {atoms.info['stability']}"
        except ValueError as error:
            failures.append({"id": name, "stage": "reference", "reason": str(error)})
            found = str(error)
        log.info("%s, %d atoms: %s, %.0f s", name, len(atoms), found, time.perf_counter() - start)
    write_table(args.failures, failures, FAILURES)
    with replacing(args.output) as part:
        write(part, done, format="extxyz", columns=["symbols", "positions", "REF_forces"])


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "geometries": {"type": Path, "help": "extxyz of all geometries"},
            "output": {"type": Path, "help": "extxyz of the labelled shard"},
            "failures": {"type": Path, "help": "CSV of structures without a label"},
            "shard": {"type": int, "help": "number of this shard, from 0"},
            "shards": {"type": int, "help": "number of shards"},
            "settings": {"type": cli.settings, "help": "JSON: xc, basis, grid_level, conv_tol"},
            "largest_force": {"type": float, "help": "eV/Å on an atom; a structure with more is no label"},
            "known": {"type": Path, "required": False, "help": "folder of labels at the same level to take over"},
            "pause": {"type": Path, "required": False, "help": "file; no structure is begun while it exists"},
        },
    )
