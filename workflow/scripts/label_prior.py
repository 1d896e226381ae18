"""Label one shard of frames with the prior, going on where a killed job stopped; failed structures go to a table."""

import os
import shutil
from pathlib import Path

from mlipshift.base.log import log, progress

# threads only get into each other's way on molecules; shards are the parallel unit
os.environ["OMP_NUM_THREADS"] = "1"

from mlipshift.base.checkpoints import Checkpoints
from mlipshift.base.frames import Frames, Labels
from mlipshift.base.limits import MOLECULES_ONLY
from mlipshift.base.tables import FAILURES, write_table
from mlipshift.base.text import shard_of
from mlipshift.base.timing import Stopwatch, Timing
from mlipshift.prior import engines
from mlipshift.prior.labels import fingerprint, label_frames, stripe
from mlipshift.run import cli


def main(args):
    number, total = shard_of(args.shard)
    level = engines.level(args.method, args.engine)
    singlepoint = engines.engine(args.method, args.engine, args.accuracy, args.fitted)
    structures = Frames.number(args.frames)
    size = stripe(structures, total)
    stripes = len(range((number - 1) * size, structures, total * size))
    # Snakemake removes what a killed job has declared as its output, and nothing else
    kept = args.output.with_name(args.output.name + ".stripes")
    checkpoints = Checkpoints(kept, fingerprint(args.method, args.engine, args.accuracy, args.fitted))
    failures, summed, labelled, asked, resumed = [], 0.0, 0, 0, 0
    blocks = Frames.blocks(args.frames, size, number - 1, total)
    with Labels.joiner(args.output, level) as append:
        watch = Stopwatch()
        for k, frames in enumerate(progress(blocks, stripes, f"{args.method} shard {args.shard}, stripes")):
            known = checkpoints.load(k, frames.molecules_only(MOLECULES_ONLY))
            if known is None:
                labels, reasons = label_frames(frames, singlepoint, args.method, level)
                reasons = {str(frames.ids[i]): reason for i, reason in reasons.items()}
                seconds = watch.seconds
                arrays = {"energy": labels.energy, "forces": labels.forces, "ok": labels.ok}
                checkpoints.save(k, frames, arrays, {"reasons": reasons, "seconds": seconds})
            else:
                arrays, notes = known
                labels = Labels(frames.ids, frames.offsets, **arrays, level=level)
                reasons, seconds = notes["reasons"], notes["seconds"]
                resumed += len(frames)
            append(labels)
            failures += [{"id": name, "stage": "prior", "reason": reason} for name, reason in reasons.items()]
            # of a stripe of a job that was killed, what it took there
            summed, watch = summed + seconds, Stopwatch()
            labelled, asked = labelled + int(labels.ok.sum()), asked + len(frames)
    write_table(args.failures, failures, FAILURES)
    Timing(summed, labelled).write(args.timing)
    shutil.rmtree(kept, ignore_errors=True)
    log.info("%d structures, %d of them labelled by a job that was killed", asked, resumed)


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "frames": {"type": Path},
            "method": {"choices": engines.METHODS},
            "engine": {"choices": engines.ENGINES, "help": "library of the GFN-xTB methods"},
            "accuracy": {"type": float, "help": "convergence threshold of the GFN-xTB methods"},
            "fitted": {"type": Path, "required": False, "help": "folder of the models of a method that is fitted"},
            "shard": {"help": "such as 1-of-4; every fourth stripe of structures from the first"},
            "output": {"type": Path, "help": "labels of the shard"},
            "failures": {"type": Path, "help": "CSV of structures without a label"},
            "timing": {"type": Path, "help": "JSON of seconds and number of structures"},
        },
    )
