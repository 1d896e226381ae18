"""GFN2-xTB labels: the shard path of the workflow against bare tblite loops, two processes each.

Ours runs `workflow/scripts/label_prior.py` on two shards, with all its checks; the rival calls tblite
directly on the same structures. Rates leave out the start of the processes but not, for ours, the import
of tblite at the first structure.
"""

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
WORKERS, ROUNDS, REPEATS = 2, 3, 4


def frames(path):
    """Write the embedded benchmark, REPEATS times, to a frame store; number of structures."""
    from ase.io import read

    from mlipshift.frames import Frames

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
    """Label every WORKERS-th structure from `shard` with tblite alone; seconds."""
    from ase.units import Bohr
    from tblite.interface import Calculator

    from mlipshift.frames import Frames

    store = Frames.load(path)
    structures = [store[k] for k in range(shard, len(store), WORKERS)]
    start = time.perf_counter()
    for numbers, positions, charge, multiplicity in structures:
        calculator = Calculator("GFN2-xTB", numbers, positions / Bohr, charge, multiplicity - 1)
        calculator.set("verbosity", 0)
        result = calculator.singlepoint()
        result["energy"], result["gradient"]
    return time.perf_counter() - start


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
            shard = ["--frames", str(store), "--method", "GFN2-xTB", "--shard", f"{k + 1}-of-{WORKERS}"]
            ours.append(
                [sys.executable, script, *shard, *(w for n, f in files.items() for w in (f"--{n}", f))]
            )
            rival.append([sys.executable, __file__, str(store), str(k)])
        timing = lambda k, _: json.loads((folder / f"timing-{k}").read_text())["seconds"]
        times = [(slowest(ours, timing), slowest(rival, lambda _, text: float(text))) for _ in range(ROUNDS)]
    mine, bare_loop = (number / min(column) for column in zip(*times))
    name = f"GFN2-xTB, {number} structures, {WORKERS} processes"
    line(name, f"{mine:.0f} structures/s", f"{bare_loop:.0f} structures/s", mine / bare_loop)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(bare(sys.argv[1], int(sys.argv[2])))
    else:
        main()
