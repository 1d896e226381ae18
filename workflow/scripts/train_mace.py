"""Train a small MACE on reference labels, or on those of a teacher, with mace-torch's own command.

A real checkpoint without a network.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import write

from mlipshift.base.errors import UserError
from mlipshift.base.files import replacing
from mlipshift.base.frames import Frames, Labels
from mlipshift.base.log import log
from mlipshift.base.predictions import Predictions
from mlipshift.base.timing import Stopwatch
from mlipshift.external.structure import Structure
from mlipshift.run import cli
from mlipshift.run.processes import end_with_parent

NAME = "mace"
LAST_RATE = 0.01  # of the first learning rate


def labels_of(args, frames):
    """Reference labels, or the predictions of a teacher as such."""
    if not args.teacher:
        return Labels.load(args.reference, frames)
    said = Predictions.load(args.teacher, frames)
    return Labels(frames.ids, frames.offsets, said.energy[-1], said.forces[-1], said.ok, said.method)


def structures(frames, labels):
    """ASE Atoms of the structures that have forces, labels under the keys that are given to mace_run_train below."""
    for k in np.flatnonzero(labels.ok):
        structure = Structure.of(frames, k)
        atoms = Atoms(structure.numbers, structure.positions, cell=structure.cell, pbc=structure.pbc)
        if np.isfinite(labels.energy[k]):
            atoms.info["REF_energy"] = float(labels.energy[k])
        atoms.arrays["REF_forces"] = labels.forces_of(k)
        yield atoms


def atomic_energies(data):
    """Least-squares energies of the elements, of the structures that have an energy, as mace_run_train takes them."""
    elements = np.unique(np.concatenate([atoms.numbers for atoms in data]))
    known = [atoms for atoms in data if "REF_energy" in atoms.info]
    counts = np.array([(atoms.numbers[:, None] == elements).sum(0) for atoms in known]).reshape(-1, len(elements))
    values = np.linalg.lstsq(counts, np.array([atoms.info["REF_energy"] for atoms in known]), rcond=None)[0]
    return str({int(z): float(value) for z, value in zip(elements, values)})


def main(args):
    settings = args.settings
    frames = Frames.load(args.frames)
    data = list(structures(frames, labels_of(args, frames)))
    if not data:
        raise UserError("no training structure has reference forces, and training needs them; give some (data.keys)")
    energies = sum("REF_energy" in atoms.info for atoms in data)
    watch = Stopwatch()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        write(folder / "train.xyz", data, format="extxyz")
        options = {
            "name": NAME,
            "seed": settings["seed"],
            "work_dir": folder,
            "train_file": folder / "train.xyz",
            "valid_fraction": settings["valid_fraction"],
            "energy_key": "REF_energy",
            "forces_key": "REF_forces",
            # which mace-torch takes from the energies of all structures
            "E0s": "average" if energies == len(data) else atomic_energies(data),
            "model": "MACE",
            "hidden_irreps": settings["hidden_irreps"],
            "num_interactions": settings["layers"],
            "r_max": settings["cutoff_A"],
            "correlation": settings["correlation"],
            "max_ell": settings["max_ell"],
            "batch_size": settings["batch"],
            "valid_batch_size": settings["batch"],
            "lr": settings["learning_rate"],
            "scheduler": "ExponentialLR",
            "lr_scheduler_gamma": LAST_RATE ** (1 / settings["epochs"]),
            "max_num_epochs": settings["epochs"],
            "eval_interval": max(1, settings["epochs"] // 10),
            "energy_weight": settings["energy_weight"],
            "forces_weight": settings["forces_weight"],
            "ema_decay": settings["average"],
            "default_dtype": "float32",
            "device": "cpu",
        }
        command = [sys.executable, "-m", "mace.cli.run_train", "--ema"]
        command += [f"--{name}={value}" for name, value in options.items()]
        told = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        process = subprocess.run(command, cwd=folder, preexec_fn=end_with_parent, **told)
        log.info("%s", process.stdout)
        made = folder / f"{NAME}.model"
        if process.returncode or not made.exists():
            last = (process.stdout.strip().splitlines() or ["nothing"])[-1]
            raise UserError(f"mace_run_train ended with {process.returncode}: {last}; the log has all it said")
        with replacing(args.output) as part:
            part.write_bytes(made.read_bytes())
    watch.timing(len(data)).write(args.timing)


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "frames": {"type": Path, "help": "training frames"},
            "reference": {"type": Path, "required": False, "help": "their reference labels"},
            "teacher": {"type": Path, "required": False, "help": "predictions of a model that stand for labels"},
            "settings": {"type": cli.settings, "help": "section mace of the configuration as JSON"},
            "output": {"type": Path, "help": "checkpoint to write"},
            "timing": {"type": Path},
        },
    )
