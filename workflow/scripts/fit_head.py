"""Fit a prior head on the features of a model: no reference label is read."""

import json
from pathlib import Path

import numpy as np

from mlipshift.base.errors import UserError
from mlipshift.base.files import replacing
from mlipshift.base.frames import Frames, Labels
from mlipshift.base.log import log
from mlipshift.base.tables import read_table
from mlipshift.base.timing import Stopwatch
from mlipshift.external import differentiable, heads
from mlipshift.external.picks import spread_over, usable
from mlipshift.external.structure import Structure
from mlipshift.run import cli

HELD_OUT = 10  # one in so many molecules says how well the head predicts the prior


def chosen(frames, prior, excluded, count):
    """Numbers of at most `count` structures with a prior label that the model can take, spread over the molecules."""
    able = np.flatnonzero(usable(frames, excluded) & prior.ok)
    if len(able) < heads.BATCH:
        raise UserError(
            f"only {len(able)} structures of the group train have a prior label and can be taken by the model; a "
            f"prior head needs {heads.BATCH} at least, better some hundred (data.files.train)"
        )
    return spread_over(frames.molecule, able, count)


def main(args):
    frames, settings = Frames.load(args.frames), args.settings
    prior = Labels.load(args.prior).select(frames.ids)
    picks = chosen(frames, prior, set(read_table(args.excluded)["id"]), settings["structures"])
    model = differentiable.load(args.entry, args.checkpoint)
    watch = Stopwatch()
    structures = [Structure.of(frames, k) for k in picks]
    head = heads.start(model, structures, settings)
    rows = heads.examples(model, head, structures, [prior.forces_of(k) for k in picks], args.model)
    names = sorted(set(frames.molecule[picks]))
    kept = {name for k, name in enumerate(names) if k % HELD_OUT == HELD_OUT - 1}
    held = [row for row, k in zip(rows, picks) if frames.molecule[k] in kept]
    learnt = [row for row, k in zip(rows, picks) if frames.molecule[k] not in kept]
    residual = heads.train(head, learnt, held, settings)
    heads.set_shifts(model, head, structures, prior.energy[picks])
    head.save(args.output)
    watch.timing(len(picks)).write(args.timing)
    report = {
        "model": args.model,
        "structures": len(learnt),
        "molecules": len(names) - len(kept),
        "held_out_structures": len(held),
        "held_out_molecules": len(kept),
        "held_out_residual_meV_per_A": round(1000 * residual, 3) if np.isfinite(residual) else None,
        "before_meV_per_A": round(1000 * float(np.mean([row.forces.abs().mean() for row in held or rows])), 3),
    }
    with replacing(args.report) as part:
        part.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    log.info("%s", report)


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "model": {"help": "name in the registry"},
            "entry": {"type": cli.settings, "help": "entry of the registry as JSON"},
            "checkpoint": {"type": Path, "required": False, "help": "weights, where the package carries none"},
            "frames": {"type": Path, "help": "structures on which the model is trusted, without labels"},
            "prior": {"type": Path, "help": "prior labels, of these and maybe of others"},
            "excluded": {"type": Path, "help": "table of the structures that the model cannot take"},
            "settings": {"type": cli.settings, "help": "JSON: structures, components, hidden, epochs, seed"},
            "output": {"type": Path, "help": "weights of the head"},
            "report": {"type": Path, "help": "JSON: how well the head predicts the prior"},
            "timing": {"type": Path},
        },
    )
