"""Test-time training of every test structure on the graph that a rule has chosen for it."""

from pathlib import Path

import numpy as np

from mlipshift.base.frames import Frames, Labels
from mlipshift.catalogue.adaptation import Settings
from mlipshift.learn import device
from mlipshift.learn.networks import ENVELOPES
from mlipshift.learn.potential import Potential
from mlipshift.mitigate.adaptation import adapt_frames
from mlipshift.mitigate.radius import chosen_in
from mlipshift.mitigate.units import structure_units
from mlipshift.run import cli


def main(args):
    device.configure(device=args.device)
    frames = Frames.load(args.frames)
    potential = Potential.load(args.model, args.device)
    prior = Labels.load(args.prior, frames)
    radii = chosen_in(args.choices, frames.ids)[args.rule] if args.choices else np.full(len(frames), args.cutoff)
    units, members = structure_units(frames, prior)
    for unit, (k,) in zip(units, members):
        unit.cutoff = float(radii[k])
        unit.envelope = float(radii[k]) if args.envelope == "rescaled" else None
    found = adapt_frames(potential, frames, (units, members), Settings.of(args.settings), prior)
    found.predictions(potential, frames, args.method).save(args.output)


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "model": {"type": Path, "help": "model directory"},
            "device": device.OPTION,
            "frames": {"type": Path, "help": "test frames, without labels"},
            "prior": {"type": Path, "help": "prior labels of the test frames"},
            "choices": {"type": Path, "required": False, "help": "CSV of chosen radii; --cutoff for all without"},
            "rule": {"help": "rule of --choices"},
            "cutoff": {"type": float, "help": "radius of the model as it is (Å)"},
            "envelope": {"choices": ENVELOPES, "help": "where the envelope reaches zero"},
            "settings": {"type": cli.settings, "help": "JSON of the hyper-parameters"},
            "method": {"help": "name of the method"},
            "output": {"type": Path},
        },
    )
