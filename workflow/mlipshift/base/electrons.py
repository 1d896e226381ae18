"""Total charge and multiplicity of ASE Atoms, which have no place for either, where calculators look for them.

Each has its own place, and one that finds nothing there computes the neutral singlet without a word:
charge and spin of info (fairchem, MACE, ORB, metatomic), total_charge and total_spin (MACE, by setting),
spin_multiplicity (metatomic, SchNetPack), mult (AIMNet2 and what is built on it), and the sums of initial charges and
moments (tblite, xtb-python, NWChem, Gaussian, ORCA). `spin` means 2S + 1 in all of them, as in OMol25; SO3LR's
total_spin is S, and is its family's business.
"""

from ase import Atoms

CHARGES = ("charge", "total_charge")
MULTIPLICITIES = ("multiplicity", "spin", "total_spin", "spin_multiplicity", "mult")
SAME = 1e-6  # e, electrons


def tell(atoms: Atoms, charge: int, multiplicity: int) -> None:
    """Give Atoms their charge (e) and multiplicity 2S + 1, in every place."""
    atoms.info.update(dict.fromkeys(CHARGES, charge) | dict.fromkeys(MULTIPLICITIES, multiplicity))
    # on one atom, so that the sum is exact; where there is nothing to say, arrays would only switch things on
    first = lambda value: [float(value)] + [0.0] * (len(atoms) - 1)
    if abs(atoms.get_initial_charges().sum() - charge) > SAME:
        atoms.set_initial_charges(first(charge))
    if abs(abs(atoms.get_initial_magnetic_moments().sum()) - (multiplicity - 1)) > SAME:
        atoms.set_initial_magnetic_moments(first(multiplicity - 1))


def told(atoms: Atoms) -> tuple[int, int]:
    """(charge, multiplicity) of Atoms, from the first place that has them; 0 and 1 where none has."""
    charge = next((atoms.info[key] for key in CHARGES if key in atoms.info), None)
    spin = next((atoms.info[key] for key in MULTIPLICITIES if key in atoms.info), None)
    if charge is None:
        charge = atoms.get_initial_charges().sum()
    if spin is None:
        spin = abs(atoms.get_initial_magnetic_moments().sum()) + 1
    return round(float(charge)), round(float(spin))


def changes(before: Atoms | None, now: Atoms) -> list[str]:
    """Names, as in ASE's system_changes, of what differs in charge or multiplicity, for which ASE looks not in info."""
    return [] if before is None or told(before) == told(now) else ["initial_charges", "initial_magmoms"]
