"""Adapt every molecule on its first geometries and predict its second half; one file per number of geometries.

The prior is called for the geometries that are adapted on alone; reference labels are no input. The validation groups
are left to the scan of hyper-parameters.
"""

import json
from dataclasses import asdict
from pathlib import Path

from mlipshift.base.frames import Frames, Labels
from mlipshift.base.timing import Stopwatch
from mlipshift.catalogue.adaptation import Settings
from mlipshift.learn import device
from mlipshift.learn.potential import Potential
from mlipshift.mitigate.distillation import adapt_molecules
from mlipshift.run import cli


def main(args):
    device.configure(device=args.device)
    frames, pool = Frames.load(args.frames), Frames.load(args.pool)
    prior = Labels.load(args.prior, pool)
    pseudo = Labels.load(args.pseudo, pool) if args.pseudo else None
    potential, settings = Potential.load(args.model, args.device), Settings.of(args.settings)
    asked, timings = frames.take(~frames.of_kind("val_")), {}
    for count, path in zip(args.counts, args.output, strict=True):
        watch = Stopwatch()
        found = adapt_molecules(potential, asked, pool, prior, settings, count, args.copies, pseudo)
        timings[count] = asdict(watch.timing(len(found.members)))
        found.predictions(potential, frames, f"{args.scheme}_{count}").save(path)
    args.timing.write_text(json.dumps({"scheme": args.scheme, "adaptations": timings}))


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "model": {"type": Path, "help": "model directory"},
            "frames": {"type": Path, "help": "test frames, without labels"},
            "pool": {"type": Path, "help": "geometries that may be adapted on, with rattled copies"},
            "prior": {"type": Path, "help": "prior labels of --pool"},
            "pseudo": {"type": Path, "required": False, "help": "pseudo-labels of --pool"},
            "settings": {"type": cli.settings, "help": "JSON of the hyper-parameters"},
            "counts": {"type": int, "nargs": "+", "help": "numbers of geometries"},
            "copies": {"type": int, "help": "rattled copies of each that are adapted on"},
            "scheme": {"help": "name of the method"},
            "device": device.OPTION,
            "output": {"type": Path, "nargs": "+", "help": "predictions, one file per number of geometries"},
            "timing": {"type": Path},
        },
    )
