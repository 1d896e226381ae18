"""Prior labels: energies and forces of a cheap, general method (GFN-xTB).

Never import this module in a process that also imports torch: the OpenMP runtimes of both clash.
"""

import numpy as np
from ase.units import Bohr, Hartree

from mlipshift.errors import UserError

METHODS = ("GFN1-xTB", "GFN2-xTB")
MAX_ELEMENT = 86  # GFN1- and GFN2-xTB are parametrised for H to Rn
MIN_DISTANCE = 0.3  # Å; below it tblite returns an energy of millions of eV without complaint
MAX_FORCE = 1e3  # eV/Å


def gfn_xtb(method, charge=0, multiplicity=1):
    """ASE calculator of tblite for a method of METHODS."""
    from tblite.ase import TBLite

    if method not in METHODS:
        raise UserError(f"prior method {method!r} is unknown; use one of {', '.join(METHODS)}")
    return TBLite(method=method, charge=charge, multiplicity=multiplicity, verbosity=0)


def check_spin(numbers, charge, multiplicity):
    """Raise ValueError unless the electrons of `numbers` [n] allow the charge and the multiplicity 2S + 1."""
    electrons = int(np.sum(numbers, dtype=int)) - charge
    unpaired = multiplicity - 1
    if not 0 <= unpaired <= electrons or (electrons - unpaired) % 2:
        raise ValueError(f"charge {charge} and multiplicity {multiplicity} do not fit {electrons} electrons")


def label(numbers, positions, charge, multiplicity, method="GFN2-xTB"):
    """Energy (eV) and forces [n, 3] (eV/Å) of one structure.

    Raises ValueError with the reason when the structure has no trustworthy label.
    """
    from tblite.interface import Calculator

    numbers = np.asarray(numbers)
    positions = np.asarray(positions, dtype=float)
    if not np.isfinite(positions).all():
        raise ValueError("positions are not finite")
    if numbers.max(initial=1) > MAX_ELEMENT or numbers.min(initial=1) < 1:
        raise ValueError(f"element Z={numbers.max()} is outside {method} (Z = 1 to {MAX_ELEMENT})")
    if len(numbers) > 1:
        d = np.linalg.norm(positions[:, None] - positions[None], axis=-1)
        d[np.diag_indices(len(numbers))] = np.inf
        if d.min() < MIN_DISTANCE:
            raise ValueError(f"two atoms are {d.min():.3f} Å apart")
    check_spin(numbers, int(charge), int(multiplicity))
    try:
        # the bare interface: the ASE calculator costs more than the method itself on small molecules
        calculator = Calculator(method, numbers, positions / Bohr, float(charge), int(multiplicity) - 1)
        calculator.set("verbosity", 0)
        result = calculator.singlepoint()
        energy, forces = float(result["energy"]) * Hartree, -result["gradient"] * (Hartree / Bohr)
    except Exception as error:  # tblite raises many kinds; each is a failed structure
        raise ValueError(f"{method} failed: {' '.join(str(error).split())}") from error
    if not (np.isfinite(energy) and np.isfinite(forces).all()):
        raise ValueError(f"{method} returned values that are not finite")
    if np.abs(forces).max() > MAX_FORCE:
        raise ValueError(f"{method} force of {np.abs(forces).max():.0f} eV/Å exceeds {MAX_FORCE:.0f}")
    if np.abs(forces.sum(0)).max() > 1e-3:
        raise ValueError(f"{method} net force of {np.abs(forces.sum(0)).max():.1e} eV/Å is not zero")
    return energy, forces
