"""Test-time training of a published model through its frozen prior head; goes on where a killed job stopped.

It is told the prior labels of the structures that it predicts; reference labels are no input.
"""

import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np

from mlipshift.base.checkpoints import Checkpoints
from mlipshift.base.errors import UserError
from mlipshift.base.frames import Frames, Labels
from mlipshift.base.log import log
from mlipshift.base.predictions import Predictions
from mlipshift.base.tables import FAILURES, read_table, write_table
from mlipshift.base.timing import Timing
from mlipshift.external import differentiable, test_time
from mlipshift.external.heads import PriorHead
from mlipshift.external.picks import usable
from mlipshift.external.prediction import fingerprint
from mlipshift.external.settings import with_rate
from mlipshift.run import cli


def main(args):
    frames, settings = Frames.load(args.frames), test_time.Settings.of(with_rate(args.settings, args.entry))
    prior = Labels.load(args.prior).select(frames.ids)
    excluded = set(read_table(args.excluded)["id"])
    asked = np.flatnonzero(usable(frames, excluded)).tolist()
    model, head = differentiable.load(args.entry, args.checkpoint), PriorHead.load(args.head)
    targets = test_time.placebo(frames, prior, args.seed) if args.placebo else None
    digest = {"entry": args.entry, "settings": asdict(settings), "placebo": args.placebo, "seed": args.seed}
    files = [*([args.checkpoint] if args.checkpoint else []), args.head, args.prior]
    # Snakemake removes what a killed job has declared as its output, and nothing else
    kept = args.output.with_name(args.output.name + ".parts")
    store = Checkpoints(kept, fingerprint(digest, files, excluded))
    method = f"{args.model}_{'placebo' if args.placebo else 'ttt'}"
    found = test_time.adapt_frames(model, head, frames, prior, asked, settings, store, method, targets)
    if asked and all(row is None for row in found.rows):
        raise UserError(f"{method}: failed on every structure; the last time: {[*found.reasons.values()][-1]}")
    steps = settings.checkpoints
    Predictions.build(frames, found.rows, steps, np.nan, method, -1, found.loss).save(args.output)
    failures = [{"id": frames.ids[k], "stage": method, "reason": reason} for k, reason in sorted(found.reasons.items())]
    write_table(args.failures, failures, FAILURES)
    done = sum(row is not None for row in found.rows)
    Timing(found.seconds, done, found.measured).write(args.timing)
    shutil.rmtree(kept, ignore_errors=True)
    gated = int(sum(np.all(e == e[0]) for e, _ in filter(None, found.rows))) if settings.steps else done
    log.info("%d structures, %d of them left as they were; %d of a job that was killed", done, gated, found.resumed)


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "model": {"help": "name in the registry"},
            "entry": {"type": cli.settings, "help": "entry of the registry as JSON"},
            "checkpoint": {"type": Path, "required": False, "help": "weights, where the package carries none"},
            "frames": {"type": Path, "help": "structures, without labels"},
            "prior": {"type": Path, "help": "prior labels of these, and maybe of others"},
            "excluded": {"type": Path, "help": "table of the structures that the model cannot take"},
            "head": {"type": Path, "help": "weights of the prior head, by fit_head"},
            "settings": {"type": cli.settings, "help": "JSON: steps, learning_rate, record, gate_eV_per_A"},
            "placebo": {"action": "store_true", "required": False, "help": "adapt to foreign prior forces"},
            "seed": {"type": int, "required": False, "default": 0, "help": "seed of the placebo's choice"},
            "output": {"type": Path},
            "failures": {"type": Path, "help": "structures without a prediction, or whose adaptation has failed"},
            "timing": {"type": Path},
        },
    )
