"""What became of simulated molecules, beside reference geometries, and the force error of what moved them."""

from pathlib import Path

import numpy as np

from mlipshift.base.averages import component_mae
from mlipshift.base.errors import UserError
from mlipshift.base.frames import Dataset, Frames, Labels
from mlipshift.base.predictions import Predictions
from mlipshift.base.tables import write_table
from mlipshift.base.timing import Timing
from mlipshift.evaluate import dynamics
from mlipshift.run import cli
from mlipshift.simulate.trajectories import Trajectory


def main(args):
    frames, labels = Frames.load(args.frames), Labels.load(args.labels)
    prior = Labels.load(args.prior, frames)
    # what was adapted on, or may have been, is in no error
    unseen = ~np.isin(frames.ids.astype(str), Frames.load(args.pool).ids.astype(str))
    references = {g: imported(path) for g, path in zip(args.reference_groups, args.reference, strict=True)}
    predictions, runs = iter(args.predictions), []
    for entry, path, timing in zip(args.runs, args.trajectories, args.timings, strict=True):
        own = frames.group == entry["molecule"]
        forces = prior.forces if not entry["predictions"] else None
        if forces is None:
            forces = Predictions.load(next(predictions), frames).forces[-1]
        about = {**entry["entry"], **{key: entry[key] for key in ("molecule", "run", "forces", "adapted_on")}}
        found = Trajectory.load(path)
        geometries = references.get(entry["molecule"], frames.take(own))
        runs.append(
            dynamics.Run(
                about,
                found,
                Timing.read(timing),
                positions_of(geometries, found.numbers, entry["molecule"]),
                error_of(frames, labels, forces, own & unseen),
            )
        )
    rows = {name: [] for name in ("dynamics", "dynamics_summary", "energy_traces", "unphysical")}
    for run in runs:
        replicas = dynamics.dynamics(run)
        rows["dynamics"] += replicas
        rows["dynamics_summary"].append(dynamics.summary(run, replicas))
        rows["energy_traces"] += dynamics.traces(run)
        rows["unphysical"] += dynamics.unphysical(run)
    rows["h_of_r"] = dynamics.h_of_r(runs)
    columns = {"dynamics": dynamics.DYNAMICS, "dynamics_summary": dynamics.SUMMARY, "h_of_r": dynamics.H_OF_R}
    columns |= {"energy_traces": dynamics.TRACES, "unphysical": dynamics.UNPHYSICAL}
    for name, found in rows.items():
        write_table(args.output / f"{name}.csv", found, columns[name])
    write_table(args.costs, [dynamics.costs(run) for run in runs], dynamics.COSTS)


def imported(path):
    """Frames of an imported dataset, without its labels."""
    return Frames.concatenate([block.frames for block in Dataset.blocks(path)])


def positions_of(frames, numbers, group):
    """Positions [G, n, 3] (Å) of geometries of one molecule, whose atoms have to be in the order of `numbers`."""
    if any(not np.array_equal(frames[k][0], numbers) for k in range(len(frames))):
        raise UserError(
            f"simulate.reference.{group}: its molecule is another one, or has its atoms in another order; name a recipe"
            " of section import with geometries of the molecule that is simulated"
        )
    return frames.positions.reshape(len(frames), len(numbers), 3)


def error_of(frames, labels, forces, chosen):
    """(mean force MAE meV/Å, number of structures) of forces [N, 3] eV/Å on the chosen structures."""
    found = component_mae(forces, labels.select(frames.ids).forces, frames.offsets)[chosen]
    found = found[np.isfinite(found)]
    return (1e3 * found.mean() if len(found) else np.nan), len(found)


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "runs": {"type": cli.settings, "help": "JSON: molecule, run, entry and forces of every trajectory"},
            "frames": {"type": Path, "help": "test frames"},
            "pool": {"type": Path, "help": "structures that models were or may have been adapted to"},
            "labels": {"type": Path, "help": "reference labels of the test frames"},
            "prior": {"type": Path, "help": "prior labels of the test frames"},
            "reference": {"type": Path, "nargs": "*", "help": "imported datasets of reference geometries"},
            "reference_groups": {"type": cli.settings, "help": "JSON: their groups"},
            "trajectories": {"type": Path, "nargs": "+"},
            "timings": {"type": Path, "nargs": "+", "help": "of the trajectories"},
            "predictions": {"type": Path, "nargs": "*", "help": "of what moved the molecules, in the order of --runs"},
            "costs": {"type": Path, "help": "CSV of the costs to write"},
            "output": {"type": Path, "help": "folder of the tables to write"},
        },
    )
