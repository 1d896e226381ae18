"""Import, curation, prior and shift measures of 20,000, 200,000, ... small structures: rate, memory, time of the graph.

The structures are rattled small molecules in harmonic wells, in HDF5 files of the layout of SPICE, a hundred of a
molecule as there; four fifths of them are for training. 20,000 are 1 % of SPICE, 2,000,000 as many as it has. All steps
run through their scripts, in processes of their own; the prior labels the training structures in one job. Per line:
structures per second, peak resident memory, and the peak with the fewest structures over this one (near 1: it does not
grow). The job graph is that of `snakemake -n` for the shift measures of these files.

    python benchmarks/bench_scale.py [LARGEST] [FOLDER]
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np
from ase.build import molecule
from common import line

ROOT = Path(__file__).resolve().parent.parent
SMALLEST, LARGEST = 20_000, 200_000
TRAIN = {
    "H2O": "O",
    "NH3": "N",
    "CH4": "C",
    "C2H2": "C#C",
    "C2H4": "C=C",
    "HCOOH": "O=CO",
    "CH3OH": "CO",
    "CH3CHO": "CC=O",
}
TEST = {"CH3SH": "CS", "C2H6": "CC"}
CONFORMATIONS = 100
SIGMA, SPRING = 0.05, 20.0  # Å, eV/Å²


def generate(folder, count):
    """Write `count` structures to files of the layout of SPICE, for training and for testing."""
    from mlipshift.base.units import BOHR, EV, FORCES

    rng = np.random.default_rng(0)
    groups = count // CONFORMATIONS // (len(TRAIN) + len(TEST))
    for part, names in (("train", TRAIN), ("test", TEST)):
        with h5py.File(folder / f"{part}.hdf5", "w") as handle:
            for k, (name, smiles) in ((k, pair) for pair in names.items() for k in range(groups)):
                atoms = molecule(name)
                shift = rng.normal(scale=SIGMA, size=(CONFORMATIONS, len(atoms), 3))
                offset = -0.5 * (atoms.numbers**2.4).sum()
                group = handle.create_group(f"{name} {k}")
                group["smiles"], group["subset"] = [smiles], ["rattled"]
                group["atomic_numbers"] = atoms.numbers.astype(np.int16)
                group["conformations"] = ((atoms.positions + shift) / BOHR).astype(np.float32)
                group["dft_total_energy"] = offset + SPRING / 2 * np.square(shift).sum((1, 2)) / EV
                group["dft_total_gradient"] = (SPRING * shift / FORCES["Hartree/Bohr"]).astype(np.float32)


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
    """{step: (command, share of the structures that it is for)}, and the configuration that asks for the same."""
    entries = {part: {"files": [str(folder / f"{part}.hdf5")], "level": "springs"} for part in ("train", "test")}
    files = {"train": [str(folder / "train.h5")], "ood_molecules": [str(folder / "test.h5")]}
    given = {"data": {"files": files, "checksums": None, "level": "springs"}, "shifts": {"labels": ["reference"]}}
    (folder / "config.yaml").write_text(json.dumps(given))
    sys.path.insert(0, str(ROOT / "workflow"))
    from mlipshift.run import configuration

    # of two sources, so that the default files are not used beside these
    settings = configuration.load(
        given | {"import": entries},
        ROOT / "workflow/schemas/config.schema.yaml",
        [("defaults", {}), ("this", given | {"import": entries})],
    )
    stores = {n: folder / f"curated_{n}.h5" for n in ("train", "train-reference", "test", "test-reference")}
    script = lambda name: [sys.executable, str(ROOT / f"workflow/scripts/{name}.py")]
    imported = {
        f"import, {part}": (
            [
                *script("import_dataset"),
                *("--name", part, "--recipe", json.dumps(settings["import"][part])),
                *("--settings", json.dumps(settings["data"]), "--output", folder / f"{part}.h5"),
                *("--counts", folder / f"{part}.csv", "--failures", folder / f"{part}_failures.csv"),
            ],
            len(names) / (len(TRAIN) + len(TEST)),
        )
        for part, names in (("train", TRAIN), ("test", TEST))
    }
    return imported | {
        "curate": (
            [
                *script("curate"),
                *("--settings", json.dumps(settings["data"]), "--failures", folder / "failures.csv"),
                *(word for name, path in stores.items() for word in (f"--{name}", path)),
            ],
            1.0,
        ),
        "prior": (
            [
                *script("label_prior"),
                *("--frames", stores["train"], "--method", settings["prior"]["method"]),
                *("--engine", settings["prior"]["engine"], "--accuracy", settings["prior"]["accuracy"]),
                *("--shard", "1-of-1", "--output", folder / "prior.h5"),
                *("--failures", folder / "prior.csv", "--timing", folder / "prior.json"),
            ],
            len(TRAIN) / (len(TRAIN) + len(TEST)),
        ),
        "shift measures": (
            [
                *script("diagnose_shifts"),
                *("--train", stores["train"], "--test", stores["test"]),
                *("--labels", "reference", stores["train-reference"], stores["test-reference"]),
                *("--cutoff", settings["spectra"]["cutoff_A"], "--variant", settings["spectra"]["variant"]),
                *("--sample", settings["shifts"]["sample"], "--seed", "0", "--sigma", "1"),
                *("--output", folder / "shifts.csv", "--summary", folder / "summary.csv"),
                *("--sweep", folder / "sweep.csv"),
            ],
            1.0,
        ),
        "job graph": (
            [
                *(str(Path(sys.executable).parent / "snakemake"), "--workflow-profile", "none", "-n"),
                *("diagnose_shifts", "--configfile", folder / "config.yaml", "--config", "run=benchmark_of_scale"),
            ],
            1.0,
        ),
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
            for step, (command, share) in steps(folder).items():
                seconds, peak = measured(list(map(str, command)), environment)
                rate = f"{seconds:.1f} s" if step == "job graph" else f"{share * count / seconds:.0f} structures/s"
                ratio = first.setdefault(step, peak) / peak
                line(f"{step}, {count:,}", rate, f"{peak:.0f} MiB", ratio)
        count *= 10


if __name__ == "__main__":
    if sys.argv[1:2] == ["--generate"]:
        generate(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        main(*sys.argv[1:])
