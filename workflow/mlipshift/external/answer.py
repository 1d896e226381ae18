"""What a model of any origin says of a structure, and what the members of an ensemble say together."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np


class Answer(NamedTuple):
    """energy: eV, NaN if the model has none; forces [n, 3]: eV/Å; of an ensemble, the means of its members.

    embedding [d]: the structure in the model's own representation, mean over the atoms; features [n, d']: that of each
    atom; spread [n]: disagreement of an ensemble on the force of each atom, eV/Å, see `spread_of`. None where there is
    none.
    """

    energy: float
    forces: np.ndarray
    embedding: np.ndarray | None = None
    features: np.ndarray | None = None
    spread: np.ndarray | None = None

    @classmethod
    def of_members(cls, energies: Any, forces: Any, features: Any = None) -> "Answer":
        """Answer of an ensemble of M: energies [M], forces [M, n, 3], features [n, d] or None, arrays or tensors."""
        energies, forces = np.asarray(energies, dtype=float), np.asarray(forces, dtype=float)
        found = cls.of_atoms(energies.mean(), forces.mean(axis=0), features)
        return found._replace(spread=spread_of(forces))

    @classmethod
    def of_atoms(cls, energy: Any, forces: Any, features: Any = None) -> "Answer":
        """Answer with the features of the atoms [n, d], or none, and their mean as the embedding."""
        if features is not None:
            features = np.asarray(features)
        vector = None if features is None else features.mean(axis=0, dtype=float)
        return cls(float(energy), np.asarray(forces, dtype=float), vector, features)

    @classmethod
    def taken(cls, found: "Answer | Sequence[Any]") -> "Answer":
        """What a family has returned: an Answer, or (energy, forces, embedding), as families did before there was one.

        Raises ValueError for anything else.
        """
        if isinstance(found, cls):
            return found
        if isinstance(found, tuple | list) and len(found) in (2, 3):
            return cls(*found)
        what = f"{len(found)} values" if isinstance(found, tuple | list) else type(found).__name__
        raise ValueError(f"its family returns {what}, not an Answer or (energy, forces, embedding)")


def spread_of(forces: np.ndarray) -> np.ndarray:
    """Disagreement [n] of the members' forces [M, n, 3]: root of the mean over members of |F − mean F|², per atom.

    That of query by committee (Smith et al., J. Chem. Phys. 2018, 148, 241733), with M, not M − 1, in the mean: it is
    0 for one member.
    """
    apart = forces - forces.mean(axis=0)
    return np.sqrt((apart**2).sum(axis=-1).mean(axis=0))
