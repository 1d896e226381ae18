"""Tables of energy surfaces: the grids of every method, and what is told of each."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlipshift.base.frames import Frames, Labels
from mlipshift.base.predictions import Predictions
from mlipshift.simulate import grids
from mlipshift.simulate.grids import Scan
from mlipshift.simulate.roughness import describe

PRIOR, REFERENCE = "prior", "reference"
GRID = ["molecule", "scan", "method", "seed", "u_A", "v_A", "energy_eV", "force_u_eV_per_A", "force_v_eV_per_A"]
ROUGHNESS = [
    *("molecule", "scan", "method", "seed", "points", "reach_A"),
    *("roughness_meV", "roughness_over_prior", "minima", "false_minima", "jumps", "largest_jump_meV"),
    *("force_mismatch_eV_per_A", "range_eV", "difference_to_prior_meV", "difference_to_reference_meV", "reason"),
]


@dataclass(frozen=True)
class Answers:
    """What a method says of frames. method; seed, None if it has none; energy [S] eV; forces: [n, 3] eV/Å of each."""

    method: str
    seed: int | None
    energy: np.ndarray
    forces: Sequence[np.ndarray]

    @classmethod
    def of_labels(cls, labels: Labels, method: str) -> "Answers":
        """Those of labels."""
        return cls(method, None, labels.energy, [labels.forces_of(k) for k in range(len(labels))])

    @classmethod
    def of_predictions(cls, found: Predictions, method: str = "") -> "Answers":
        """Those of predictions after the last step; a seed below 0 is none."""
        seed = found.seed if found.seed >= 0 else None
        return cls(method or found.method, seed, found.energy[-1], np.split(found.forces[-1], found.offsets[1:-1]))


def grid_rows(scan: Scan, answers: Answers) -> Iterable[dict[str, Any]]:
    """Rows of the table of surfaces, energies relative to that of the minimum in the middle."""
    energy = relative(scan, answers)
    forces = scan.along(answers.forces)
    about = {"molecule": scan.molecule, "scan": scan.name, "method": answers.method, "seed": answers.seed}
    for i, u in enumerate(scan.places):
        for j, v in enumerate(scan.places):
            found = [energy[i, j], forces[0][i, j], forces[1][i, j]]
            yield about | dict(zip(GRID[4:], [u, v, *found]))


def relative(scan: Scan, answers: Answers) -> np.ndarray:
    """Energies [P, P] (eV) of a surface relative to that of the structure in the middle."""
    energy = answers.energy[scan.rows]
    middle = len(energy) // 2
    return energy - energy[middle, middle]


def rms_meV(first: np.ndarray, second: np.ndarray | None) -> float:
    """Root mean square of the difference of two surfaces (meV); NaN without the second one."""
    return float("nan") if second is None else 1e3 * float(np.sqrt(np.mean((first - second) ** 2)))


def roughness_rows(
    scan: Scan, every: Sequence[Answers], references: Mapping[str, np.ndarray], coarse: Scan | None, limits: Mapping
) -> Iterable[dict[str, Any]]:
    """Rows of the table of roughness of one surface, the prior's among the methods.

    references: {"coarse": energies [Q, Q] (eV) of the reference labels of this surface}, empty without; coarse: their
    grid; limits: depth_eV of a minimum, jump_eV of a discontinuity that count. A surface with a point that has no
    energy is a row with the reason.
    """
    own = {id(a): relative(scan, a) for a in every}
    prior = next((a for a in every if a.method == PRIOR), None)
    described = {}
    for a in every:
        if np.isfinite(own[id(a)]).all():
            described[id(a)] = describe(
                own[id(a)], scan.along(a.forces), scan.step, limits["depth_eV"], limits["jump_eV"]
            )
    basis = described.get(id(prior))
    for a in every:
        about: dict[str, Any] = {"molecule": scan.molecule, "scan": scan.name, "method": a.method, "seed": a.seed}
        about |= {"points": len(scan.places) ** 2, "reach_A": float(scan.places[-1])}
        found = described.get(id(a))
        if found is None:
            missing = int((~np.isfinite(own[id(a)])).sum())
            yield about | {"reason": f"{missing} of {own[id(a)].size} points have no energy"}
            continue
        row = about | found
        if basis:
            row["roughness_over_prior"] = found["roughness_meV"] / basis["roughness_meV"]
            row["false_minima"] = max(0, found["minima"] - basis["minima"])
            row["difference_to_prior_meV"] = rms_meV(own[id(a)], own[id(prior)])
        if coarse is not None and references:
            row["difference_to_reference_meV"] = rms_meV(relative(coarse, a), references["coarse"])
        yield row


def tables(
    frames: Frames, every: Sequence[Answers], reference: Mapping[str, float], limits: Mapping[str, float]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """(rows of the grids, rows of the roughness) of all surfaces of frames.

    every: answers of all methods, the prior among them; reference: {id: energy (eV)} of structures of the group
    `reference`, which the grids hold as the method `reference`, without forces; limits as in `roughness_rows`.
    """
    coarse = {(s.molecule, s.name): s for s in grids.scans_of(frames, grids.REFERENCE)}
    points: list[dict[str, Any]] = []
    told: list[dict[str, Any]] = []
    for scan in grids.scans_of(frames):
        for answers in every:
            points += grid_rows(scan, answers)
        labelled = coarse.get((scan.molecule, scan.name))
        known = {}
        if labelled is not None and all(frames.ids[k] in reference for k in labelled.rows.ravel()):
            energy = np.full(len(frames), np.nan)
            energy[labelled.rows] = [[reference[frames.ids[k]] for k in row] for row in labelled.rows]
            bare = Answers(REFERENCE, None, energy, [np.full((n, 3), np.nan) for n in frames.sizes])
            known["coarse"] = relative(labelled, bare)
            points += grid_rows(labelled, bare)
        told += roughness_rows(scan, every, known, labelled, limits)
    return points, told
