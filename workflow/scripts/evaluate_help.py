"""Compare what the help for models gives with the reference labels, and which sign tells where a model errs."""

import json
from pathlib import Path

from mlipshift.base.frames import Frames, Labels
from mlipshift.base.log import log
from mlipshift.base.tables import write_table
from mlipshift.base.timing import Timing
from mlipshift.evaluate import help_choice, help_costs, helped
from mlipshift.evaluate.diagnosed import distances, representation
from mlipshift.evaluate.errors import Errors
from mlipshift.external.said import OPTIONS, gather
from mlipshift.mitigate import rescue
from mlipshift.run import cli


def signs_of(said, weights, near):
    """{model: {sign: [S] eV/Å}} of the signs that need no label, the expected error and the distance in features."""
    found = {}
    for name in said.models:
        own = said.signs(name, others=True)
        own["expected"] = rescue.expected(said, weights, name)["model"]
        if near.get(name) is not None:
            own["feature_distance"] = near[name]
        found[name] = own
    return found


def seconds_of(paths, prior):
    """({name: CPU seconds per structure} of files of timings, those of a prior call)."""
    found = {path.stem.removesuffix("_test"): Timing.read(path) for path in paths}
    each = {name: timing.each if timing.structures else float("nan") for name, timing in found.items()}
    return each, Timing.read(prior).each


def main(args):
    frames, train = Frames.load(args.frames), Frames.load(args.train)
    reference, prior = Labels.load(args.reference, frames), Labels.load(args.prior, frames)
    said = gather(frames, prior, args.predictions, args.embeddings, args.heads)
    weights = json.loads(args.weights.read_text(encoding="utf-8"))
    errors = Errors(frames, reference, prior, [*args.predictions, *args.strategies], args.resamples, args.seed)
    models = [*said.models]
    near = {}
    for name, of_test, of_train in zip(models, args.embeddings, args.train_embeddings):
        pair = representation(of_train, train), representation(of_test, frames)
        near[name] = distances(*pair)[1] if all(p is not None for p in pair) else None
    rows = helped.payoff(errors, models, {name: rescue.expected(said, weights, name) for name in models})
    found = signs_of(said, weights, near)
    of_signs = helped.signs(errors, found)
    recommended = {row["model"]: row["sign"] for row in of_signs if row["recommended"]}
    points = [*rows, *help_choice.of_other_runs(args.gains)]
    tables = {
        "groups": (helped.HELP, helped.table(errors, models)),
        "signs": (helped.SIGNS, of_signs),
        "kept": (help_choice.KEPT, help_choice.kept(errors, found, recommended)),
        "payoff": (helped.PAYOFF, points),
        "crossing": (helped.CROSSING, helped.crossing(points)),
        "decision": (help_choice.DECISION, help_choice.decision(errors, rows)),
        "costs": (
            help_costs.COSTS,
            help_costs.costs([*errors.final], *seconds_of(args.timings, args.prior_timing), models),
        ),
    }
    for name, (columns, written) in tables.items():
        write_table(args.output / f"{name}.csv", written, columns)
    for row in tables["groups"][1]:
        if row["group"] == "ood_all":
            log.info(
                "%-24s %8.1f meV/Å on %d held-out structures", row["method"], row["mean_meV_per_A"], row["n_structures"]
            )


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        OPTIONS
        | {
            "train": {"type": Path, "help": "structures on which the models are trusted"},
            "train_embeddings": {"type": Path, "nargs": "+", "help": "what the models say of these, in the same order"},
            "reference": {"type": Path, "help": "reference labels of the test structures"},
            "weights": {"type": Path, "help": "JSON of weigh_models"},
            "timings": {"type": Path, "nargs": "+", "help": "timings of models, prior heads and adaptations"},
            "prior_timing": {"type": Path, "help": "timing of the prior labels"},
            "strategies": {"type": Path, "nargs": "+", "help": "predictions of the strategies"},
            "gains": {"type": Path, "nargs": "*", "default": [], "required": False, "help": "gains.csv of other runs"},
            "resamples": {"type": int, "help": "bootstrap resamples"},
            "seed": {"type": int, "help": "bootstrap seed"},
            "output": {"type": Path, "help": "folder of the tables"},
        },
    )
