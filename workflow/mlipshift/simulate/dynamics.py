"""Dynamics of many replicas of a molecule side by side, kept part by part, so that a killed run goes on without a jump.

A replica ends where a bond is lost or the energy explodes; the others go on, and the run ends with the last one or with
the time. That is a result, not an error.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mlipshift.base.checkpoints import Checkpoints
from mlipshift.base.errors import UserError
from mlipshift.base.frames import Frames
from mlipshift.base.log import log
from mlipshift.base.timing import Stopwatch, Timing
from mlipshift.simulate import integrators
from mlipshift.simulate.fields import Field
from mlipshift.simulate.integrators import BLOCK, Integrator, State
from mlipshift.simulate.observables import BOND, ENERGY, NONE, Bonds
from mlipshift.simulate.trajectories import Trajectory

Part = tuple[dict[str, np.ndarray], dict[str, Any]]  # arrays and notes of a checkpoint
RECORDED = ("positions", "energy", "kinetic", "momentum")
KEPT = ("positions", "velocities", "forces", "energy", "active")  # of a State
COUNTED = ("prior_calls", "adaptations", "changes", "jumped", "largest")  # what a trajectory keeps of a field
EVENTS = np.array([NONE, BOND, ENERGY], dtype=object)


@dataclass(frozen=True)
class Settings:
    """Of a run. Raises UserError for a value that is none.

    ensemble: "nvt" or "nve"; duration_ps; timestep_fs; temperature_K, of the velocities at the start, too;
    friction_per_ps: of "nvt"; record: steps between two frames; part: steps between two checkpoints; look: steps
    between two looks of a field that adapts; explosion: multiple of temperature_K beyond which the energy has exploded;
    seed.
    """

    ensemble: str = "nvt"
    duration_ps: float = 10.0
    timestep_fs: float = 0.5
    temperature_K: float = 500.0
    friction_per_ps: float = 0.01 * integrators.FRICTION_PER_PS
    record: int = 10
    part: int = 1000
    look: int = 500
    explosion: float = 10.0
    seed: int = 0

    def __post_init__(self):
        if self.ensemble not in ("nvt", "nve"):
            raise UserError(f"the ensemble {self.ensemble!r} is unknown; use nvt or nve")
        for name in ("duration_ps", "timestep_fs", "temperature_K", "explosion"):
            if not getattr(self, name) > 0:
                raise UserError(f"simulate.{name} is {getattr(self, name)}; give a number above 0")
        if self.part % BLOCK or self.part % self.record or self.part % self.look or self.look % self.record:
            raise UserError(
                f"simulate: a part of {self.part} steps has to be a multiple of {BLOCK} and of look ({self.look}), and"
                f" that of record ({self.record})"
            )

    @property
    def steps(self) -> int:
        """Number of steps, whole frames."""
        return round(self.duration_ps * 1000 / self.timestep_fs / self.record) * self.record


def simulate(
    field: Field, start: Frames, bonds: Bonds, settings: Settings, folder: Path, made_from: bytes = b""
) -> tuple[Trajectory, Timing]:
    """(trajectory, what it took) of as many replicas as `start` has geometries of one molecule.

    folder: for the parts of the run; those that are there are taken, as far as start, settings and `made_from`, a
    digest of what the field depends on, are the same. Whoever has the trajectory removes it. The timing is of all
    parts, those of jobs that were killed, too, and counts replicas. Raises UserError for geometries of several
    molecules.
    """
    run = _Run(field, start, bonds, settings)
    digest = hashlib.sha256(json.dumps(asdict(settings), sort_keys=True).encode() + made_from).digest()
    checkpoints, known = Checkpoints(folder, digest), None
    parts: list[Part] = []
    while not parts or run.going:
        found = checkpoints.load(len(parts), start) if known is not None or not parts else None
        if found is None:
            if known is not None:
                run.restore(*known)
            known, fresh = None, run.part()
            checkpoints.save(len(parts), start, *fresh)
            parts.append(fresh)
        else:
            known = found
            parts.append(found)
            run.arrive(*found)
    seconds = sum(notes["seconds"] for _, notes in parts)
    return _joined(run, parts), Timing(seconds, len(start), parts[-1][1]["measured"])


def write(
    field: Field, start: Frames, bonds: Bonds, settings: Settings, made_from: bytes, output: Path, timing: Path
) -> None:
    """`simulate`, with its parts beside the trajectory `output` until that is written, and `timing`, what it took."""
    # Snakemake removes what a killed job has declared as its output, and nothing else
    kept = output.with_name(output.name + ".parts")
    trajectory, took = simulate(field, start, bonds, settings, kept, made_from)
    trajectory.save(output)
    took.write(timing)
    shutil.rmtree(kept, ignore_errors=True)


class _Run:
    """A run as it goes; `part` does the next steps, `arrive` and `restore` take them from a checkpoint instead."""

    def __init__(self, field, start, bonds, settings):
        sizes = {tuple(start[k][0]) for k in range(len(start))}
        if len(sizes) != 1:
            raise UserError(f"{start.group[0]}: dynamics need geometries of one molecule, with its atoms in one order")
        self.field, self.bonds, self.settings = field, bonds, settings
        self.integrator = Integrator(
            settings.ensemble, settings.timestep_fs, settings.temperature_K, settings.friction_per_ps, settings.seed
        )
        numbers, replicas = start[0][0].astype(int), len(start)
        positions = np.stack([start[k][1] for k in range(replicas)]).astype(float)
        self.state = State(
            numbers,
            positions - positions.mean(axis=1, keepdims=True),
            integrators.thermal(numbers, settings.temperature_K, settings.seed, np.arange(replicas)),
            np.zeros(positions.shape),
            np.zeros(replicas),
            np.ones(replicas, dtype=bool),
        )
        self.event, self.ended = np.zeros(replicas, dtype=int), np.full(replicas, -1)

    @property
    def going(self):
        return self.state.step < self.settings.steps and self.state.active.any()

    def part(self):
        """(arrays, notes) of the next part."""
        watch, state, settings, recorded = Stopwatch(), self.state, self.settings, []
        if state.step == 0:
            self.force()
            recorded.append(self.frame())
        end = min(settings.steps, state.step + settings.part)
        while state.step < end and state.active.any():
            if state.step % BLOCK == 0:
                noise = self.integrator.noise(state.numbers, len(state.active), state.step)
            # a molecule that flies apart overflows before it ends
            with np.errstate(over="ignore", invalid="ignore"):
                self.integrator.drift(state, None if noise is None else noise[state.step % BLOCK])
                self.force()
                self.integrator.kick(state)
                if state.step % settings.record == 0:
                    recorded.append(self.frame())
            due = state.step % settings.look == 0 and state.active.any()
            if due and self.field.look(state.positions[state.active]):
                self.force()
        self.field.rest()
        arrays, notes = self.field.state()
        arrays = {f"field/{name}": values for name, values in arrays.items()}
        arrays |= {f"state/{name}": getattr(state, name) for name in KEPT}
        arrays |= {"event": self.event, "ended": self.ended}
        arrays |= {f"frames/{name}": np.stack([row[name] for row in recorded]) for name in RECORDED}
        return arrays, {"field": notes, "step": state.step, "seconds": watch.seconds, "measured": watch.measured}

    def force(self):
        """Forces and energies of the replicas that are still there."""
        state = self.state
        state.energy[state.active], state.forces[state.active] = self.field(state.positions[state.active])

    def frame(self):
        """What is recorded of this step; replicas to which something has happened end with it."""
        state, moving = self.state, self.state.active[:, None, None]
        kinetic = integrators.kinetic_energy(state.numbers, state.velocities)
        kelvin = integrators.temperature(state.numbers, kinetic)
        limit = self.settings.explosion * self.settings.temperature_K
        exploded = ~(kelvin <= limit) | ~np.isfinite(state.energy)
        broken = self.bonds.broken(state.positions)
        values = {
            "positions": np.where(moving, state.positions, np.nan).astype(np.float32),
            **{
                name: np.where(state.active, found, np.nan)
                for name, found in (
                    ("energy", state.energy),
                    ("kinetic", kinetic),
                    ("momentum", integrators.momentum(state.numbers, state.velocities)),
                )
            },
        }
        happened = np.where(exploded, 2, np.where(broken, 1, 0)) * state.active
        self.event = np.where(happened > 0, happened, self.event)
        self.ended = np.where(happened > 0, state.step // self.settings.record, self.ended)
        if happened.any():
            self.field.keep(happened[state.active] == 0)
        state.active = state.active & (happened == 0)
        return values

    def arrive(self, arrays, notes):
        """Take from a checkpoint how far the run had come; `restore` takes all else."""
        self.state.step, self.state.active = notes["step"], arrays["state/active"].copy()
        self.event, self.ended = arrays["event"], arrays["ended"]

    def restore(self, arrays, notes):
        """Be as the run was at the end of a part."""
        for name in KEPT:
            setattr(self.state, name, arrays[f"state/{name}"].copy())
        found = {n.removeprefix("field/"): v for n, v in arrays.items() if n.startswith("field/")}
        self.field.restore(found, notes["field"])
        log.info("goes on after step %d", self.state.step)


def _joined(run, parts):
    """The Trajectory of all parts."""
    settings, state = run.settings, run.state
    whole = {name: np.concatenate([arrays[f"frames/{name}"] for arrays, _ in parts]) for name in RECORDED}
    frames = len(whole["positions"])
    stretched = np.full((len(run.event), 2), -1)
    for r in np.flatnonzero(run.event):
        bond = run.bonds.first(whole["positions"][run.ended[r], r])
        stretched[r] = run.bonds.pairs[bond] if bond >= 0 else -1
    notes = parts[-1][1]
    about: Mapping[str, Any] = {
        "settings": asdict(settings),
        "frame_ps": settings.record * settings.timestep_fs / 1000,
        "attempted_ps": settings.duration_ps,
        "field": {name: value for name, value in notes["field"].items() if name in COUNTED},
        "steps": notes["step"],
    }
    return Trajectory(
        numbers=state.numbers,
        **whole,
        event=EVENTS[run.event],
        ended=np.where(run.ended < 0, frames, run.ended),
        stretched=stretched,
        about=about,
    )
