"""Small copies of the embedded benchmark to damage."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from ase.io import read, write

ROOT = Path(__file__).parents[2]
BENCHMARK = ROOT / "resources" / "benchmark"
KEYS = {"energy": "REF_energy", "forces": "REF_forces"}
UNITS = {"energy": "eV", "length": "Angstrom", "forces": "eV/Angstrom"}
GROUPS = ["train", "id_test"] + [
    f"{kind}_{axis}" for kind in ("val", "ood") for axis in ("new_elements", "connectivity", "force_norm", "larger")
]


def sample(group, count=12):
    """The first frames of a group."""
    return read(BENCHMARK / f"{group}.extxyz", index=f":{count}")


def store(path, frames):
    """Write frames as extxyz; returns the path as text."""
    write(path, frames, format="extxyz")
    return str(path)


def checksums(folder):
    """Write SHA256SUMS of all extxyz files in a folder; returns its path as text."""
    path = folder / "SHA256SUMS"
    lines = [f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.name}" for p in sorted(folder.glob("*.extxyz"))]
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def settings(folder, **changes):
    """Section `data` of the configuration for the files in a folder."""
    return {
        "files": {group: [f"{folder}/{group}.extxyz"] for group in ("train", "id_test")},
        "checksums": None,
        "units": UNITS,
        "keys": KEYS,
        "bad_structures": "refuse",
        "max_structures_per_group": None,
        **changes,
    }


def environment():
    """Environment in which a user would start a run: this Python first, no library on the path."""
    strange = ("PYTHONPATH", "MLIPSHIFT_RELAY", "MAKE", "MFLAGS")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(strange)}
    return {**kept, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"}


def run(command, **options):
    """Completed process with output as text."""
    return subprocess.run(command, capture_output=True, text=True, **{"env": environment(), **options})
