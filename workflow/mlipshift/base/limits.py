"""What a structure must be for any method to be tried on it."""

import numpy as np

MAX_ELEMENT = 86  # GFN-xTB and GFN-FF are parametrised for H to Rn
MIN_DISTANCE = 0.3  # Å; below it tblite returns an energy of millions of eV without complaint

# why periodic structures get no prior labels, and what to do
MOLECULES_ONLY = (
    "prior labels are for molecules; leave `prior` out of shifts.labels for a diagnosis without, or take them out of"
    " data.files"
)


def spin_fits(electrons: int | np.ndarray, multiplicity: int | np.ndarray) -> bool | np.ndarray:
    """Whether `electrons` can have the multiplicity 2S + 1: 2S unpaired ones, the others in pairs.

    Numbers, or arrays of one shape, which the answer then has.
    """
    unpaired = multiplicity - 1
    return (unpaired >= 0) & (unpaired <= electrons) & ((electrons - unpaired) % 2 == 0)


def check_spin(numbers: np.ndarray, charge: int, multiplicity: int) -> None:
    """Raise ValueError unless the electrons of `numbers` [n] allow the charge (e) and the multiplicity 2S + 1."""
    electrons = int(np.sum(numbers, dtype=int)) - charge
    if not spin_fits(electrons, multiplicity):
        raise ValueError(f"charge {charge} and multiplicity {multiplicity} do not fit {electrons} electrons")
