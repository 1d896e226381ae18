"""GFN2-xTB labels: the shard path of the workflow against bare tblite loops, two processes each; memory.

Ours runs `workflow/scripts/label_prior.py` on two shards, with its reading, checks, checkpoints and progress; the rival
calls tblite directly on the same structures, which it has in memory. Rates are of CPU time and leave out the start of
the processes.
Every rate is that of the best of ROUNDS, which both take in turns, so that they meet the same load of the machine.

Memory is what the process has resident after 1,000 and after CALLS structures, of a rattled copy each.
"""

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

from common import line

ROOT = Path(__file__).resolve().parents[1]
WORKERS, ROUNDS, REPEATS = 2, 5, 2
CALLS = 20_000
ENGINES = {"GFN2-xTB, tblite": ("GFN2-xTB", "tblite"), "GFN2-xTB, xtb-python": ("GFN2-xTB", "xtb")}
ENGINES |= {"GFN-FF, xtb-python": ("GFN-FF", "xtb")}


def frames(path):
    """Write the embedded benchmark, REPEATS times, to a frame store; number of structures."""
    from ase.io import read

    from mlipshift.base.frames import Frames

    files = sorted((ROOT / "resources" / "benchmark").glob("*.extxyz"))
    atoms = [a for f in files for a in read(f, index=":")]
    keys = ("group", "molecule", "charge", "multiplicity")
    rows = (
        {k: a.info[k] for k in keys}
        | {"id": f"{a.info['id']}/{repeat}", "numbers": a.numbers, "positions": a.positions}
        for repeat in range(REPEATS)
        for a in atoms
    )
    Frames.build(rows).save(path)
    return REPEATS * len(atoms)


def bare(path, shard):
    """Label every WORKERS-th structure from `shard` with tblite alone; CPU seconds, as the shards say."""
    from tblite.interface import Calculator

    from mlipshift.base.frames import Frames
    from mlipshift.base.units import BOHR

    store = Frames.load(path)
    structures = [store[k] for k in range(shard, len(store), WORKERS)]
    start = time.process_time()
    for numbers, positions, charge, multiplicity in structures:
        calculator = Calculator("GFN2-xTB", numbers, positions / BOHR, charge, multiplicity - 1)
        calculator.set("verbosity", 0)
        result = calculator.singlepoint()
        result["energy"], result["gradient"]
    return time.process_time() - start


def resident():
    """Resident memory of this process in MiB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def memory(path, method, library):
    """Label CALLS structures by the function that the shards use; MiB after 1,000 and after all of them."""
    from dataclasses import replace

    import numpy as np

    from mlipshift.base.frames import Frames
    from mlipshift.prior.engines import engine
    from mlipshift.prior.labels import label_frames

    rng, calls, found = np.random.default_rng(0), 0, []
    singlepoint = engine(method, library)
    while calls < CALLS:
        for frames in Frames.blocks(path, 250):
            moved = replace(frames, positions=frames.positions + rng.normal(0, 0.02, frames.positions.shape))
            label_frames(moved, singlepoint, method, method)
            calls += len(frames)
            if (not found and calls >= 1000) or calls >= CALLS:
                found.append(resident())
            if calls >= CALLS:
                break
    return found[0], found[-1]


def slowest(commands, seconds_of):
    """Run the workers side by side; longest of their own times."""
    jobs = [subprocess.Popen(c, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for c in commands]
    out = [job.communicate() for job in jobs]
    for job, (_, error) in zip(jobs, out):
        if job.returncode:
            sys.exit(f"a worker failed: {error}")
    return max(seconds_of(k, text) for k, (text, _) in enumerate(out))


def main():
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        store = folder / "frames.h5"
        number = frames(store)
        script = str(ROOT / "workflow" / "scripts" / "label_prior.py")
        ours, rival = [], []
        for k in range(WORKERS):
            files = {name: str(folder / f"{name}-{k}") for name in ("output", "failures", "timing")}
            shard = ["--frames", str(store), "--method", "GFN2-xTB", "--engine", "tblite", "--accuracy", "1.0"]
            shard += ["--shard", f"{k + 1}-of-{WORKERS}"]
            ours.append([sys.executable, script, *shard, *(w for n, f in files.items() for w in (f"--{n}", f))])
            rival.append([sys.executable, __file__, str(store), str(k)])
        timing = lambda k, _: json.loads((folder / f"timing-{k}").read_text())["seconds"]
        times = [(slowest(ours, timing), slowest(rival, lambda _, text: float(text))) for _ in range(ROUNDS)]
        mine, bare_loop = (number / min(column) for column in zip(*times))
        name = f"GFN2-xTB, {number} structures, {WORKERS} cores"
        line(name, f"{mine:.0f} structures/s", f"{bare_loop:.0f} structures/s", mine / bare_loop)
        for name, (method, engine) in ENGINES.items():
            if engine == "xtb" and not importlib.util.find_spec("xtb"):
                print(f"{f'memory, {name}':<34}{'no package xtb':>22}", flush=True)
                continue
            command = [sys.executable, __file__, str(store), method, engine]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                sys.exit(f"a worker failed: {done.stderr}")
            first, last = (float(text) for text in done.stdout.split()[-2:])
            line(f"memory, {name}", f"{last:.0f} MiB at {CALLS}", f"{first:.0f} MiB at 1000", first / last)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        print(bare(sys.argv[1], int(sys.argv[2])))
    elif len(sys.argv) == 4:
        print(*memory(*sys.argv[1:]))
    else:
        main()
