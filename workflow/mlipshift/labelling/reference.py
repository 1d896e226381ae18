"""Reference labels: density functional theory with PySCF.

Default level: wB97M-D3(BJ)/def2-SVP, density fitting, grid level 3, no frozen core; effective core potentials beyond
krypton. `stable_label` also follows the Kohn-Sham determinant to a stable one (Seeger and Pople 1977).
"""

import numpy as np
from ase.data import chemical_symbols

EV = 27.211386245988  # eV per hartree, CODATA 2018
BOHR = 0.529177210903  # Å per bohr, CODATA 2018
STEP = 2e-3  # Å, of finite differences
MAX_NET_FORCE = 0.02  # eV/Å; the integration grid breaks translation invariance, more than this is a failure
LARGEST_ALL_ELECTRON = 36  # the def2 basis sets of heavier elements come with effective core potentials
SCREENING = {"basis": "def2-svp", "grid_level": 1}  # where the stability is analysed first
STABILITY_GRID = 1  # grid level of the orbital Hessian
SAFE = 0.1  # hartree; a softer orbital rotation in SCREENING is analysed again at the level of the label
UNSTABLE = -1e-3  # hartree; what lies between is numerical noise, and the zero modes of open shells
GAIN = 1e-6  # hartree by which a rotated determinant must be lower
ROTATIONS = 5


def _molecule(numbers, positions, charge, multiplicity, settings):
    """PySCF's molecule; raises ValueError if its basis is missing."""
    from pyscf import gto

    try:
        return gto.M(
            atom=[(int(z), tuple(x)) for z, x in zip(numbers, positions)],
            basis=settings["basis"],
            ecp={chemical_symbols[z]: settings["basis"] for z in set(numbers) if z > LARGEST_ALL_ELECTRON},
            unit="Angstrom",
            charge=int(charge),
            spin=int(multiplicity) - 1,
            verbose=0,
        )
    except Exception as error:  # PySCF raises RuntimeError, KeyError and its own BasisNotFoundError
        raise ValueError(f"{settings['basis']}: {' '.join(str(error).split())}") from error


def _solved(numbers, positions, charge, multiplicity, settings, start=None):
    """Converged Kohn-Sham calculation of PySCF; arguments and errors as in `label`.

    start: density matrix to begin with, [nao, nao], or [2, nao, nao] for an unrestricted calculation.
    """
    from pyscf import dft, lib

    lib.num_threads(1)
    mol = _molecule(numbers, positions, charge, multiplicity, settings)
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


def _label_of(field):
    """Energy and forces as `label` returns them; raises ValueError if the forces do not add up to zero."""
    forces = _forces(field)
    net = np.abs(forces.sum(0)).max()
    if not np.isfinite(forces).all() or net > MAX_NET_FORCE:
        raise ValueError(f"net force of {net:.3f} eV/Å")
    return float(field.e_tot) * EV, forces - forces.mean(0)


def label(numbers, positions, charge, multiplicity, settings):
    """Energy (eV) and forces [n, 3] (eV/Å) of one structure.

    settings: {"xc", "basis", "grid_level", "conv_tol"}; the Kohn-Sham determinant is unrestricted for
    multiplicity > 1. Raises ValueError with the reason when the self-consistent field does not
    converge (DIIS, then second order), a basis is missing, or the forces do not add up to zero.
    """
    return _label_of(_solved(numbers, positions, charge, multiplicity, settings))


def quality(numbers, positions, charge, multiplicity, settings, components):
    """How far the labels of one structure can be trusted: largest errors of its force components (meV/Å).

    finite_differences: of the energy, at the `components` [(atom, axis)], by central differences of STEP;
    net_force: what `label` subtracts; finer_grid: change of the forces at a grid level higher by 2;
    tighter_convergence: change at a hundredth of conv_tol. Errors as in `label`.
    """
    structure = (charge, multiplicity)
    raw = _forces(_solved(numbers, positions, *structure, settings))
    forces = raw - raw.mean(0)
    finer = settings | {"grid_level": settings["grid_level"] + 2}
    tighter = settings | {"conv_tol": settings["conv_tol"] / 100}
    differences = []
    for atom, axis in components:
        moved = [positions.copy(), positions.copy()]
        moved[0][atom, axis] -= STEP
        moved[1][atom, axis] += STEP
        below, above = (float(_solved(numbers, x, *structure, settings).e_tot) * EV for x in moved)
        differences.append((below - above) / (2 * STEP) - forces[atom, axis])
    change = lambda other: np.abs(label(numbers, positions, *structure, other)[1] - forces).max()
    largest = {
        "finite_differences": np.abs(differences).max(),
        "net_force": np.abs(raw.sum(0)).max(),
        "finer_grid": change(finer),
        "tighter_convergence": change(tighter),
    }
    return {f"{name}_meV_per_A": 1e3 * float(value) for name, value in largest.items()}


