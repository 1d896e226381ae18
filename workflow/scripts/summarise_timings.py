"""Seconds per structure of every method on one core, prior calls and adaptation included."""

import json
from pathlib import Path

from mlipshift.base.tables import read_table, write_table
from mlipshift.run import cli

SUFFIX = {"structure": "ttt", "placebo": "placebo"}


def main(args):
    prior = json.loads(args.prior.read_text())
    call = prior["seconds"] / max(1, prior["structures"])
    frontier = read_table(args.frontier)
    calls = dict(zip(frontier["method"], frontier["prior_calls_per_structure"]))
    total = {}
    for path in args.timings:
        timing = json.loads(path.read_text())
        stage, name = path.parent.name, path.stem.rsplit("_", 1)[0]
        if stage == "adapt":
            mode, strategy = name.split("_", 1)
            methods = [f"{strategy}_{SUFFIX[mode]}"]
        else:
            methods = [f"{name}_rr", f"{name}_rr_fallback"] if stage == "refine" else [name]
        for method in filter(calls.__contains__, methods):  # one that predicts nothing has no cost
            entry = total.setdefault(method, [0.0, 0])
            entry[0] += timing["seconds"]
            entry[1] += timing["structures"]
    rows = [{"method": "prior", "seconds_per_structure": call, "n_structures": prior["structures"]}]
    for method, (seconds, structures) in total.items():
        rows.append(
            {
                "method": method,
                "seconds_per_structure": seconds / max(1, structures) + call * calls[method],
                "n_structures": structures,
            }
        )
    write_table(args.output, rows)


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
