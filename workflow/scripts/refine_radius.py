"""Radius refinement of the test structures for one model, as published and with fallback."""

from pathlib import Path

import numpy as np

from mlipshift.base.frames import Frames
from mlipshift.base.geometry import pairs
from mlipshift.base.tables import write_table
from mlipshift.base.timing import Stopwatch, Timing
from mlipshift.learn import device
from mlipshift.learn.networks import ENVELOPES
from mlipshift.learn.potential import Potential
from mlipshift.mitigate import radius
from mlipshift.run import cli

CHOICES = ["id", "group", "trained_cutoff_A", "published_A", "fallback_A", "edges_removed"]
CHOICES += ["distance_at_trained", "distance_at_published", "reason_for_fallback"]


def edges(positions, cutoff):
    """Number of directed edges of a radius graph."""
    return len(pairs(positions, cutoff)[0])


def main(args):
    device.configure(device=args.device)
    train, test = Frames.load(args.train), Frames.load(args.frames)
    potential = Potential.load(args.model, args.device)
    cutoff = potential.cutoff
    rules = {
        "published": radius.Rule(variant=args.variant),
        "fallback": radius.Rule(variant=args.variant, sigma=args.sigma, above=False),
    }
    choose = lambda known, asked: radius.choose_by(known, asked, cutoff, args.radii, rules)
    potential.warm_up(test)
    few = np.arange(min(2, len(train), len(test)))
    choose(train.take(few), test.take(few))  # numba compiles in its first call
    watch = Stopwatch()
    found = choose(train, test)
    choice, fallback = found["published"], found["fallback"]
    for name, chosen, output in (
        ("rr", choice.chosen, args.output),
        ("rr_fallback", fallback.chosen, args.output_fallback),
    ):
        method = f"{potential.card['strategy']}_{name}"
        potential.predictions(test, None, chosen, args.envelope, method).save(output)
    timing = Timing(watch.seconds / 2, len(test), watch.measured)
    rows = [
        {
            "id": test.ids[k],
            "group": test.group[k],
            "trained_cutoff_A": cutoff,
            "published_A": choice.chosen[k],
            "fallback_A": fallback.chosen[k],
            "edges_removed": edges(test[k][1], cutoff) - edges(test[k][1], min(cutoff, choice.chosen[k])),
            "distance_at_trained": choice.at_trained[k],
            "distance_at_published": choice.distance[k].min(),
            "reason_for_fallback": fallback.reason[k],
        }
        for k in range(len(test))
    ]
    write_table(args.choices, rows, CHOICES)
    timing.write(args.timing)


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "model": {"type": Path, "help": "model directory"},
            "device": device.OPTION,
            "train": {"type": Path, "help": "training frames"},
            "frames": {"type": Path, "help": "test frames, without labels"},
            "radii": {"type": float, "nargs": "+", "help": "candidate radii (Å)"},
            "envelope": {"choices": ENVELOPES, "help": "where the envelope reaches zero"},
            "variant": {"help": "spectrum variant: published or robust"},
            "sigma": {"type": float, "help": "out of distribution beyond this many standard deviations"},
            "output": {"type": Path, "help": "predictions at the published radius"},
            "output_fallback": {"type": Path, "help": "predictions with fallback"},
            "choices": {"type": Path, "help": "CSV of the chosen radii"},
            "timing": {"type": Path},
        },
    )