def _softest_rotation(field):
    """Lowest eigenvalue (hartree) of the unrestricted orbital Hessian, and the density [2, nao, nao] rotated along it.

    A restricted determinant is analysed as the unrestricted one it is, so that its instability towards broken spin
    symmetry is found as well. Real orbitals, one Davidson root, start without spin or point-group symmetry.
    """
    from pyscf import lib
    from pyscf.dft import gen_grid
    from pyscf.soscf import newton_ah

    twin = field.copy() if np.ndim(field.mo_occ) == 2 else field.to_uks()
    twin.grids = gen_grid.Grids(field.mol)
    twin.grids.level = STABILITY_GRID
    coefficients, occupations = np.asarray(twin.mo_coeff), np.asarray(twin.mo_occ)
    gradient, product, diagonal = newton_ah.gen_g_hop_uhf(twin, coefficients, occupations, with_symmetry=False)
    diagonal = 2 * diagonal
    if len(diagonal) == 0:
        return np.inf, twin.make_rdm1()
    preconditioned = lambda dx, e, *_: dx / np.where(np.abs(diagonal - e) < 1e-8, 1e-8, diagonal - e)
    start = 1 / np.maximum(np.abs(diagonal), 1e-2)
    start[np.argmin(diagonal)] += start.sum()
    value, vector = lib.davidson(lambda x: 2 * product(x).real, start, preconditioned, tol=1e-4, verbose=0)
    rotated, first = [], 0
    for orbitals, occupied in zip(coefficients, occupations > 0):
        last = first + np.count_nonzero(occupied) * np.count_nonzero(~occupied)
        generator = np.zeros((len(occupied), len(occupied)))
        generator[np.ix_(~occupied, occupied)] = vector[first:last].reshape(-1, np.count_nonzero(occupied))
        rotated.append(orbitals @ newton_ah.expmat(generator - generator.T))
        first = last
    return float(value), np.asarray(twin.make_rdm1(np.asarray(rotated), occupations))


def _followed(structure, settings, start=None):
    """(calculation, its softest rotation in hartree, number of instabilities followed) of a stable determinant.

    The rotation is still below UNSTABLE when following it did not lower the energy.
    """
    field = _solved(*structure, settings, start)
    for turns in range(ROTATIONS + 1):
        softest, rotated = _softest_rotation(field)
        if softest > UNSTABLE or turns == ROTATIONS:
            break
        lower = _solved(*structure, settings, rotated)
        if lower.e_tot > field.e_tot - GAIN:
            break
        field = lower
    return field, softest, turns


def _spin_gap(structure, settings, energy):
    """The next multiplicity above a singlet or doublet, below others, and its energy (eV) above `energy` (hartree).

    The gap is nan where the other spin state does not converge.
    """
    numbers, positions, charge, multiplicity = structure
    other = int(multiplicity) + 2 if multiplicity < 3 else int(multiplicity) - 2
    try:
        field, *_ = _followed((numbers, positions, charge, other), settings)
    except ValueError:
        return other, np.nan
    return other, float(field.e_tot - energy) * EV


def stable_label(
    numbers: np.ndarray,
    positions: np.ndarray,
    charge: int,
    multiplicity: int,
    settings: dict,
    known: tuple[float, np.ndarray] | None = None,
) -> tuple[float, np.ndarray, dict]:
    """Energy (eV) and forces [n, 3] (eV/Å) as `label`, of a determinant followed to a stable one, and its state.

    The stability is analysed in SCREENING, where each unstable determinant is followed to the lower one; the result is
    projected onto the basis of `settings` as the start of the label. Where an instability was found, or the softest
    rotation is below SAFE, this is repeated at the level of the label. known: label at this level, taken over where
    the determinant is restricted and safe. Errors as in `label`.

    The state: kohn_sham ("restricted", "unrestricted"), stability ("stable", "followed" from an unstable determinant to
    a stable one, "unstable": an instability is left), softest_rotation (hartree) and analysed_in (basis), s2 (<S^2>);
    where the shell is open, or a rotation soft or followed: other_multiplicity and spin_gap, the energy of that spin
    state above the label's in SCREENING (eV, nan if it did not converge).
    """
    from pyscf.scf import addons

    structure, small = (numbers, positions, charge, multiplicity), settings | SCREENING
    field, softest, turns = _followed(structure, small)
    safe = softest >= SAFE and not turns
    state = {}
    if multiplicity > 1 or not safe:
        state["other_multiplicity"], state["spin_gap"] = _spin_gap(structure, small, field.e_tot)
    basis, restricted = small["basis"], np.ndim(field.mo_occ) == 1
    if known and restricted and safe:
        energy, forces = known
    else:
        start = addons.project_dm_nr2nr(field.mol, field.make_rdm1(), _molecule(*structure, settings))
        if safe:
            field = _solved(*structure, settings, start)
        else:
            basis = settings["basis"]
            field, softest, more = _followed(structure, settings, start)
            turns += more
        energy, forces = _label_of(field)
    unstable = softest <= UNSTABLE
    state |= {
        "kohn_sham": "restricted" if np.ndim(field.mo_occ) == 1 else "unrestricted",
        "stability": "unstable" if unstable else "followed" if turns else "stable",
        "softest_rotation": softest,
        "analysed_in": basis,
        "s2": float(field.spin_square()[0]) if np.ndim(field.mo_occ) == 2 else 0.0,
    }
    return energy, forces, state
