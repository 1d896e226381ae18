"""What radius refinement did: error against radius, every rule, the best radius, and test-time training beside."""

from pathlib import Path

import numpy as np

from mlipshift.base.frames import Frames, Labels
from mlipshift.base.predictions import Predictions
from mlipshift.base.tables import write_table
from mlipshift.base.timing import Timing
from mlipshift.evaluate import rewired_edges, rewiring
from mlipshift.evaluate.statistics import force_mae
from mlipshift.mitigate.radius import chosen_in, connectivity_in
from mlipshift.run import cli

COSTS = [*rewiring.ABOUT, "n_radii", "choose_seconds", "predict_seconds", "choose_over_predict", "measured"]
FIRST = "published"  # rule that is shown beside the recommended one


def main(args):
    frames, labels = Frames.load(args.frames), Labels.load(args.labels)
    labels = labels.select(frames.ids)
    error = lambda forces: force_mae(forces, labels.forces, frames.offsets)
    choices = {path: chosen_in(path, frames.ids) for path in dict.fromkeys(e["choices"] for e in args.entries)}
    rows = {name: [] for name in ("radius_curve", "radius_rules", "radius_choices", "radius_bins", "radius_adapted")}
    costs, options = [], (args.resamples, args.seed)
    for entry in args.entries:
        scanned = scan_of(entry, frames, error)
        picks = scanned.picks(choices[entry["choices"]], args.margins)
        rows["radius_curve"] += rewiring.curve(scanned, frames, *options)
        found, advised = rewiring.rules(scanned, frames, picks, *options)
        rows["radius_rules"] += found
        shown = [name for name in dict.fromkeys((FIRST, advised)) if name in picks]
        rows["radius_choices"] += rewiring.radii(scanned, frames, picks, shown)
        connectivity = connectivity_in(Path(entry["choices"]), frames.ids)
        rows["radius_bins"] += rewiring.bins(scanned, frames, picks, shown, connectivity, *options)
        if entry["adapted"]:
            after = {
                rule: np.mean([error(Predictions.load(path, frames).forces[-1]) for path in paths], axis=0)
                for rule, paths in entry["adapted"].items()
            }
            rows["radius_adapted"] += rewiring.adapted(scanned, frames, picks, after, *options)
        costs.append(cost_of(entry, scanned))
    rows["radius_edges"] = rewired_edges.rows(rows["radius_choices"], frames)
    for name, columns in (
        ("radius_edges", rewired_edges.EDGES),
        ("radius_curve", rewiring.CURVE),
        ("radius_rules", rewiring.RULES),
        ("radius_choices", rewiring.RADII),
        ("radius_bins", rewiring.BINS),
        ("radius_adapted", rewiring.ADAPTED),
    ):
        write_table(args.output / f"{name}.csv", rows[name], columns)
    write_table(args.costs, costs, COSTS)


def scan_of(entry, frames, error):
    """The scans of all seeds of a network, as errors."""
    found = [Predictions.load(path, frames) for path in entry["scans"]]
    return rewiring.Scanned(
        **{name: entry[name] for name in rewiring.ABOUT},
        radii=np.array([found[0].cutoff[0], *entry["radii"]]),
        errors=np.stack([error(scan.forces) for scan in found]),
        losses=np.stack([scan.loss for scan in found]),
    )


def cost_of(entry, scanned):
    """A row of COSTS: seconds per structure, of the first seed."""
    choose, predict = (Timing.read(Path(path)) for path in (entry["choose_timing"], entry["timings"][0]))
    return scanned.about | {
        "n_radii": len(scanned.radii),
        "choose_seconds": choose.each,
        "predict_seconds": predict.each,
        "choose_over_predict": choose.each / predict.each,
        "measured": predict.measured,
    }


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "entries": {"type": cli.settings, "help": "JSON: scans, choices and adapted predictions of every network"},
            "frames": {"type": Path, "help": "test frames"},
            "labels": {"type": Path, "help": "reference labels of the test frames"},
            "margins": {
                "type": float,
                "nargs": "*",
                "help": "share of the prior loss to be gained",
            },
            "resamples": {"type": int, "help": "of the intervals"},
            "seed": {"type": int, "help": "of the intervals"},
            "costs": {"type": Path, "help": "CSV of the costs"},
            "output": {"type": Path, "help": "folder of the tables"},
        },
    )
