"""Label one shard of frames with the prior, going on where a killed job stopped; failed structures go to a table."""

import hashlib
import json
import os
import shutil
import time
import zipfile
from pathlib import Path

from mlipshift.base.log import log, progress

# threads only get into each other's way on molecules; shards are the parallel unit
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np

from mlipshift.base.files import replacing
from mlipshift.base.frames import Frames, Labels
from mlipshift.base.limits import MOLECULES_ONLY
from mlipshift.base.tables import write_table
from mlipshift.prior import engines
from mlipshift.prior.labels import fingerprint, label_frames, stripe
from mlipshift.run import cli


def checkpoint_key(frames, settings):
    """Digest of everything that the labels of a stripe depend on; settings: the digest of what all stripes share."""
    digest = settings.copy()
    digest.update(json.dumps(frames.ids.tolist()).encode())
    for values in (frames.offsets, frames.numbers, frames.positions, frames.charge, frames.multiplicity):
        digest.update(values.tobytes())
    return digest.hexdigest()


def read_checkpoint(path, key, frames, level):
    """(Labels, reasons, seconds) of a stripe; None if it is not there, damaged or of something else."""
    try:
        with np.load(path) as kept:
            if str(kept["key"]) != key:
                return None
            labels = Labels(frames.ids, frames.offsets, kept["energy"], kept["forces"], kept["ok"], level)
            return labels, json.loads(str(kept["reasons"])), float(kept["seconds"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def write_checkpoint(path, key, labels, reasons, seconds):
    """Keep a stripe for a job that starts again after this one was killed."""
    with replacing(path) as part, open(part, "wb") as handle:
        arrays = {"energy": labels.energy, "forces": labels.forces, "ok": labels.ok}
        np.savez(handle, key=key, reasons=json.dumps(reasons), seconds=seconds, **arrays)


def main(args):
    number, total = (int(part) for part in args.shard.split("-of-"))
    level = engines.level(args.method, args.engine)
    singlepoint = engines.engine(args.method, args.engine, args.accuracy)
    structures = Frames.number(args.frames)
    size = stripe(structures, total)
    stripes = len(range((number - 1) * size, structures, total * size))
    # Snakemake removes what a killed job has declared as its output, and nothing else
    kept = args.output.with_name(args.output.name + ".stripes")
    settings = hashlib.sha256(fingerprint(args.method, args.engine, args.accuracy))
    failures, summed, labelled, resumed = [], 0.0, 0, 0
    blocks = Frames.blocks(args.frames, size, number - 1, total)
    with Labels.joiner(args.output, level) as append:
        start = time.perf_counter()
        for k, frames in enumerate(progress(blocks, stripes, f"{args.method} shard {args.shard}, stripes")):
            key = checkpoint_key(frames.molecules_only(MOLECULES_ONLY), settings)
            known = read_checkpoint(kept / f"{k}.npz", key, frames, level)
            if known is None:
                labels, reasons = label_frames(frames, singlepoint, args.method, level)
                reasons = {str(frames.ids[i]): reason for i, reason in reasons.items()}
                seconds = time.perf_counter() - start
                write_checkpoint(kept / f"{k}.npz", key, labels, reasons, seconds)
            else:
                labels, reasons, seconds = known
                resumed += len(frames)
            append(labels)
            failures += [{"id": name, "stage": "prior", "reason": reason} for name, reason in reasons.items()]
            summed, labelled, start = summed + seconds, labelled + len(frames), time.perf_counter()
    write_table(args.failures, failures, columns=["id", "stage", "reason"])
    args.timing.write_text(json.dumps({"seconds": summed, "structures": labelled}))
    shutil.rmtree(kept, ignore_errors=True)
    log.info("%d structures, %d of them labelled by a job that was killed", labelled, resumed)


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "frames": {"type": Path},
            "method": {"choices": engines.METHODS},
            "engine": {"choices": engines.ENGINES, "help": "library of the GFN-xTB methods"},
            "accuracy": {"type": float, "help": "convergence threshold of the GFN-xTB methods"},
            "shard": {"help": "such as 1-of-4; every fourth stripe of structures from the first"},
            "output": {"type": Path, "help": "labels of the shard"},
            "failures": {"type": Path, "help": "CSV of structures without a label"},
            "timing": {"type": Path, "help": "JSON of seconds and number of structures"},
        },
    )
