"""Seconds per structure of every method on one core, prior calls and adaptation included."""

from pathlib import Path

from mlipshift.base.tables import read_table, write_table
from mlipshift.evaluate import timings
from mlipshift.run import cli


def main(args):
    frontier = read_table(args.frontier)
    calls = dict(zip(frontier["method"], frontier["prior_calls_per_structure"]))
    write_table(args.output, timings.summarise(args.prior, args.timings, calls), timings.SECONDS)


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "frontier": {"type": Path, "help": "CSV with the prior calls per structure of every method"},
            "prior": {"type": Path, "help": "timing of the prior labels of the test structures"},
            "timings": {"type": Path, "nargs": "+", "help": "<stage>/<name>_<seed>.json"},
            "output": {"type": Path},
        },
    )
