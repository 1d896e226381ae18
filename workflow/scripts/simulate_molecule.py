"""Dynamics of several replicas of one molecule; a killed run goes on where it was. No reference label is read."""

import hashlib
from dataclasses import fields, replace
from pathlib import Path

import numpy as np

from mlipshift.base.frames import Frames, Labels
from mlipshift.catalogue.adaptation import Settings as Adaptation
from mlipshift.learn import device
from mlipshift.learn.potential import Potential
from mlipshift.mitigate.distillation import geometries_of
from mlipshift.mitigate.on_the_fly import OnTheFly
from mlipshift.prior.process import Process
from mlipshift.run import cli
from mlipshift.simulate import dynamics
from mlipshift.simulate.fields import AdaptingField, NetworkField, PriorField
from mlipshift.simulate.observables import bonds_of


def main(args):
    device.configure(device=args.device)
    run, settings, pool = args.run, args.settings, Frames.load(args.pool)
    start = pool.take(geometries_of(pool, args.molecule, settings["replicas"], 0))
    known = Frames.load(args.frames)
    known = known.take(known.group == args.molecule)
    numbers, _, charge, multiplicity = start[0]
    bonds = bonds_of(numbers, np.stack([known[k][1] for k in range(len(known))]))
    settled = dynamics.Settings(**{f.name: settings[f.name] for f in fields(dynamics.Settings) if f.name in settings})
    settled = replace(settled, ensemble=run["ensemble"], duration_ps=run["duration_ps"] or settled.duration_ps)
    with Process(python=args.prior_python, fitted=args.fitted, **settings["prior"]) as singlepoint:
        field = field_of(args, pool, PriorField(singlepoint, (numbers, charge, multiplicity)), numbers)
        dynamics.write(field, start, bonds, settled, made_from(args), args.output, args.timing)


def field_of(args, pool, prior, numbers):
    """The force field of a run."""
    run, settings = args.run, args.settings
    if run["model"] == "prior":
        return prior
    potential = Potential.load(args.model, args.device)
    if not run["on_the_fly"]:
        asks = potential.needs_prior or run["corrected"]
        return NetworkField(potential, numbers, run["precision"], prior if asks else None, settings["weight"])
    chosen = geometries_of(pool, args.molecule, run["geometries"], settings["copies"])
    labels = Labels.load(args.prior, pool).take(chosen)
    adaptation = Adaptation.of(settings["adaptation"])
    watching = OnTheFly(
        potential, pool.take(chosen), labels, adaptation, prior.singlepoint, settings["rise"], settings["most"]
    )
    return AdaptingField(watching, numbers, run["precision"])


def made_from(args):
    """Digest of the model and of the settings, by which the parts of another run are told apart."""
    digest = hashlib.sha256(repr((sorted(args.run.items()), sorted(args.settings.items()))).encode())
    fitted = sorted(args.fitted.iterdir()) if args.fitted else []
    for path in [*([args.model / "weights.pt"] if args.model else []), *fitted]:
        digest.update(path.read_bytes())
    return digest.digest()


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "run": {"type": cli.settings, "help": "JSON of the run: an entry of simulate.runs"},
            "settings": {"type": cli.settings, "help": "JSON of section simulate, prior, copies and adaptation"},
            "model": {"type": Path, "required": False, "help": "model directory; none for the prior itself"},
            "device": device.OPTION,
            "frames": {"type": Path, "help": "test frames, whose mean bond lengths say what has come apart"},
            "pool": {"type": Path, "help": "geometries that the dynamics start from and models are adapted to"},
            "prior": {"type": Path, "help": "prior labels of --pool"},
            "prior_python": {"required": False, "help": "interpreter that has the engine of the prior"},
            "fitted": {"type": Path, "required": False, "help": "folder of the models of a prior that is fitted"},
            "molecule": {"help": "group of the molecule"},
            "output": {"type": Path, "help": "trajectory to write"},
            "timing": {"type": Path},
        },
    )
