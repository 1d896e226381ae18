"""Adapt a model to some geometries of one molecule, with prior labels alone, and keep it; dynamics follow."""

from pathlib import Path

from mlipshift.base.frames import Frames, Labels
from mlipshift.base.timing import Stopwatch
from mlipshift.catalogue.adaptation import Settings
from mlipshift.learn import device
from mlipshift.learn.potential import Potential
from mlipshift.mitigate.adaptation import adapt_potential
from mlipshift.mitigate.distillation import geometries_of
from mlipshift.run import cli


def main(args):
    device.configure(device=args.device)
    pool = Frames.load(args.pool)
    chosen = geometries_of(pool, args.molecule, args.geometries, args.copies)
    frames, prior = pool.take(chosen), Labels.load(args.prior, pool).take(chosen)
    pseudo = Labels.load(args.pseudo, pool).take(chosen) if args.pseudo else None
    potential, settings = Potential.load(args.model, args.device), Settings.of(args.settings)
    watch = Stopwatch()
    adapted = adapt_potential(potential, frames, prior, settings, pseudo)
    timing = watch.timing(1)
    adapted.save(args.output)
    timing.write(args.timing)


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "model": {"type": Path, "help": "model directory"},
            "device": device.OPTION,
            "pool": {"type": Path, "help": "geometries that may be adapted on, with rattled copies"},
            "prior": {"type": Path, "help": "prior labels of --pool"},
            "pseudo": {"type": Path, "required": False, "help": "pseudo-labels of --pool"},
            "molecule": {"help": "group of the molecule"},
            "geometries": {"type": int, "help": "geometries that are adapted on"},
            "copies": {"type": int, "help": "rattled copies of each that are adapted on, too"},
            "settings": {"type": cli.settings, "help": "JSON of the hyper-parameters"},
            "output": {"type": Path, "help": "model directory to write"},
            "timing": {"type": Path},
        },
    )
