"""Adapt every molecule on its first geometries and predict its second half; one file per number of geometries.

The prior is called for the geometries that are adapted on alone; reference labels are no input. The validation groups
are left to the scan of hyper-parameters.
"""

import json
import time
from pathlib import Path

import numpy as np

from mlipshift.base.errors import UserError
from mlipshift.base.frames import Frames, Labels
from mlipshift.base.predictions import Predictions
from mlipshift.catalogue.strategies import STRATEGIES
from mlipshift.data import augmentation
from mlipshift.learn import networks, training
from mlipshift.mitigate import adaptation
from mlipshift.run import cli


def main(args):
    training.configure(device=args.device)
    frames, pool = Frames.load(args.frames), Frames.load(args.pool)
    prior = Labels.load(args.prior, pool)
    pseudo = Labels.load(args.pseudo, pool) if args.pseudo else None
    model, card = networks.load(args.model, args.device)
    if STRATEGIES[card["strategy"]].difference:
        raise UserError(
            f"{args.model}: Δ-learning needs a prior call per prediction; adapt another model to conformers"
        )
    settings = adaptation.Settings.of(args.settings)
    if settings.pseudo_weight and pseudo is None:
        raise UserError("pseudo_weight is set, but there are no pseudo-labels; give --pseudo")
    unseen = frames.take(~np.isin(frames.ids.astype(str), pool.ids.astype(str)) & ~frames.of_kind("val_"))
    energy = prior.energy - model.baseline("prior", pool.numbers, pool.sizes).numpy()
    shift = model.baseline("reference", frames.numbers, frames.sizes).numpy()
    place = {name: k for k, name in enumerate(frames.ids)}
    timings = {}
    for count, path in zip(args.counts, args.output, strict=True):
        chosen = augmentation.first(pool, count, args.copies)
        labels = pseudo and pseudo.take(chosen)
        units, members = adaptation.molecule_units(
            unseen,
            pool.take(chosen),
            prior.take(chosen),
            energy[chosen],
            labels and [labels.forces_of(j) if labels.ok[j] else None for j in range(len(chosen))],
        )
        start = time.perf_counter()
        steps, results, losses = adaptation.adapt(model, units, settings)
        timings[count] = {"seconds": time.perf_counter() - start, "molecules": len(units)}
        rows, loss = [None] * len(frames), np.full((len(steps), len(frames)), np.nan)
        for u, (member, result) in enumerate(zip(members, results)):
            for m, (found, forces) in zip(member, result):
                k = place[unseen.ids[m]]
                rows[k] = (found + shift[k], forces)
                loss[:, k] = losses[u]
        method = f"{args.scheme}_{count}"
        cutoff = model.architecture.cutoff
        Predictions.build(frames, rows, steps, cutoff, method, card["seed"], loss).save(path)
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
            "device": training.DEVICE,
            "output": {"type": Path, "nargs": "+", "help": "predictions, one file per number of geometries"},
            "timing": {"type": Path},
        },
    )
