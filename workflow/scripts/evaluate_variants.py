"""Compare further adaptations, and adaptations to some geometries of a molecule, with the reference labels."""

import json
from pathlib import Path

from mlipshift.base.frames import Frames, Labels
from mlipshift.base.predictions import Predictions
from mlipshift.base.tables import write_table
from mlipshift.evaluate import comparisons
from mlipshift.mitigate import decision
from mlipshift.run import cli


def main(args):
    frames = Frames.load(args.frames)
    reference, prior = Labels.load(args.reference, frames), Labels.load(args.prior, frames)
    paths = [*args.predictions, *args.conformers]
    errors = comparisons.Errors(frames, reference, prior, paths, args.resamples, args.seed)
    variants = [m for m in args.strategies if m in errors.final]
    curve = comparisons.conformers(errors, args.strategies, args.copies)
    points = {p.method for p in (Predictions.load(path, frames) for path in args.conformers)}
    shown = [*variants, *(m for m in errors.final if m not in {*variants, *points, "zero"})]
    write_table(args.variants_table, comparisons.summary(errors, shown))
    found = comparisons.compared(errors, {m: args.strategies[m] for m in variants})
    write_table(args.paired_table, found, list(found[0]) if found else ["group", "method", "baseline"])
    write_table(args.conformers_table, curve, comparisons.CONFORMERS)

    seconds = json.loads(args.prior_timing.read_text())
    timings = {"prior": seconds["seconds"] / max(1, seconds["structures"])}
    for path in args.base_timings:
        found = json.loads(path.read_text())
        timings[path.stem.rsplit("_", 1)[0]] = found["seconds"] / max(1, found["structures"])
    adaptations = {}
    for path in args.conformer_timings:
        found = json.loads(path.read_text())
        for count, one in found["adaptations"].items():
            if one["molecules"]:
                key = (found["scheme"], int(count))
                adaptations.setdefault(key, []).append(one["seconds"] / one["molecules"])
    methods = comparisons.decision_methods(curve, timings, adaptations)
    settings = args.decision
    rows = []
    if methods:
        rows = decision.table(methods, settings["predictions"], settings["prior_seconds"], settings["budgets"])
    write_table(args.decision_table, rows, decision.COLUMNS)


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "frames": {"type": Path, "help": "test frames"},
            "reference": {"type": Path, "help": "reference labels of the test frames"},
            "prior": {"type": Path, "help": "prior labels of the test frames"},
            "prior_timing": {"type": Path, "help": "time of the prior labels"},
            "base_timings": {"type": Path, "nargs": "*", "help": "times of the unadapted predictions"},
            "predictions": {"type": Path, "nargs": "+", "help": "of the unadapted models and of the variants"},
            "conformers": {"type": Path, "nargs": "*", "help": "predictions after adaptation to some geometries"},
            "conformer_timings": {"type": Path, "nargs": "*", "help": "times of these adaptations"},
            "strategies": {"type": cli.settings, "help": "JSON: strategy of every variant and scheme"},
            "copies": {"type": int, "help": "rattled copies per geometry"},
            "decision": {"type": cli.settings, "help": "JSON: predictions, prior_seconds, budgets"},
            "resamples": {"type": int, "help": "bootstrap resamples"},
            "seed": {"type": int, "help": "bootstrap seed"},
            "variants_table": {"type": Path},
            "paired_table": {"type": Path},
            "conformers_table": {"type": Path},
            "decision_table": {"type": Path},
        },
    )
