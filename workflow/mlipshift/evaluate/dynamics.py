"""Tables of simulated molecules: stable times, h(r), energies, temperatures, the first unphysical event.

Every number is of the frames before anything happened to a replica; definitions are in simulate.observables.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlipshift.base.timing import Timing
from mlipshift.catalogue.pairs import PAIR
from mlipshift.catalogue.runs import RUN
from mlipshift.evaluate.pairs import pair
from mlipshift.simulate import observables
from mlipshift.simulate.observables import Bonds
from mlipshift.simulate.trajectories import Trajectory

_OBSERVED = ["temperature_K", "drift_meV_per_atom_per_ps", "excursion_meV_per_atom", "momentum_u_A_per_fs"]
DYNAMICS = [*RUN, "replica", "attempted_ps", "stable_ps", "event", *_OBSERVED, "h_of_r_error", "bond_error_mA"]
SUMMARY = [
    *RUN,
    *("n_replicas", "n_stable", "attempted_ps", "stable_ps", "stable_low_ps", "stable_high_ps"),
    *("h_of_r_error", "h_of_r_low", "h_of_r_high", "h_of_r_floor", "bond_error_mA", *_OBSERVED),
    *("prior_calls_before", "prior_calls_per_ps", "adaptations", "force_mae_meV_per_A", "n_structures"),
]
H_OF_R = ["molecule", "run", "r_A", "density_per_A"]
TRACES = ["molecule", "run", "replica", "time_ps", "total_meV_per_atom", "temperature_K"]
UNPHYSICAL = [
    *("molecule", "run", "replica", "event", "time_ps"),
    *PAIR,
    *("length_A", "mean_length_A"),
]
COSTS = ["molecule", "run", "n_replicas", "simulated_ps", "seconds_per_ps", "measured"]
REFERENCE = "reference"  # in the place of a run
POINTS = 200  # of a trace


@dataclass(frozen=True)
class Run:
    """A trajectory and what belongs to it.

    about: the columns RUN, and adapted_on, the structures whose prior labels it was adapted to before; geometries
    [G, n, 3] Å: of the reference; error: (mean force MAE meV/Å, number of structures) of what moved the molecule.
    """

    about: Mapping[str, Any]
    trajectory: Trajectory
    timing: Timing
    geometries: np.ndarray
    error: tuple[float, int]

    @property
    def bonds(self) -> Bonds:
        """Those of the reference geometries."""
        return observables.bonds_of(self.trajectory.numbers, self.geometries)

    @property
    def simulated_ps(self) -> float:
        """Time of all replicas together."""
        return sum(self.trajectory.stable_ps(r) for r in range(self.trajectory.replicas))

    def positions(self, replicas: Sequence[int]) -> np.ndarray:
        """Positions [G, n, 3] (Å) of replicas in the frames before anything happened to them."""
        found = [self.trajectory.positions[self.trajectory.stable(r), r] for r in replicas]
        return np.concatenate(found).astype(float)


def dynamics(run: Run) -> list[dict]:
    """Rows of DYNAMICS, one per replica."""
    found, rows = run.trajectory, []
    reference = observables.h_of_r(run.geometries)[1]
    for r in range(found.replicas):
        frames = found.stable(r)
        positions = run.positions([r])
        lengths = observables.lengths_of(positions, run.bonds.pairs).mean(axis=0)
        rows.append(
            {
                **run.about,
                "replica": r,
                "attempted_ps": found.about["attempted_ps"],
                "stable_ps": found.stable_ps(r),
                "event": found.event[r],
                "temperature_K": found.temperature_K[frames, r].mean(),
                "drift_meV_per_atom_per_ps": found.drift(r),
                "excursion_meV_per_atom": found.excursion(r),
                "momentum_u_A_per_fs": found.momentum[frames, r].max(),
                "h_of_r_error": observables.h_of_r_error(observables.h_of_r(positions)[1], reference),
                "bond_error_mA": 1e3 * np.abs(lengths - run.bonds.lengths).mean(),
            }
        )
    return rows


def summary(run: Run, rows: Sequence[Mapping[str, Any]]) -> dict:
    """A row of SUMMARY; rows: of `dynamics`. h_of_r_error is of all replicas together, low and high of single ones."""
    found, column = run.trajectory, lambda name: np.array([row[name] for row in rows], dtype=float)
    whole = observables.h_of_r(run.positions(range(found.replicas)))[1]
    halves = [observables.h_of_r(run.geometries[k::2])[1] for k in (0, 1)]
    stable, h, simulated = column("stable_ps"), column("h_of_r_error"), run.simulated_ps
    field = found.about["field"]
    return {
        **run.about,
        "n_replicas": found.replicas,
        "n_stable": int((found.event == observables.NONE).sum()),
        "attempted_ps": found.about["attempted_ps"],
        "stable_ps": stable.mean(),
        "stable_low_ps": stable.min(),
        "stable_high_ps": stable.max(),
        "h_of_r_error": observables.h_of_r_error(whole, observables.h_of_r(run.geometries)[1]),
        "h_of_r_low": h.min(),
        "h_of_r_high": h.max(),
        "h_of_r_floor": observables.h_of_r_error(*halves),
        "bond_error_mA": column("bond_error_mA").mean(),
        "temperature_K": column("temperature_K").mean(),
        "drift_meV_per_atom_per_ps": np.abs(column("drift_meV_per_atom_per_ps")).max(),
        "excursion_meV_per_atom": column("excursion_meV_per_atom").max(),
        "momentum_u_A_per_fs": column("momentum_u_A_per_fs").max(),
        "prior_calls_before": run.about["adapted_on"],
        "prior_calls_per_ps": field["prior_calls"] / simulated if simulated else np.nan,
        "adaptations": field.get("adaptations", 0),
        "force_mae_meV_per_A": run.error[0],
        "n_structures": run.error[1],
    }


def h_of_r(runs: Sequence[Run]) -> list[dict]:
    """Rows of H_OF_R: of every run, all replicas together, and of the reference of every molecule."""
    rows = []
    for molecule in dict.fromkeys(run.about["molecule"] for run in runs):
        own = [run for run in runs if run.about["molecule"] == molecule]
        shown = [(REFERENCE, own[0].geometries)]
        shown += [(run.about["run"], run.positions(range(run.trajectory.replicas))) for run in own]
        for name, geometries in shown:
            r, density = observables.h_of_r(geometries)
            for place, value in zip(r, density):
                rows.append({"molecule": molecule, "run": name, "r_A": place, "density_per_A": value})
    return rows


def traces(run: Run) -> list[dict]:
    """Rows of TRACES: total energy above that of the first frame, and temperature, at POINTS frames at most."""
    found, rows = run.trajectory, []
    for r in range(found.replicas):
        frames = np.arange(found.frames)[found.stable(r)]
        for k in frames[np.unique(np.linspace(0, len(frames) - 1, POINTS).astype(int))]:
            above = 1e3 * (found.total[k, r] - found.total[0, r]) / len(found.numbers)
            rows.append(
                {
                    "molecule": run.about["molecule"],
                    "run": run.about["run"],
                    "replica": r,
                    "time_ps": found.time_ps[k],
                    "total_meV_per_atom": above,
                    "temperature_K": found.temperature_K[k, r],
                }
            )
    return rows


def unphysical(run: Run) -> list[dict]:
    """Rows of UNPHYSICAL, one per bond, of the replica to which something happened first and whose atoms are known."""
    found, bonds = run.trajectory, run.bonds
    known = [
        r
        for r in np.flatnonzero(found.event != observables.NONE)
        if np.isfinite(found.positions[found.ended[r], r]).all()
    ]
    if not known:
        return []
    r = int(min(known, key=lambda k: found.ended[k]))
    positions = found.positions[found.ended[r], r].astype(float)
    rows = []
    for (i, j), mean in zip(bonds.pairs, bonds.lengths):
        rows.append(
            {
                "molecule": run.about["molecule"],
                "run": run.about["run"],
                "replica": r,
                "event": found.event[r],
                "time_ps": found.stable_ps(r),
                **pair(found.numbers, positions, i, j),
                "length_A": np.linalg.norm(positions[i] - positions[j]),
                "mean_length_A": mean,
            }
        )
    return rows


def costs(run: Run) -> dict:
    """A row of COSTS: seconds per ps of one replica, all that was asked of the prior while simulating included."""
    simulated = run.simulated_ps
    return {
        "molecule": run.about["molecule"],
        "run": run.about["run"],
        "n_replicas": run.trajectory.replicas,
        "simulated_ps": simulated,
        "seconds_per_ps": run.timing.seconds / simulated if simulated else np.nan,
        "measured": run.timing.measured,
    }
