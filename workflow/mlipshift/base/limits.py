"""What a structure must be for any method to be tried on it."""

import numpy as np

MAX_ELEMENT = 86  # GFN-xTB and GFN-FF are parametrised for H to Rn


MIN_DISTANCE = 0.3  # Å; below it tblite returns an energy of millions of eV without complaint


def spin_fits(electrons, multiplicity):
    unpaired = multiplicity - 1
    return (unpaired >= 0) & (unpaired <= electrons) & ((electrons - unpaired) % 2 == 0)


def check_spin(numbers, charge, multiplicity):
    """Raise ValueError unless the electrons of `numbers` [n] allow the charge and the multiplicity 2S + 1."""
    electrons = int(np.sum(numbers, dtype=int)) - charge
    if not spin_fits(electrons, multiplicity):
        raise ValueError(f"charge {charge} and multiplicity {multiplicity} do not fit {electrons} electrons")
