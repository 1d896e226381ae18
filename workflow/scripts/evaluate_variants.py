"""Compare further adaptations, and adaptations to some geometries of a molecule, with the reference labels."""

from pathlib import Path

from mlipshift.base.frames import Frames, Labels
from mlipshift.base.predictions import Predictions
from mlipshift.base.tables import write_table
from mlipshift.evaluate import comparisons, timings
from mlipshift.evaluate.conformers import CHOICES, CONFORMERS, choices, conformers, decision_methods
from mlipshift.evaluate.errors import Errors
from mlipshift.mitigate import decision
from mlipshift.run import cli


def main(args):
    frames = Frames.load(args.frames)
    reference, prior = Labels.load(args.reference, frames), Labels.load(args.prior, frames)
    paths = [*args.predictions, *args.conformers]
    errors = Errors(frames, reference, prior, paths, args.resamples, args.seed)
    variants = [m for m in args.strategies if m in errors.final]
    points = {p.method for p in (Predictions.load(path, frames) for path in args.conformers)}
    shown = [*variants, *(m for m in errors.final if m not in {*variants, *points, "zero"})]
    curve = conformers(errors, args.strategies, args.copies)
    write_table(args.variants_table, comparisons.summary(errors, shown), comparisons.SUMMARY)
    found = comparisons.compared(errors, {m: args.strategies[m] for m in variants})
    write_table(args.paired_table, found, comparisons.PAIRED)
    write_table(args.conformers_table, curve, CONFORMERS)

    seconds = {method: timing.each for method, timing in timings.by_method(args.base_timings).items()}
    adaptations = timings.of_adaptations(args.conformer_timings)
    methods = decision_methods(curve, seconds, adaptations, args.prior_calls)
    settings = args.decision
    rows = []
    if methods:
        rows = decision.table(methods, settings["predictions"], settings["prior_seconds"], settings["budgets"])
    write_table(args.decision_table, rows, decision.COLUMNS)
    write_table(args.methods_table, choices(errors, args.strategies, methods), CHOICES)


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "frames": {"type": Path, "help": "test frames"},
            "reference": {"type": Path, "help": "reference labels of the test frames"},
            "prior": {"type": Path, "help": "prior labels of the test frames"},
            "base_timings": {"type": Path, "nargs": "*", "help": "times of the unadapted predictions"},
            "predictions": {"type": Path, "nargs": "+", "help": "of the unadapted models and of the variants"},
            "conformers": {"type": Path, "nargs": "*", "help": "predictions after adaptation to some geometries"},
            "conformer_timings": {"type": Path, "nargs": "*", "help": "times of these adaptations"},
            "strategies": {"type": cli.settings, "help": "JSON: strategy of every variant and scheme"},
            "prior_calls": {"type": cli.settings, "help": "JSON: prior calls per predicted structure of every method"},
            "copies": {"type": int, "help": "rattled copies per geometry"},
            "decision": {"type": cli.settings, "help": "JSON: predictions, prior_seconds, budgets"},
            "resamples": {"type": int, "help": "bootstrap resamples"},
            "seed": {"type": int, "help": "bootstrap seed"},
            "variants_table": {"type": Path},
            "paired_table": {"type": Path},
            "conformers_table": {"type": Path},
            "decision_table": {"type": Path},
            "methods_table": {"type": Path},
        },
    )
