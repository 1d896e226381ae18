"""Predict structures with a model of the registry; keeps what its own representation says of them, too."""

import json
import time
from pathlib import Path

import numpy as np

from mlipshift.base.errors import UserError, shortened
from mlipshift.base.frames import Frames
from mlipshift.base.log import progress
from mlipshift.base.predictions import Predictions
from mlipshift.base.tables import FAILURES, read_table, write_table
from mlipshift.external import families
from mlipshift.external.embedding import Embedding
from mlipshift.external.structure import Structure
from mlipshift.run import cli


def main(args):
    frames = Frames.load(args.frames)
    excluded = read_table(args.excluded)
    excluded = excluded[excluded["set"] == args.set]
    failures = [{"id": i, "stage": args.model, "reason": r} for i, r in zip(excluded["id"], excluded["reason"])]
    skip = set(excluded["id"])
    model = families.load(args.entry, args.checkpoint)
    start = time.perf_counter()
    rows, vectors = [], []
    for k in progress(range(len(frames)), len(frames), args.model):
        row = vector = None
        if frames.ids[k] not in skip:
            try:
                energy, forces, vector = model(Structure.of(frames, k))
                if not (np.isfinite(energy) and np.isfinite(forces).all()):
                    raise ValueError("energy or forces are not finite")
                row = [energy], forces[None]
            except (RuntimeError, ValueError, ArithmeticError, LookupError) as error:
                failures.append({"id": frames.ids[k], "stage": args.model, "reason": shortened(error)})
        rows.append(row)
        vectors.append(vector)
    seconds = time.perf_counter() - start
    if len(skip) < len(frames) and not any(rows):
        raise UserError(f"{args.model}: failed on every structure; the last time: {failures[-1]['reason']}")
    Predictions.build(frames, rows, [0], model.cutoff or np.nan, args.model, -1).save(args.output)
    Embedding.build(frames, vectors).save(args.embedding)
    write_table(args.failures, failures, FAILURES)
    args.timing.write_text(json.dumps({"seconds": seconds, "structures": sum(r is not None for r in rows)}))


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "model": {"help": "name in the registry, which becomes the method"},
            "entry": {"type": cli.settings, "help": "entry of the registry as JSON"},
            "checkpoint": {"type": Path, "required": False, "help": "weights, where the package carries none"},
            "frames": {"type": Path, "help": "structures, without labels"},
            "set": {"help": "their name in the table of the excluded ones"},
            "excluded": {"type": Path, "help": "table of the structures that the model cannot take"},
            "output": {"type": Path},
            "embedding": {"type": Path},
            "failures": {"type": Path},
            "timing": {"type": Path},
        },
    )
