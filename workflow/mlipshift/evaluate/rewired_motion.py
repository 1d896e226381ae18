"""What a radius that changes along a trajectory does to the energy."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from mlipshift.simulate.trajectories import Trajectory

MOTION = ["network", "envelope", "group", "mode", "n_atoms", "n_replicas", "attempted_ps", "stable_ps"]
MOTION += ["drift_meV_per_atom_per_ps", "excursion_meV_per_atom", "changes_per_ps", "mean_jump_meV_per_atom"]
MOTION += ["largest_jump_meV_per_atom", "jumped_meV_per_atom_per_ps"]


def row(about: Mapping[str, Any], found: Trajectory) -> dict[str, Any]:
    """A row of MOTION; drift and excursion are the largest of the replicas, changes and jumps per ps and replica.

    about: network, envelope, group and mode.
    """
    atoms, every = len(found.numbers), range(found.replicas)
    stable = [found.stable_ps(r) for r in every]
    drifts, far = [found.drift(r) for r in every], [found.excursion(r) for r in every]
    counted, simulated = found.about["field"], sum(stable)
    changes = counted["changes"]
    return {
        **about,
        "n_atoms": atoms,
        "n_replicas": found.replicas,
        "attempted_ps": found.about["attempted_ps"],
        "stable_ps": float(np.mean(stable)),
        "drift_meV_per_atom_per_ps": float(np.nanmax(np.abs(drifts))) if np.isfinite(drifts).any() else np.nan,
        "excursion_meV_per_atom": float(np.nanmax(far)),
        "changes_per_ps": changes / simulated if simulated else np.nan,
        "mean_jump_meV_per_atom": 1e3 * counted["jumped"] / changes / atoms if changes else 0.0,
        "largest_jump_meV_per_atom": 1e3 * counted["largest"] / atoms,
        "jumped_meV_per_atom_per_ps": 1e3 * counted["jumped"] / atoms / simulated if simulated else np.nan,
    }
