"""Reference labels: density functional theory with PySCF.

Default level: wB97M-D3(BJ)/def2-SVP, density fitting, grid level 3, no frozen core.
"""

import numpy as np

EV = 27.211386245988  # eV per hartree, CODATA 2018
BOHR = 0.529177210903  # Å per bohr, CODATA 2018
MAX_NET_FORCE = 0.02  # eV/Å; the integration grid breaks translation invariance, more than this is a failure


def label(numbers, positions, charge, multiplicity, settings):
    """Energy (eV) and forces [n, 3] (eV/Å) of one structure.

    settings: {"xc", "basis", "grid_level", "conv_tol"}; the Kohn-Sham determinant is unrestricted for
    multiplicity > 1. Raises ValueError with the reason when the self-consistent field does not
    converge (DIIS, then second order), a basis is missing, or the forces do not add up to zero.
    """
    from pyscf import dft, gto, lib

    lib.num_threads(1)
    try:
        mol = gto.M(
            atom=[(int(z), tuple(x)) for z, x in zip(numbers, positions)],
            basis=settings["basis"],
            unit="Angstrom",
            charge=int(charge),
            spin=int(multiplicity) - 1,
            verbose=0,
        )
    except Exception as error:  # PySCF raises RuntimeError, KeyError and its own BasisNotFoundError
        raise ValueError(f"{settings['basis']}: {' '.join(str(error).split())}") from error
    method = dft.RKS if multiplicity == 1 else dft.UKS
    field = method(mol, xc=settings["xc"]).density_fit()
    field.grids.level = settings["grid_level"]
    field.conv_tol = settings["conv_tol"]
    field.kernel()
    if not field.converged:
        field = field.newton()
        field.kernel()
    if not field.converged:
        raise ValueError("the self-consistent field did not converge")
    energy = float(field.e_tot) * EV
    forces = -np.asarray(field.nuc_grad_method().kernel()) * EV / BOHR
    net = np.abs(forces.sum(0)).max()
    if not np.isfinite(forces).all() or net > MAX_NET_FORCE:
        raise ValueError(f"net force of {net:.3f} eV/Å")
    return energy, forces - forces.mean(0)
