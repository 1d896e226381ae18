"""Predict the test structures with a model of the registry at every radius, its own first; goes on when killed."""

import shutil
from pathlib import Path

import numpy as np

from mlipshift.base.checkpoints import Checkpoints
from mlipshift.base.errors import UserError
from mlipshift.base.frames import Frames
from mlipshift.base.log import log
from mlipshift.base.predictions import Predictions
from mlipshift.base.tables import FAILURES, read_table, write_table
from mlipshift.external import families
from mlipshift.external.prediction import fingerprint, predict
from mlipshift.run import cli


def main(args):
    frames = Frames.load(args.frames)
    excluded = read_table(args.excluded)
    skip = set(excluded[excluded["set"] == "test"]["id"])
    model = families.load(args.entry, args.checkpoint)
    if not hasattr(model, "set_radius") or not model.cutoff:
        raise UserError(f"{args.model}: its family has no radius that can be set; take it from radius.models")
    files = [*([args.checkpoint] if args.checkpoint else []), *args.depends]
    kept = args.output.with_name(args.output.name + ".parts")
    found, reasons = [], {}
    for radius in (model.cutoff, *args.radii):
        model.set_radius(radius)
        settings = fingerprint({**args.entry, "radius": radius}, files, skip)
        said = predict(model, frames, skip, Checkpoints(kept / f"{radius:g}", settings), f"{args.model}, {radius:g} Å")
        found.append(said.answers)
        for k, reason in said.reasons.items():
            reasons.setdefault(k, f"{radius:g} Å: {reason}")
    # a structure counts where it has an answer at every radius
    whole = [
        (np.array([said[k].energy for said in found]), np.stack([said[k].forces for said in found]))
        if all(k in said for said in found)
        else None
        for k in range(len(frames))
    ]
    if not any(row is not None for row in whole):
        raise UserError(f"{args.model}: no structure has an answer at every radius; {[*reasons.values()][-1:]}")
    Predictions.build(frames, whole, range(len(found)), model.cutoff, args.model, -1).save(args.output)
    rows = [{"id": frames.ids[k], "stage": args.model, "reason": reason} for k, reason in sorted(reasons.items())]
    write_table(args.failures, rows, FAILURES)
    shutil.rmtree(kept, ignore_errors=True)
    log.info("%d structures at %d radii", sum(row is not None for row in whole), len(found))


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "model": {"help": "name in the registry, which becomes the method"},
            "entry": {"type": cli.settings, "help": "entry of the registry as JSON"},
            "checkpoint": {"type": Path, "required": False, "help": "weights, where the package carries none"},
            "depends": {
                "type": Path,
                "nargs": "*",
                "required": False,
                "default": [],
                "help": "other files that the predictions depend on",
            },
            "frames": {"type": Path, "help": "test structures, without labels"},
            "excluded": {"type": Path, "help": "table of the structures that the model cannot take"},
            "radii": {"type": float, "nargs": "+", "help": "candidate radii (Å)"},
            "output": {"type": Path, "help": "predictions, a step per radius"},
            "failures": {"type": Path},
        },
    )
