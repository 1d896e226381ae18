"""Predict structures with a model of the registry, and represent them; goes on where a killed job stopped."""

import shutil
from pathlib import Path

import numpy as np

from mlipshift.base.checkpoints import Checkpoints
from mlipshift.base.errors import UserError
from mlipshift.base.files import replacing
from mlipshift.base.frames import Frames
from mlipshift.base.log import log
from mlipshift.base.predictions import Predictions
from mlipshift.base.tables import FAILURES, read_table, write_table
from mlipshift.base.timing import Timing
from mlipshift.external import families
from mlipshift.external.embedding import Embedding
from mlipshift.external.prediction import fingerprint, predict
from mlipshift.external.probes import examine
from mlipshift.run import cli


def main(args):
    frames = Frames.load(args.frames)
    excluded = read_table(args.excluded)
    excluded = excluded[excluded["set"] == args.set]
    skip = set(excluded["id"])
    model = families.load(args.entry, args.checkpoint)
    files = [*([args.checkpoint] if args.checkpoint else []), *args.depends]
    # Snakemake removes what a killed job has declared as its output, and nothing else
    kept = args.output.with_name(args.output.name + ".parts")
    settings = fingerprint({**args.entry, "features": args.features}, files, skip)
    found = predict(model, frames, skip, Checkpoints(kept, settings), args.model, args.features)
    if len(skip) < len(frames) and not found.answers:
        raise UserError(f"{args.model}: failed on every structure; the last time: {[*found.reasons.values()][-1]}")
    try:
        notes = [*examine(model, frames, found, args.knows_charge), *getattr(model, "notes", [])]
    except UserError as error:
        raise UserError(f"{args.model}: {error}") from error
    rows = [found.answers.get(k) for k in range(len(frames))]
    answers = [None if row is None else ([row.energy], row.forces[None]) for row in rows]
    Predictions.build(frames, answers, [0], model.cutoff or np.nan, args.model, -1).save(args.output)
    Embedding.build(frames, rows).save(args.embedding)
    reasons = [*zip(excluded["id"], excluded["reason"]), *((frames.ids[k], r) for k, r in found.reasons.items())]
    write_table(args.failures, [{"id": i, "stage": args.model, "reason": r} for i, r in reasons], FAILURES)
    with replacing(args.notes) as part:
        part.write_text("".join(f"{args.model}: {note}\n" for note in notes), encoding="utf-8")
    Timing(found.seconds, len(found.answers), found.measured).write(args.timing)
    shutil.rmtree(kept, ignore_errors=True)
    log.info("%d structures, %d of them predicted by a job that was killed", len(found.answers), found.resumed)


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "model": {"help": "name in the registry, which becomes the method"},
            "entry": {"type": cli.settings, "help": "entry of the registry as JSON"},
            "knows_charge": {"action": "store_true", "required": False, "help": "whether the entry says charge: true"},
            "features": {
                "action": "store_true",
                "required": False,
                "help": "also keep the model's features of every atom, in single precision",
            },
            "checkpoint": {"type": Path, "required": False, "help": "weights, where the package carries none"},
            "depends": {
                "type": Path,
                "nargs": "*",
                "required": False,
                "default": [],
                "help": "other files that the predictions depend on",
            },
            "frames": {"type": Path, "help": "structures, without labels"},
            "set": {"help": "their name in the table of the excluded ones"},
            "excluded": {"type": Path, "help": "table of the structures that the model cannot take"},
            "output": {"type": Path},
            "embedding": {"type": Path, "help": "representations of the structures, spread of an ensemble, features"},
            "failures": {"type": Path},
            "notes": {"type": Path, "help": "what the user is told of the model, a line each"},
            "timing": {"type": Path},
        },
    )
