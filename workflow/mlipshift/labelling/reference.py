"""Reference labels: density functional theory with PySCF.

Default level: wB97M-D3(BJ)/def2-SVP, density fitting, grid level 3, no frozen core.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from ase.io import read

from mlipshift.base.errors import UserError
from mlipshift.base.units import BOHR, EV

STEP = 2e-3  # Å, of finite differences
SAME_GEOMETRY = 1e-6  # Å
# columns of `quality`
QUALITY = [
    "finite_differences_meV_per_A",
    "net_force_meV_per_A",
    "finer_grid_meV_per_A",
    "tighter_convergence_meV_per_A",
]
MAX_NET_FORCE = 0.02  # eV/Å; the integration grid breaks translation invariance, more than this is a failure
ALL_ELECTRON = 36  # def2 basis sets of heavier elements come with effective core potentials


def molecule(numbers: np.ndarray, positions: np.ndarray, charge: int, multiplicity: int, settings: dict) -> Any:
    """PySCF's molecule; elements beyond krypton have effective core potentials. Raises ValueError without a basis."""
    from pyscf import gto

    try:
        return gto.M(
            atom=[(int(z), tuple(x)) for z, x in zip(numbers, positions)],
            basis=settings["basis"],
            ecp={chemical_symbols[z]: settings["basis"] for z in set(numbers) if z > ALL_ELECTRON},
            unit="Angstrom",
            charge=int(charge),
            spin=int(multiplicity) - 1,
            verbose=0,
        )
    except Exception as error:  # PySCF raises RuntimeError, KeyError and its own BasisNotFoundError
        raise ValueError(f"{settings['basis']}: {' '.join(str(error).split())}") from error


def solved(
    numbers: np.ndarray,
    positions: np.ndarray,
    charge: int,
    multiplicity: int,
    settings: dict,
    start: np.ndarray | None = None,
) -> Any:
    """Converged Kohn-Sham calculation of PySCF; arguments and errors as in `label`.

    start: density matrix to begin with, [nao, nao], or [2, nao, nao] for an unrestricted calculation.
    """
    from pyscf import dft, lib

    lib.num_threads(1)
    mol = molecule(numbers, positions, charge, multiplicity, settings)
    restricted = multiplicity == 1 and (start is None or np.ndim(start) == 2)
    method = dft.RKS if restricted else dft.UKS
    field = method(mol, xc=settings["xc"]).density_fit()
    field.grids.level = settings["grid_level"]
    field.conv_tol = settings["conv_tol"]
    field.kernel(dm0=start)
    if not field.converged:
        field = field.newton()
        field.kernel()
    if not field.converged:
        raise ValueError("the self-consistent field did not converge")
    return field


def _forces(field):
    """Forces [n, 3] (eV/Å) of a converged calculation, with the net force that the grid leaves."""
    return -np.asarray(field.nuc_grad_method().kernel()) * EV / BOHR


def label_of(field: Any) -> tuple[float, np.ndarray]:
    """Energy (eV) and forces [n, 3] (eV/Å) of a calculation; raises ValueError if the forces do not add up to zero."""
    forces = _forces(field)
    net = np.abs(forces.sum(0)).max()
    if not np.isfinite(forces).all() or net > MAX_NET_FORCE:
        raise ValueError(f"net force of {net:.3f} eV/Å")
    return float(field.e_tot) * EV, forces - forces.mean(0)


def label(
    numbers: np.ndarray, positions: np.ndarray, charge: int, multiplicity: int, settings: dict[str, Any]
) -> tuple[float, np.ndarray]:
    """Energy (eV) and forces [n, 3] (eV/Å) of one structure, numbers [n], positions [n, 3] Å.

    settings: {"xc", "basis", "grid_level", "conv_tol"}; the Kohn-Sham determinant is unrestricted for
    multiplicity > 1. Raises ValueError with the reason when the self-consistent field does not
    converge (DIIS, then second order), a basis is missing, or the forces do not add up to zero.
    """
    return label_of(solved(numbers, positions, charge, multiplicity, settings))


def quality(
    numbers: np.ndarray,
    positions: np.ndarray,
    charge: int,
    multiplicity: int,
    settings: dict[str, Any],
    components: Iterable[tuple[int, int]],
    field: Any | None = None,
) -> dict[str, float]:
    """How far the labels of one structure can be trusted, QUALITY: largest errors of its force components (meV/Å).

    finite_differences: of the energy, at the `components` [(atom, axis)], by central differences of STEP;
    net_force: what `label` subtracts; finer_grid: change of the forces at a grid level higher by 2;
    tighter_convergence: change at a hundredth of conv_tol. field: converged calculation of the structure, whose
    determinant is the one to check, also where the atoms have moved; solved anew without. Errors as in `label`.
    """
    structure = (charge, multiplicity)
    start = field.make_rdm1() if field else None
    raw = _forces(field or solved(numbers, positions, *structure, settings))
    forces = raw - raw.mean(0)
    finer = settings | {"grid_level": settings["grid_level"] + 2}
    tighter = settings | {"conv_tol": settings["conv_tol"] / 100}
    differences = []
    for atom, axis in components:
        moved = [positions.copy(), positions.copy()]
        moved[0][atom, axis] -= STEP
        moved[1][atom, axis] += STEP
        below, above = (float(solved(numbers, x, *structure, settings, start).e_tot) * EV for x in moved)
        differences.append((below - above) / (2 * STEP) - forces[atom, axis])
    change = lambda other: np.abs(label_of(solved(numbers, positions, *structure, other, start))[1] - forces).max()
    largest = (np.abs(differences).max(), np.abs(raw.sum(0)).max(), change(finer), change(tighter))
    return {name: 1e3 * float(value) for name, value in zip(QUALITY, largest)}


def known_labels(folder: Path | None, settings: dict[str, Any]) -> dict[str, Atoms]:
    """Labelled structures by id of a benchmark made before, none without a folder.

    Raises UserError if its level of theory is not `settings`.
    """
    if folder is None:
        return {}
    level = json.loads((folder / "level.json").read_text())
    if level != settings:
        raise UserError(
            f"{folder}/level.json: labels of {level}, but labelling.level is {settings}; set labelling.known to null"
        )
    return {a.info["id"]: a for path in sorted(folder.glob("*.extxyz")) for a in read(path, index=":")}


def find(known: dict[str, Atoms], atoms: Atoms) -> tuple[float, np.ndarray] | None:
    """Energy (eV) and forces [n, 3] (eV/Å) of the same geometry among `known_labels`, None if it is not there."""
    other = known.get(atoms.info["id"])
    if other is None or len(other) != len(atoms) or (other.numbers != atoms.numbers).any():
        return None
    if np.abs(other.positions - atoms.positions).max() > SAME_GEOMETRY:
        return None
    return other.info["REF_energy"], other.arrays["REF_forces"]
