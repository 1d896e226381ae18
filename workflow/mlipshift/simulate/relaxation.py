"""From a SMILES to a minimum in GFN2-xTB and the directions of its Hessian."""

import numpy as np

from mlipshift.base.errors import UserError
from mlipshift.base.log import log
from mlipshift.labelling import sampling
from mlipshift.prior.engines import Singlepoint
from mlipshift.prior.hessian import hessian, internal
from mlipshift.simulate.minima import PAIRS, Minimum

STEP = 0.005  # Å, of the finite differences of the Hessian
RESIDUE = 0.002  # eV/Å, of the forces at the minimum
NUDGE = 0.4  # Å, away from a saddle point
NEGATIVE = -0.003  # eV/Å²; a curvature below it is that of a saddle point, above it that of the noise
ATTEMPTS = 4
FEWEST_ATOMS = 4  # with as many internal directions as are taken


def find(name: str, smiles: str, singlepoint: Singlepoint, seed: int = 0) -> Minimum:
    """Minimum of a SMILES, embedded by RDKit and relaxed with GFN2-xTB; a saddle point is left along its direction.

    singlepoint: GFN2-xTB, for the Hessian. Raises UserError for a SMILES that is not that of a neutral closed shell,
    and where no minimum is found.
    """
    atoms = sampling.embed(smiles, sampling.molecule_seed(name, seed))
    if atoms.numbers.sum() % 2 or len(atoms) < FEWEST_ATOMS:
        raise UserError(
            f"surfaces.molecules.{name}: {smiles} has {len(atoms)} atoms and {atoms.numbers.sum()} electrons; give a "
            f"closed shell of at least {FEWEST_ATOMS} atoms"
        )
    for _ in range(ATTEMPTS):
        atoms = sampling.relax(atoms, 0, 1, RESIDUE)
        values, vectors = internal(_hessian(atoms, singlepoint), atoms.positions)
        log.info("%s: curvatures %s to %s eV/Å²", name, np.round(values[:2], 4), np.round(values[-2:], 2))
        if values[0] > NEGATIVE:
            centre = atoms.positions - atoms.positions.mean(axis=0)
            curvatures = {pair: values[list(places)] for pair, places in PAIRS.items()}
            directions = {pair: vectors[list(places)] for pair, places in PAIRS.items()}
            return Minimum(name, smiles, atoms.numbers.copy(), centre, curvatures, directions)
        atoms.positions += NUDGE * vectors[0]
    raise UserError(f"surfaces.molecules.{name}: {ATTEMPTS} relaxations of {smiles} end at saddle points; leave it out")


def _hessian(atoms, singlepoint):
    """Hessian [3n, 3n] (eV/Å²) of a neutral singlet."""
    return hessian(lambda positions: singlepoint(atoms.numbers, positions, 0, 1)[1], atoms.positions, STEP)
