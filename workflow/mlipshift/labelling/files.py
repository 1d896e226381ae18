"""Files of a set of labelled structures."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from ase import Atoms
from ase.io import write

from mlipshift.base.files import replacing


def write_set(groups: Mapping[str, Sequence[Atoms]], folder: Path) -> None:
    """Write the structures of every group, in their order, and SHA256SUMS of the files to a folder."""
    sums = []
    for name, some in groups.items():
        path = folder / f"{name}.extxyz"
        with replacing(path) as part:
            write(part, list(some), format="extxyz", columns=["symbols", "positions", "REF_forces"])
        sums.append(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}")
    with replacing(folder / "SHA256SUMS") as part:
        part.write_text("\n".join(sums) + "\n")
