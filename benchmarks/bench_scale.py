"""Curation and shift measures of 10,000, 100,000, ... small structures: rate, peak memory and time of the job graph.

The structures are rattled small molecules in harmonic wells, in NPZ files as of MD17; four fifths of them are for
training. Both steps run through their scripts, in processes of their own. Per line: structures per second, peak
resident memory, and the peak with the fewest structures over this one (near 1: it does not grow). The job graph is
that of `snakemake -n` for the shift measures of these files.

    python benchmarks/bench_scale.py [LARGEST] [FOLDER]
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from ase.build import molecule
from common import line

ROOT = Path(__file__).resolve().parent.parent
SMALLEST, LARGEST = 10_000, 100_000
TRAIN = ["H2O", "NH3", "CH4", "C2H2", "C2H4", "HCOOH", "CH3OH", "CH3CHO"]
TEST = ["CH3SH", "C2H6"]
SIGMA, SPRING = 0.05, 20.0  # Å, eV/Å²


def generate(folder, count):
    """Write `count` structures to one NPZ file per molecule."""
    from mlipshift.base.units import EV, KCAL

    rng = np.random.default_rng(0)
    for name in TRAIN + TEST:
        atoms = molecule(name)
        structures = count // (len(TRAIN) + len(TEST))
        shift = rng.normal(scale=SIGMA, size=(structures, len(atoms), 3)).astype(np.float32)
        offset = -0.5 * EV * (atoms.numbers**2.4).sum()
        np.savez(
            folder / f"{name}.npz",
            nuclear_charges=atoms.numbers,
            coords=(atoms.positions + shift).astype(np.float32),
            energies=(offset + SPRING / 2 * np.square(shift, dtype=float).sum((1, 2))) / KCAL,
            forces=(-SPRING / KCAL * shift).astype(np.float32),
        )


def measured(command, environment):
    """(seconds, peak resident memory in MiB) of a command. Ends the benchmark with its last line if it fails."""
    start = time.perf_counter()
    process = subprocess.Popen(command, env=environment, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    text = process.stderr.read() + process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(text.decode().strip().splitlines()[-1])
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def steps(folder):
    """{step: command} of the two scripts on the files of a folder, and the configuration that asks for the same."""
    files = {
        "train": [str(folder / f"{name}.npz") for name in TRAIN],
        "ood_molecules": [str(folder / f"{name}.npz") for name in TEST],
    }
    given = {"data": {"files": files, "checksums": None}, "shifts": {"labels": ["reference"]}}
    (folder / "config.yaml").write_text(json.dumps(given))
    sys.path.insert(0, str(ROOT / "workflow"))
    from mlipshift.run import configuration

    # of two sources, so that the default files are not used beside these
    settings = configuration.load(
        given, ROOT / "workflow/schemas/config.schema.yaml", [("defaults", {}), ("this", given)]
    )
    stores = {n: folder / f"{n}.h5" for n in ("train", "train-reference", "test", "test-reference")}
    script = lambda name: [sys.executable, str(ROOT / f"workflow/scripts/{name}.py")]
    return {
        "curate": [
            *script("curate"),
            *("--settings", json.dumps(settings["data"]), "--failures", folder / "failures.csv"),
            *(word for name, path in stores.items() for word in (f"--{name}", path)),
        ],
        "shift measures": [
            *script("diagnose_shifts"),
            *("--train", stores["train"], "--test", stores["test"]),
            *("--labels", "reference", stores["train-reference"], stores["test-reference"]),
            *("--cutoff", settings["spectra"]["cutoff_A"], "--variant", settings["spectra"]["variant"]),
            *("--sample", settings["shifts"]["sample"], "--seed", "0", "--sigma", "1"),
            *("--output", folder / "shifts.csv", "--summary", folder / "summary.csv", "--sweep", folder / "sweep.csv"),
        ],
        "job graph": [
            *(str(Path(sys.executable).parent / "snakemake"), "--workflow-profile", "none", "-n", "diagnose_shifts"),
            *("--configfile", folder / "config.yaml", "--config", "run=benchmark_of_scale"),
        ],
    }


def main(largest=LARGEST, place=None):
    environment = os.environ | {"PYTHONPATH": str(ROOT / "workflow"), "OMP_NUM_THREADS": "1"}
    first = {}
    count = SMALLEST
    while count <= int(largest):
        with tempfile.TemporaryDirectory(dir=place) as folder:
            folder = Path(folder)
            # in a process of its own: a child counts the memory of its parent as its own peak
            subprocess.run([sys.executable, __file__, "--generate", folder, str(count)], env=environment, check=True)
            for step, command in steps(folder).items():
                seconds, peak = measured(list(map(str, command)), environment)
                rate = f"{seconds:.1f} s" if step == "job graph" else f"{count / seconds:.0f} structures/s"
                ratio = first.setdefault(step, peak) / peak
                line(f"{step}, {count:,}", rate, f"{peak:.0f} MiB", ratio)
        count *= 10


if __name__ == "__main__":
    if sys.argv[1:2] == ["--generate"]:
        generate(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        main(*sys.argv[1:])
