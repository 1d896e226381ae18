"""Large frames of liquid water: curation against all distances, a spectrum by sparse matrices against the dense one.

Each runs in a process of its own. Per line: seconds and peak resident memory, imports included, of both ways, and how
many times longer the other one takes, which is not run beyond DENSE atoms.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from ase.build import molecule
from common import line
from scipy.spatial.transform import Rotation

SIDES = 7, 10, 15  # molecules along each edge: 1029, 3000 and 10125 atoms
SPACING, CUTOFF = 3.1, 3.0  # Å
DENSE = 5000


def water(side):
    """(numbers [n], positions [n, 3] Å) of side³ molecules in random orientation on a grid."""
    one, rng = molecule("H2O"), np.random.default_rng(0)
    sites = SPACING * np.stack(np.meshgrid(*[np.arange(side)] * 3), -1).reshape(-1, 3)
    turns = Rotation.random(len(sites), random_state=rng)
    return np.tile(one.numbers, len(sites)), np.concatenate([t.apply(one.positions) + s for t, s in zip(turns, sites)])


def curate(numbers, positions):
    from mlipshift.data.curation import convert
    from mlipshift.data.plausibility import neighbour_ratio
    from mlipshift.data.records import Record

    record = Record("a", "here", "a", numbers, positions)
    convert(record, "train", needs_labels=False)
    neighbour_ratio([record])


def all_distances(numbers, positions):
    from ase.data import covalent_radii

    scaled = np.linalg.norm(positions[:, None] - positions, axis=-1)
    scaled /= covalent_radii[numbers][:, None] + covalent_radii[numbers]
    np.fill_diagonal(scaled, np.inf)
    scaled.min(axis=1)


def sparse(numbers, positions):
    from mlipshift.shift import quadrature

    quadrature.LARGEST_DENSE = 0
    quadrature.of_molecule(positions, CUTOFF, published=False, cap=None)


def dense(numbers, positions):
    from mlipshift.base.geometry import pairs
    from mlipshift.shift.laplacians import spectrum_of

    graph = np.zeros((len(positions), len(positions)), dtype=bool)
    graph[pairs(positions, CUTOFF)] = True
    spectrum_of(graph)


WAYS = {"curate": curate, "all distances": all_distances, "sparse": sparse, "dense": dense}


def timed(way, side):
    """(seconds, MiB) of one of WAYS in a process of its own."""
    done = subprocess.run([sys.executable, __file__, way, str(side)], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def show(way, side):
    """Print seconds and peak memory of one of WAYS in this process, as JSON."""
    structure = water(side)
    WAYS[way](*water(2))  # imports
    start = time.perf_counter()
    WAYS[way](*structure)
    seconds = time.perf_counter() - start
    # the peak of this process alone: getrusage counts what its parent had when it started
    status = Path("/proc/self/status").read_text().split()
    print(json.dumps([seconds, int(status[status.index("VmHWM:") + 1]) / 1024]))


def main():
    os.environ["OMP_NUM_THREADS"] = "1"
    text = lambda seconds, peak: f"{seconds:.2f} s, {peak:.0f} MiB"
    for title, ours, other in (("curation", "curate", "all distances"), ("spectrum", "sparse", "dense")):
        for side in SIDES:
            name, (seconds, peak) = f"{title}, {3 * side**3} atoms", timed(ours, side)
            if 3 * side**3 > DENSE:
                print(f"{name:<34}{text(seconds, peak):>22}{'not run':>22}", flush=True)
                continue
            theirs = timed(other, side)
            line(name, text(seconds, peak), text(*theirs), theirs[0] / seconds)


if __name__ == "__main__":
    show(sys.argv[1], int(sys.argv[2])) if sys.argv[1:] else main()
