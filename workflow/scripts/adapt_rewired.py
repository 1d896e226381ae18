"""Test-time training of every test structure on the graph that a rule has chosen for it."""

from pathlib import Path

import numpy as np

from mlipshift.base.errors import UserError
from mlipshift.base.frames import Frames, Labels
from mlipshift.base.tables import read_table
from mlipshift.catalogue.adaptation import Settings
from mlipshift.learn import device
from mlipshift.learn.networks import ENVELOPES
from mlipshift.learn.potential import Potential
from mlipshift.mitigate.adaptation import adapt_frames
from mlipshift.mitigate.units import structure_units
from mlipshift.run import cli


def main(args):
    device.configure(device=args.device)
    frames = Frames.load(args.frames)
    potential = Potential.load(args.model, args.device)
    prior = Labels.load(args.prior, frames)
    radii = chosen(args, frames) if args.choices else np.full(len(frames), args.cutoff)
    units, members = structure_units(frames, prior)
    for unit, (k,) in zip(units, members):
        unit.cutoff = float(radii[k])
        unit.envelope = float(radii[k]) if args.envelope == "rescaled" else None
    found = adapt_frames(potential, frames, (units, members), Settings.of(args.settings), prior)
    found.predictions(potential, frames, args.method).save(args.output)


def chosen(args, frames):
    """Radius [S] (Å) of every structure by the rule that is asked for."""
    table = read_table(args.choices)
    own = table[table.rule == args.rule].set_index("id").chosen_A
    if not set(frames.ids.astype(str)) <= set(own.index.astype(str)):
        raise UserError(f"{args.choices}: no radius by the rule {args.rule} for some structures; run the rule again")
    return own.loc[frames.ids.astype(str)].to_numpy()


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
