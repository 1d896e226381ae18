"""Where surfaces and bond scans start: a minimum in GFN2-xTB, and the softest and stiffest directions there.

The directions are eigenvectors of the Hessian in Cartesian coordinates, not weighted by masses, as those of Kreiman &
Krishnapriyan 2026, figure 4, are said to be.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import read, write

# pairs of directions -> their places among the internal ones, ascending by curvature
PAIRS = {"soft": (0, 1), "stiff": (-1, -2)}


@dataclass(frozen=True)
class Minimum:
    """A molecule at a minimum; neutral singlets alone.

    name; smiles; numbers [n]; positions [n, 3] Å; curvatures: {pair of PAIRS: [2] eV/Å²}; directions: {pair:
    [2, n, 3]}, of unit norm.
    """

    name: str
    smiles: str
    numbers: np.ndarray
    positions: np.ndarray
    curvatures: Mapping[str, np.ndarray]
    directions: Mapping[str, np.ndarray]


def save(path: Path, minima: Mapping[str, Minimum]) -> None:
    """Write minima as extended XYZ, in the order of their names, positions and directions to 1e-8."""
    frames = []
    for _, m in sorted(minima.items()):
        atoms = Atoms(m.numbers, np.round(m.positions, 8))
        atoms.info = {"molecule": m.name, "smiles": m.smiles}
        for pair, k in ((pair, k) for pair in PAIRS for k in (0, 1)):
            atoms.info[f"curvature_{pair}_{k + 1}_eV_per_A2"] = round(float(m.curvatures[pair][k]), 6)
            atoms.set_array(f"direction_{pair}_{k + 1}", np.round(m.directions[pair][k], 8))
        frames.append(atoms)
    write(path, frames, format="extxyz")


def load(path: Path) -> dict[str, Minimum]:
    """{name: Minimum} of a file that `save` wrote."""
    out = {}
    for atoms in read(path, index=":", format="extxyz"):
        of = lambda kept, words: {pair: np.array([kept[words.format(pair, k)] for k in (1, 2)]) for pair in PAIRS}
        directions = of(atoms.arrays, "direction_{}_{}")
        norms = {pair: np.sqrt((d**2).sum(axis=(1, 2), keepdims=True)) for pair, d in directions.items()}
        directions = {pair: d / norms[pair] for pair, d in directions.items()}  # rounded in the file
        curvatures = of(atoms.info, "curvature_{}_{}_eV_per_A2")
        name = atoms.info["molecule"]
        out[name] = Minimum(name, atoms.info["smiles"], atoms.numbers, atoms.positions, curvatures, directions)
    return out
