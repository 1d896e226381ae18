"""Train the two-head potential by one strategy and one seed."""

import hashlib
from pathlib import Path

import numpy as np

from mlipshift.base.errors import UserError
from mlipshift.base.frames import Frames, Labels
from mlipshift.base.log import log
from mlipshift.base.timing import Stopwatch
from mlipshift.catalogue.strategies import STRATEGIES
from mlipshift.learn import datasets, device, training
from mlipshift.learn.potential import MOLECULES_ONLY, Potential
from mlipshift.run import cli


def main(args):
    device.configure(device=args.device)
    kind = STRATEGIES[args.strategy]
    reference = prior = base = None
    frames = Frames.load(args.frames).molecules_only(MOLECULES_ONLY)
    if args.reference:
        reference = (frames, Labels.load(args.reference, frames))
        if not reference[1].ok.any():
            raise UserError(
                "no training structure has reference forces, and training needs them; give some (data.keys names "
                "them), or name only models in the setting models that are not trained here"
            )
        log.info("%d of %d training structures have no forces and are left out", (~reference[1].ok).sum(), len(frames))
    if args.prior:
        parts = [Frames.load(path) for path in args.prior_frames]
        labels = [Labels.load(path, part) for path, part in zip(args.prior, parts, strict=True)]
        prior = (Frames.concatenate(parts), Labels.concatenate(labels))
    if kind.difference:
        reference = (frames, datasets.difference(reference[1], prior[1]))
    if kind.base:
        if args.base is None:
            raise UserError(f"strategy {args.strategy} needs --base, the model of {kind.base}")
        base = Potential.load(args.base, args.device).network.train()
    watch = Stopwatch()
    network, history = training.train(
        args.strategy, args.architecture, args.settings, args.seed, reference, prior, base, args.device
    )
    timing = watch.timing(len(frames))
    inputs = [p for p in (args.frames, args.reference, *(args.prior or [])) if p]
    card = {
        "strategy": args.strategy,
        "seed": args.seed,
        "training": args.settings,
        "history": history,
        "trained_on": {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in inputs},
        "elements": sorted({int(z) for z in frames.numbers}),
        # without any, the energy is that of an untrained head
        "reference_energies": int(np.isfinite(reference[1].energy).sum()) if reference else 0,
        "largest_structure": int(frames.sizes.max()),
        "licence": "MIT",
    }
    Potential(network, card).save(args.output)
    timing.write(args.timing)


if __name__ == "__main__":
    optional = {"type": Path, "required": False}
    cli.run(
        main,
        __doc__,
        {
            "strategy": {"choices": STRATEGIES},
            "seed": {"type": int},
            "architecture": {"type": cli.settings, "help": "JSON: backbone, cutoff, and what else it takes"},
            "settings": {"type": cli.settings, "help": "JSON: steps, batch, learning_rate, ..."},
            "frames": {"type": Path, "help": "training frames"},
            "reference": {**optional, "help": "reference labels of the training frames"},
            "prior_frames": {**optional, "nargs": "+", "help": "frames with prior labels"},
            "prior": {**optional, "nargs": "+", "help": "prior labels of each of --prior-frames"},
            "base": {**optional, "help": "directory of the model that the strategy starts from"},
            "device": device.OPTION,
            "output": {"type": Path, "help": "model directory to write"},
            "timing": {"type": Path},
        },
    )
