"""Drift, excursions and jumps of the energy where radii are fixed, chosen at every step, or follow smoothly."""

from pathlib import Path

from mlipshift.base.tables import write_table
from mlipshift.evaluate import rewired_motion
from mlipshift.run import cli
from mlipshift.simulate.trajectories import Trajectory


def main(args):
    rows = [
        rewired_motion.row(about, Trajectory.load(path))
        for about, path in zip(args.runs, args.trajectories, strict=True)
    ]
    write_table(args.output, rows, rewired_motion.MOTION)


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "runs": {"type": cli.settings, "help": "JSON: network, envelope, group and mode of every trajectory"},
            "trajectories": {"type": Path, "nargs": "+"},
            "output": {"type": Path, "help": "CSV to write"},
        },
    )
