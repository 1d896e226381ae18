"""Models of the registry on many structures at once, in the blocks of predict_model, against the same one by one.

48 training structures of the embedded benchmark, 2 to 9 atoms, that the model can take, evenly chosen; energies,
forces, features and spread on one core, seconds of the processor per structure. Each model is in its own environment;
one that is not there is a line that says so. Both ways are called in turns, after a round that is not counted.

    python benchmarks/bench_models.py [MODEL ...]
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import contextlib
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from ase.io import iread
from common import best_of_both, line

from mlipshift.base.frames import Frames
from mlipshift.external import families
from mlipshift.external.capability import reasons
from mlipshift.external.prediction import BLOCK, blocks_of
from mlipshift.external.structure import Structure

ROOT = Path(__file__).resolve().parents[1]
TRAIN = ROOT / "resources" / "benchmark" / "train.extxyz"
MODELS = ("aimnet2", "aimnet2_single", "ani1x", "so3lr", "mace_trained", "chgnet", "sevennet0")
CHECKPOINTS = {"mace_trained": ROOT / "results" / "models" / "mace" / "mace.model"}
STRUCTURES, ROUNDS = 48, 3


def chosen(entry):
    """Frames of the structures of the benchmark that a model of the registry can take."""
    keys = ("id", "group", "molecule", "charge", "multiplicity")
    frames = Frames.build(
        {key: atoms.info[key] for key in keys} | {"numbers": atoms.numbers, "positions": atoms.positions}
        for atoms in iread(TRAIN)
    )
    taken = np.flatnonzero([not reason for reason in reasons(entry, frames, frames.numbers)])
    return frames.take(taken[np.linspace(0, len(taken) - 1, min(STRUCTURES, len(taken))).astype(int)])


def measure(name, entry, path):
    """Print the line of a model; called in its environment."""
    with contextlib.redirect_stdout(sys.stderr):  # of what packages print
        model, frames = families.load(json.loads(entry), CHECKPOINTS.get(name)), Frames.load(path)
    structures = [Structure.of(frames, k) for k in range(len(frames))]
    blocks = blocks_of(range(len(frames)), frames.sizes, getattr(model, "block", BLOCK))

    def together():
        return [answer for block in blocks for answer in model.many([structures[k] for k in block])]

    def alone():
        return [model(structure) for structure in structures]

    together(), alone()
    ours, other = (
        1e3 * seconds / len(structures) for seconds in best_of_both(together, alone, ROUNDS, time.process_time)
    )
    line(f"{name}, {len(structures)} structures", f"{ours:.2f} ms", f"{other:.2f} ms", other / ours)


def main(names):
    # what the environments of the models lack
    from mlipshift.external.registry import OPERATIVE, Registry

    registry = Registry(ROOT / "config" / "models.yaml", ROOT / "workflow" / "schemas" / "models.schema.yaml")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "workflow"), str(ROOT / "benchmarks")])}
    failed = 0
    for name in names or MODELS:
        entry = registry.entry(name)
        python = ROOT / f".venv-{entry['environment']}" / "bin" / "python"
        missing = next((p for p in (python, CHECKPOINTS.get(name, python)) if not p.exists()), None)
        if missing:
            print(f"{name}: not measured, {missing.relative_to(ROOT)} is not there", flush=True)
            continue
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "frames.h5"
            chosen(entry).save(path)
            operative = json.dumps({key: entry[key] for key in OPERATIVE})
            command = [str(python), "-W", "ignore", __file__, "--measure", name, operative, str(path)]
            done = subprocess.run(command, env=environment, capture_output=True, text=True)
        print(done.stdout, end="", flush=True)
        if done.returncode:
            failed = 1
            print(f"{name} failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}", flush=True)
    return failed


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        measure(*sys.argv[2:])
    else:
        sys.exit(main(sys.argv[1:]))
