"""Put the prior labels of all shards back into the order of the frames."""

from pathlib import Path

import numpy as np

from mlipshift.base.errors import UserError
from mlipshift.base.frames import Frames, Labels
from mlipshift.base.log import log
from mlipshift.base.tables import FAILURES, read_table, write_table
from mlipshift.base.timing import Timing
from mlipshift.prior import engines
from mlipshift.prior.labels import stripe
from mlipshift.run import cli


def in_order(path, shards):
    """Yield the labels of the frames in `path`, in their order, stripe by stripe out of the shards in turn."""
    size = stripe(Frames.number(path), len(shards))
    parts = [Labels.blocks(shard, size) for shard in shards]
    for k, frames in enumerate(Frames.blocks(path, size)):
        labels = next(parts[k % len(parts)], None)
        if labels is None or not np.array_equal(labels.ids, frames.ids):
            raise UserError(f"{path}: shards do not cover the frames; delete {shards[0].parent} and run again")
        yield labels


def main(args):
    labelled = 0
    with Labels.joiner(args.output, engines.level(args.method, args.engine)) as append:
        for labels in in_order(args.frames, args.shards):
            append(labels)
            labelled += labels.ok.sum()
    failures = [r for path in args.shard_failures for r in read_table(path).to_dict("records")]
    write_table(args.failures, sorted(failures, key=lambda r: r["id"]), FAILURES)
    total = Timing.total([Timing.read(path) for path in args.shard_timings])
    total.write(args.timing)
    log.info("%d labels, %d failures, %.1f CPU seconds", labelled, len(failures), total.seconds)


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "frames": {"type": Path},
            "method": {"choices": engines.METHODS},
            "engine": {"choices": engines.ENGINES},
            "shards": {"type": Path, "nargs": "+", "help": "labels of shards 1, 2, ..."},
            "shard_failures": {"type": Path, "nargs": "+"},
            "shard_timings": {"type": Path, "nargs": "+"},
            "output": {"type": Path},
            "failures": {"type": Path},
            "timing": {"type": Path},
        },
    )
