"""What is observed in a trajectory: whether it is stable, what h(r) it has, what becomes of its energy.

Definitions of the published evaluation (Fu et al. 2023, arXiv 2210.07237, whose code the paper's is made of): a
molecule has collapsed at the first frame in which a bond is more than 0.5 Å from its mean length in reference
geometries; h(r) is the density of all interatomic distances in 500 bins from 0 to 10 Å, up to the collapse, and its
error the mean absolute difference of two densities (1/Å) times the 10 Å, the area between both.
"""

from dataclasses import dataclass

import numpy as np
from ase.data import covalent_radii

BONDED = 1.25  # sums of covalent radii up to which a mean distance is a bond
STRETCH = 0.5  # Å from its mean length at which a bond is no longer one
BINS, FARTHEST = 500, 10.0  # of h(r), Å
NONE, BOND, ENERGY = "none", "bond", "energy"  # events


@dataclass(frozen=True)
class Bonds:
    """Bonds of a molecule: pairs [B, 2] of atoms, i < j, and their mean lengths [B] (Å)."""

    pairs: np.ndarray
    lengths: np.ndarray

    def stretch(self, positions: np.ndarray) -> np.ndarray:
        """How far every bond is from its mean length [..., B] (Å) in positions [..., n, 3] Å."""
        return lengths_of(positions, self.pairs) - self.lengths

    def broken(self, positions: np.ndarray) -> np.ndarray:
        """Whether a bond is more than STRETCH from its mean length [...], for positions [..., n, 3] Å."""
        found = np.abs(self.stretch(positions))
        return ~(found <= STRETCH).all(axis=-1)

    def first(self, positions: np.ndarray) -> int:
        """Number of the bond that is furthest from its mean length in positions [n, 3] Å; -1 without bonds."""
        found = np.nan_to_num(np.abs(self.stretch(positions)), nan=-1.0)
        return int(found.argmax()) if len(found) else -1


def lengths_of(positions: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Distances [..., P] (Å) of pairs [P, 2] in positions [..., n, 3] Å."""
    return np.linalg.norm(positions[..., pairs[:, 0], :] - positions[..., pairs[:, 1], :], axis=-1)


def all_pairs(atoms: int) -> np.ndarray:
    """Pairs [P, 2] of atoms, i < j."""
    return np.stack(np.triu_indices(atoms, 1), axis=1)


def bonds_of(numbers: np.ndarray, geometries: np.ndarray) -> Bonds:
    """Bonds of reference geometries [G, n, 3] Å: pairs whose mean distance is at most BONDED sums of covalent radii."""
    pairs = all_pairs(len(numbers))
    mean = lengths_of(geometries, pairs).mean(axis=0)
    radii = covalent_radii[numbers]
    near = mean <= BONDED * (radii[pairs[:, 0]] + radii[pairs[:, 1]])
    return Bonds(pairs[near], mean[near])


def h_of_r(geometries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(middle of the bins [BINS] Å, density [BINS] 1/Å) of all distances in geometries [G, n, 3] Å.

    Distances beyond FARTHEST are counted in no bin; the density integrates to 1 over those within, and is 0 without
    any.
    """
    distances = lengths_of(geometries, all_pairs(geometries.shape[1])).ravel()
    counts, edges = np.histogram(distances[np.isfinite(distances)], BINS, (0.0, FARTHEST))
    width = FARTHEST / BINS
    return (edges[:-1] + edges[1:]) / 2, counts / max(1, counts.sum()) / width


def h_of_r_error(first: np.ndarray, second: np.ndarray) -> float:
    """Area between two densities of h_of_r, 2 where they share no distance."""
    return float(np.abs(first - second).mean() * FARTHEST)


def drift(times: np.ndarray, total: np.ndarray, atoms: int) -> float:
    """Slope (meV per atom and ps) of total energies [F] (eV) at times [F] (ps); NaN for fewer than two frames."""
    known = np.isfinite(total)
    if known.sum() < 2:
        return np.nan
    slope = np.polyfit(times[known], total[known] - total[known][0], 1)[0]
    return float(1e3 * slope / atoms)


def excursion(total: np.ndarray, atoms: int) -> float:
    """Largest distance (meV per atom) of total energies [F] (eV) from the first one."""
    known = total[np.isfinite(total)]
    return float(1e3 * np.abs(known - known[0]).max() / atoms) if len(known) else np.nan
