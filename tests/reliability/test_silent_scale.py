"""Frames of 10,000 atoms: right values, in memory that grows with neighbours and not with pairs."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.io import write
from scipy.spatial.transform import Rotation
from scipy.stats import wasserstein_distance

from clone import ROOT
from mlipshift.shift import spectra

MEMORY = 500  # MiB that a script may need at most; one matrix of 10,000 rows has 763
SCHEMA = ROOT / "workflow" / "schemas" / "config.schema.yaml"
# runs a script and prints the peak memory of the process, which getrusage mixes up with that of its parent
PEAK = """
import atexit, runpy, sys
atexit.register(lambda: print(open("/proc/self/status").read()))
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def run(name, folder, *arguments):
    """Run a script of the workflow, which must succeed within MEMORY."""
    command = [sys.executable, "-c", PEAK, ROOT / "workflow" / "scripts" / f"{name}.py", *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "workflow"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(list(map(str, command)), cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    words = done.stdout.split()
    assert int(words[words.index("VmHWM:") + 1]) / 1024 < MEMORY
    return done.stderr


def copies(name, side, spacing, seed=0):
    """side³ molecules in random orientation on a grid."""
    rng, one = np.random.default_rng(seed), molecule(name)
    sites = spacing * np.stack(np.meshgrid(*[np.arange(side)] * 3), -1).reshape(-1, 3)
    turns = Rotation.random(len(sites), random_state=rng)
    positions = np.concatenate([turn.apply(one.positions) + site for turn, site in zip(turns, sites)])
    return Atoms(np.tile(one.numbers, len(sites)), positions)


def diagnosed(folder, **groups):
    """Rows {group: [row, ...]} of shifts.csv for groups of structures, by curation and diagnosis as scripts."""
    from mlipshift.run import configuration

    for name, structures in groups.items():
        write(folder / f"{name}.xyz", structures, format="extxyz")
    files = {name: [str(folder / f"{name}.xyz")] for name in groups}
    given = {"data": {"files": files, "checksums": None, "labels": "optional", "periodic": True}}
    data = configuration.load(given, SCHEMA, [("defaults", {}), ("this", given)])["data"]
    stores = {n: folder / f"{n}.h5" for n in ("train", "train-reference", "test", "test-reference")}
    outputs = [word for name, path in stores.items() for word in (f"--{name}", path)]
    run("curate", folder, "--settings", json.dumps(data), *outputs, "--failures", folder / "failures.csv")
    assert len((folder / "failures.csv").read_text().splitlines()) == 1
    tables = [word for name in ("output", "summary", "sweep") for word in (f"--{name}", folder / f"{name}.csv")]
    common = ("--cutoff", 3.0, "--variant", "robust", "--sample", 10, "--seed", 0, "--sigma", 1)
    lines = run("diagnose_shifts", folder, "--train", stores["train"], "--test", stores["test"], *common, *tables)
    rows = {name: [] for name in groups}
    for row in csv.DictReader((folder / "output.csv").read_text().splitlines()):
        rows[row["group"]].append(row)
    return rows, lines


def dispersion(points):
    """Spectrum of the simple cubic lattice at a grid of wavevectors: 1 - (cos x + cos y + cos z) / 3."""
    axis = np.cos(2 * np.pi * np.arange(points) / points)
    return np.sort((1 - (axis[:, None, None] + axis[:, None] + axis) / 3).ravel())


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
def test_frames_of_ten_thousand_atoms_have_the_shifts_of_what_they_are_made_of(tmp_path):
    """Molecules far apart, free and in a periodic box, have those of one, and a crystal those of its unit cell."""
    ethanol, water, cell = copies("CH3CH2OH", 10, 10.0), copies("H2O", 15, 9.0), bulk("Po", "sc", a=2.9)
    boxed = ethanol.copy()
    boxed.set_cell([100.0] * 3)
    boxed.set_pbc(True)
    rows, lines = diagnosed(
        tmp_path,
        train=[molecule("CH3CH2OH"), molecule("H2O"), cell],
        ood_copies=[ethanol, water],
        ood_boxed=[boxed],
        ood_crystal=[cell * (22, 22, 22)],
    )
    assert "spectra above 1024 atoms: 2 of 2" in lines
    sizes = [int(float(row["n_atoms"])) for name in rows if name != "train" for row in rows[name]]
    assert sizes == [9000, 10125, 9000, 10648]
    one, two, crystal = rows["train"]
    for row, same in zip([*rows["ood_copies"], *rows["ood_boxed"]], [one, two, one], strict=True):
        assert row["window_fraction"] == same["window_fraction"]
        assert float(row["composition_distance"]) == float(row["unseen_element_fraction"]) == 0
        assert float(row["spectrum_wasserstein_nearest"]) == pytest.approx(0, abs=1e-9)
    (row,), exact, known = rows["ood_crystal"], dispersion(22), dispersion(13)  # 36 Å of the unit cell
    assert float(crystal["window_fraction"]) == pytest.approx(spectra.window_fraction([known])[0])
    assert float(row["window_fraction"]) == pytest.approx(spectra.window_fraction([exact])[0], abs=0.01)
    expected = wasserstein_distance(exact, known)
    assert float(row["spectrum_wasserstein_nearest"]) == pytest.approx(expected, abs=0.005)
