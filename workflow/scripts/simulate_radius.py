"""Dynamics without thermostat of a molecule whose radius is fixed, chosen at every step, or follows smoothly."""

import hashlib
from pathlib import Path

import numpy as np

from mlipshift.base.errors import UserError
from mlipshift.base.frames import Frames
from mlipshift.catalogue.runs import MOVING
from mlipshift.learn import device
from mlipshift.learn.networks import ENVELOPES
from mlipshift.learn.potential import Potential
from mlipshift.mitigate.radius import Rule, known_graphs
from mlipshift.run import cli
from mlipshift.simulate import dynamics
from mlipshift.simulate.observables import bonds_of
from mlipshift.simulate.rewired import RewiredField, Rewiring


def main(args):
    device.configure(device=args.device)
    settings, rule = args.settings, Rule(**args.rule)
    start, numbers = start_of(Frames.load(args.frames), args.group, settings["replicas"])
    potential = Potential.load(args.model, args.device)
    rewiring = Rewiring(
        args.mode,
        known_graphs(Frames.load(args.train), args.cutoff, rule),
        args.cutoff,
        np.array(args.radii),
        rule,
        settings["rate_A_per_ps"] * settings["timestep_fs"] / 1000,
        args.envelope == "rescaled",
    )
    names = ("duration_ps", "timestep_fs", "temperature_K", "seed")
    settled = dynamics.Settings(ensemble="nve", **{name: settings[name] for name in names})
    bonds = bonds_of(numbers, np.stack([start[k][1] for k in range(len(start))]))
    digest = hashlib.sha256(repr((sorted(settings.items()), args.mode, sorted(args.rule.items()), args.radii)).encode())
    digest.update((args.model / "weights.pt").read_bytes())
    field = RewiredField(potential, numbers, rewiring)
    dynamics.write(field, start, bonds, settled, digest.digest(), args.output, args.timing)


def start_of(frames, group, replicas):
    """(geometries of the first molecule of a group that has as many as there are replicas, its numbers [n])."""
    own = frames.take(frames.group == group)
    for molecule in dict.fromkeys(own.molecule):
        found = own.take(own.molecule == molecule)
        if len(found) >= replicas:
            return found.take(np.arange(replicas)), found[0][0]
    raise UserError(f"radius.motion.groups: no molecule of {group} has {replicas} geometries; lower replicas")


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "model": {"type": Path, "help": "model directory"},
            "device": device.OPTION,
            "train": {"type": Path, "help": "training frames"},
            "frames": {"type": Path, "help": "test frames"},
            "group": {"help": "group of the molecule"},
            "mode": {"choices": MOVING, "help": "how the radius changes"},
            "rule": {"type": cli.settings, "help": "JSON of the rule that chooses it"},
            "cutoff": {"type": float, "help": "trained radius (Å)"},
            "radii": {"type": float, "nargs": "+", "help": "candidate radii (Å)"},
            "envelope": {"choices": ENVELOPES, "help": "where the envelope reaches zero"},
            "settings": {"type": cli.settings, "help": "JSON of section radius.motion"},
            "output": {"type": Path, "help": "trajectory to write"},
            "timing": {"type": Path},
        },
    )
