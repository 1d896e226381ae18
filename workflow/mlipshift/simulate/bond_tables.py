"""Tables of bonds that are compressed and stretched: every bond, and the score of every model."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlipshift.base.frames import Frames
from mlipshift.simulate import bonds, smoothness
from mlipshift.simulate.bonds import Limits
from mlipshift.simulate.surfaces import PRIOR, Answers

CURVES = ["molecule", "bond", "method", "seed", "ratio", "length_A", "energy_eV", "force_eV_per_A"]
BONDS = [
    *("molecule", "bond", "length_A", "method", "seed", "sound", "jumps", "largest_jump_eV", "false_minima"),
    "barrier_eV",
    *("wrong_forces", "force_mismatch_eV_per_A", "missing"),
]
FAULTS = ("jumps", "false_minima", "wrong_forces", "missing")
SCORES = [
    *("method", "n_bonds", "n_molecules", "n_seeds", "sound_percent", "sound_lowest_seed_percent"),
    *("sound_highest_seed_percent", "sound_energy_percent", *(f"{fault}_percent" for fault in FAULTS)),
    *("median_barrier_eV", "lowest_barrier_eV", "median_force_mismatch_eV_per_A", "reason"),
]


@dataclass(frozen=True)
class Chain:
    """A bond among frames. molecule; bond: its name; rows [P]: numbers of its structures; lengths [P] Å: of the bond;
    direction [n, 3]: change of the positions with its length.
    """

    molecule: str
    bond: str
    rows: np.ndarray
    lengths: np.ndarray
    direction: np.ndarray

    def along(self, forces: Sequence[np.ndarray]) -> np.ndarray:
        """Forces [n, 3] of every structure of the frames, along the chain [P] (eV/Å)."""
        return np.array([(forces[k] * self.direction).sum() for k in self.rows])


def chains_of(frames: Frames) -> list[Chain]:
    """The chains of frames, in their order."""
    found: dict[tuple[str, str], list[int]] = {}
    for k, name in enumerate(frames.ids):
        molecule, bond, _ = str(name).split("/")
        found.setdefault((molecule, bond), []).append(k)
    out = []
    for (molecule, bond), rows in found.items():
        ends = [int("".join(filter(str.isdigit, atom))) - 1 for atom in bond.split("-")]
        positions = [frames[k][1] for k in rows]
        lengths = np.array([np.linalg.norm(x[ends[1]] - x[ends[0]]) for x in positions])
        direction = (positions[-1] - positions[0]) / (lengths[-1] - lengths[0])
        out.append(Chain(molecule, bond, np.array(rows), lengths, direction))
    return out


def bond_rows(
    frames: Frames, every: Sequence[Answers], shortest: float, limits: Limits
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """(rows of the curves, rows of the bonds) of all methods.

    shortest: the first length of every chain over that at the minimum. Minima are compared with those of the prior.
    """
    curves: list[dict[str, Any]] = []
    judged: list[dict[str, Any]] = []
    prior = next((a for a in every if a.method == PRIOR), None)
    for chain in chains_of(frames):
        length = chain.lengths[0] / shortest
        step = float(chain.lengths[1] - chain.lengths[0])
        near = round(bonds.NEAR * length / step)
        wells = [int(np.argmin(np.abs(chain.lengths - length)))]
        if prior is not None and np.isfinite(prior.energy[chain.rows]).any():
            wells = smoothness.minima(prior.energy[chain.rows], limits.depth_eV)
        for a in every:
            energy, force = a.energy[chain.rows], chain.along(a.forces)
            about = {"molecule": chain.molecule, "bond": chain.bond, "method": a.method, "seed": a.seed}
            judged.append(about | {"length_A": length} | bonds.faults(energy, force, step, limits, wells, near))
            base = energy[np.argmin(np.abs(chain.lengths - length))]
            for own, e, f in zip(chain.lengths, energy - base, force):
                curves.append(about | {"ratio": own / length, "length_A": own, "energy_eV": e, "force_eV_per_A": f})
    return curves, judged


def score_rows(judged: Iterable[Mapping[str, Any]], reasons: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Rows of the scores, means over bonds and seeds, in the order of the methods, and those of reasons.

    judged: of `bond_rows`; reasons: {model: why it has not run}. sound_percent: share of the bonds without a fault,
    sound_energy_percent: of those whose energy has none, whatever the forces are; barriers: to a false minimum, of the
    bonds that have one.
    """
    of: dict[str, list[Mapping[str, Any]]] = {}
    for row in judged:
        of.setdefault(row["method"], []).append(row)
    for method, rows in of.items():
        seeds: dict[Any, list[bool]] = {}
        for row in rows:
            seeds.setdefault(row["seed"], []).append(row["sound"])
        each = [100 * float(np.mean(sound)) for sound in seeds.values()]
        share = lambda flags: 100 * float(np.mean([bool(flag) for flag in flags]))
        faulty = {f"{fault}_percent": share(row[fault] for row in rows) for fault in FAULTS}
        gaps = [row["force_mismatch_eV_per_A"] for row in rows]
        walls = [row["barrier_eV"] for row in rows if np.isfinite(row["barrier_eV"])]
        yield {
            "method": method,
            "n_bonds": len({(row["molecule"], row["bond"]) for row in rows}),
            "n_molecules": len({row["molecule"] for row in rows}),
            "n_seeds": None if None in seeds else len(seeds),
            "sound_percent": share(row["sound"] for row in rows),
            "sound_lowest_seed_percent": min(each),
            "sound_highest_seed_percent": max(each),
            "sound_energy_percent": share(not (r["jumps"] or r["false_minima"] or r["missing"]) for r in rows),
            **faulty,
            "median_barrier_eV": float(np.median(walls)) if walls else float("nan"),
            "lowest_barrier_eV": min(walls, default=float("nan")),
            "median_force_mismatch_eV_per_A": float(np.nanmedian(gaps)) if np.isfinite(gaps).any() else float("nan"),
        }
    for model, reason in reasons.items():
        yield {"method": model, "reason": reason}
