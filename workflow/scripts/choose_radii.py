"""Radii of the test structures by every rule, for networks with one trained radius."""

from pathlib import Path

import numpy as np

from mlipshift.base.errors import UserError
from mlipshift.base.frames import Frames
from mlipshift.base.log import log
from mlipshift.base.predictions import Predictions
from mlipshift.base.tables import write_table
from mlipshift.base.timing import Stopwatch
from mlipshift.learn import device
from mlipshift.mitigate import radius
from mlipshift.run import cli

CHOICES = ["id", "group", "rule", "trained_A", "nearest_A", "chosen_A", "distance_at_trained", "least_distance"]
TIMED = "published"  # rule whose cost is stated; a small cap makes directed graphs, which take longer
CHOICES += ["reason_for_fallback", "window_fraction"]


def trained(given):
    """Trained radius (Å): the number that is given, or that of the model whose predictions are."""
    try:
        return float(given)
    except ValueError:
        found = Predictions.load(given)
    if not np.isfinite(found.cutoff).all():
        raise UserError(f"{found.method}: its radius is not known; name it as cutoff_A of its entry in the registry")
    return float(found.cutoff[0])


def main(args):
    device.configure()
    train, test = Frames.load(args.train), Frames.load(args.frames)
    cutoff = trained(args.cutoff)
    rules = {name: radius.Rule(**settings) for name, settings in args.rules.items()}
    few = [f.take(np.arange(min(2, len(f)))) for f in (train, test)]
    radius.choose_by(*few, cutoff, args.radii, rules)  # numba compiles in its first call
    found = radius.choose_by(train, test, cutoff, args.radii, rules)
    fractions = radius.window_fractions(test, cutoff)
    rows = [
        {
            "id": test.ids[k],
            "group": test.group[k],
            "rule": name,
            "trained_A": cutoff,
            "nearest_A": choice.nearest[k],
            "chosen_A": choice.chosen[k],
            "distance_at_trained": choice.at_trained[k],
            "least_distance": choice.distance[k].min(),
            "reason_for_fallback": choice.reason[k],
            "window_fraction": fractions[k],
        }
        for name, choice in found.items()
        for k in range(len(test))
    ]
    write_table(args.choices, rows, CHOICES)
    # what a rule costs once the training graphs are known: spectra of the test graphs and distances, of one rule
    one = {name: rules[name] for name in ([TIMED] if TIMED in rules else list(rules)[:1])}
    watch = Stopwatch()
    radius.choose_by(few[0], test, cutoff, args.radii, one)
    watch.timing(len(test)).write(args.timing)
    for name, choice in found.items():
        log.info("%s: %d of %d refined", name, (choice.chosen != cutoff).sum(), len(test))


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "train": {"type": Path, "help": "training frames"},
            "frames": {"type": Path, "help": "test frames, without labels"},
            "cutoff": {"help": "trained radius (Å), or predictions by the model that has it"},
            "radii": {"type": float, "nargs": "+", "help": "candidate radii (Å)"},
            "rules": {"type": cli.settings, "help": "JSON of {name: settings of a rule}"},
            "choices": {"type": Path, "help": "CSV of the chosen radii"},
            "timing": {"type": Path},
        },
    )
