"""Reference labels of a stable Kohn-Sham determinant: an unstable one is followed to a lower one.

Analysis of the real orbital Hessian after Seeger and Pople, J. Chem. Phys. 66, 3045 (1977).
"""

from typing import Any

import numpy as np

from mlipshift.base.units import EV
from mlipshift.labelling.reference import label_of, molecule, solved

SCREENING = {"basis": "def2-svp", "grid_level": 1}  # where the stability is analysed first
HESSIAN_GRID = 1  # grid level of the orbital Hessian
SAFE = 0.1  # hartree; a softer orbital rotation in SCREENING is analysed again at the level of the label
UNSTABLE = -1e-3  # hartree; what lies between it and zero is numerical noise, and the zero modes of open shells
GAIN = 1e-6  # hartree by which a rotated determinant must be lower
ROTATIONS = 5


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
    twin.grids.level = HESSIAN_GRID
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
    field = solved(*structure, settings, start)
    for turns in range(ROTATIONS + 1):
        softest, rotated = _softest_rotation(field)
        if softest > UNSTABLE or turns == ROTATIONS:
            break
        lower = solved(*structure, settings, rotated)
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


def stable(
    numbers: np.ndarray,
    positions: np.ndarray,
    charge: int,
    multiplicity: int,
    settings: dict[str, Any],
    known: bool = False,
) -> tuple[Any | None, dict]:
    """Converged calculation of PySCF whose determinant was followed to a stable one, and its state.

    The stability is analysed in SCREENING, where each unstable determinant is followed to the lower one; the result is
    projected onto the basis of `settings` as the start there. Where an instability was found, or the softest rotation
    is below SAFE, this is repeated at the level of `settings`. known: whether there is a label at this level that will
    do where the determinant is restricted and safe; None is returned then. Errors as in `label`.

    The state: kohn_sham ("restricted", "unrestricted"), stability ("stable", "followed" from an unstable determinant to
    a stable one, "unstable": an instability is left), softest_rotation (hartree) and analysed_in (basis), s2 (<S^2>);
    where the shell is open, or a rotation soft or followed: other_multiplicity and spin_gap, the energy of that spin
    state above this one in SCREENING (eV, nan if it did not converge).
    """
    from pyscf.scf import addons

    structure, small = (numbers, positions, charge, multiplicity), settings | SCREENING
    field, softest, turns = _followed(structure, small)
    safe = softest >= SAFE and not turns
    state = {}
    if multiplicity > 1 or not safe:
        state["other_multiplicity"], state["spin_gap"] = _spin_gap(structure, small, field.e_tot)
    basis, taken = small["basis"], known and safe and np.ndim(field.mo_occ) == 1
    if not taken:
        start = addons.project_dm_nr2nr(field.mol, field.make_rdm1(), molecule(*structure, settings))
        if safe:
            field = solved(*structure, settings, start)
        else:
            basis = settings["basis"]
            field, softest, more = _followed(structure, settings, start)
            turns += more
    unstable = softest <= UNSTABLE
    state |= {
        "kohn_sham": "restricted" if np.ndim(field.mo_occ) == 1 else "unrestricted",
        "stability": "unstable" if unstable else "followed" if turns else "stable",
        "softest_rotation": softest,
        "analysed_in": basis,
        "s2": float(field.spin_square()[0]) if np.ndim(field.mo_occ) == 2 else 0.0,
    }
    return None if taken else field, state


def stable_label(
    numbers: np.ndarray,
    positions: np.ndarray,
    charge: int,
    multiplicity: int,
    settings: dict[str, Any],
    known: tuple[float, np.ndarray] | None = None,
) -> tuple[float, np.ndarray, dict]:
    """Energy (eV) and forces [n, 3] (eV/Å) as `label`, of a determinant followed to a stable one, and its state.

    known: label at this level, taken over where the determinant is restricted and safe. State and errors as in
    `stable`.
    """
    field, state = stable(numbers, positions, charge, multiplicity, settings, known is not None)
    energy, forces = known if known and field is None else label_of(field)
    return energy, forces, state
