"""The connectivity benchmark as it is written: one extxyz per group, without what has no label or too large a force."""

from collections.abc import Mapping

import numpy as np
from ase import Atoms

from mlipshift.base.frames import Frames, Labels


def too_large(labels: Labels, largest: float) -> dict[str, str]:
    """{id: reason} of the structures with a force above `largest` (eV/Å) on an atom."""
    norms = np.linalg.norm(labels.forces, axis=1)
    forces = {k: norms[labels.offsets[k] : labels.offsets[k + 1]].max() for k in np.flatnonzero(labels.ok)}
    return {
        str(labels.ids[k]): f"force of {force:.1f} eV/Å on an atom, more than {largest:g}"
        for k, force in forces.items()
        if force > largest
    }


def groups(
    frames: Frames, labels: Labels, smiles: Mapping[str, str], left_out: Mapping[str, str]
) -> dict[str, list[Atoms]]:
    """{group: labelled structures} in the order of the frames, for `files.write_set`.

    labels: in the order of the frames; smiles: {molecule: SMILES}; left_out: {id: reason}. A group of which nothing is
    left is there, and empty.
    """
    found: dict[str, list[Atoms]] = {group: [] for group in dict.fromkeys(frames.group)}
    for k in range(len(frames)):
        if frames.ids[k] in left_out:
            continue
        numbers, positions, charge, multiplicity = frames[k]
        atoms = Atoms(numbers, positions)
        atoms.info = {
            **{"id": frames.ids[k], "group": frames.group[k], "molecule": frames.molecule[k]},
            **{"smiles": smiles[frames.molecule[k]], "protocol": frames.ids[k].rsplit("/", 1)[1]},
            **{"charge": charge, "multiplicity": multiplicity, "REF_energy": float(labels.energy[k])},
        }
        atoms.arrays["REF_forces"] = labels.forces_of(k)
        found[frames.group[k]].append(atoms)
    return found
