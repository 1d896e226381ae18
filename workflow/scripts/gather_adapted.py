"""Put the predictions of the shards of an adaptation together."""

from pathlib import Path

from mlipshift.base.frames import Frames
from mlipshift.base.log import log
from mlipshift.base.predictions import Predictions
from mlipshift.base.tables import FAILURES, write_table
from mlipshift.base.timing import Timing
from mlipshift.catalogue.adaptation import MODES
from mlipshift.mitigate.shards import joined, unlabelled
from mlipshift.run import cli


def main(args):
    frames = Frames.load(args.frames)
    predictions = joined([Predictions.load(path, frames) for path in args.shards])
    predictions.save(args.output)
    write_table(args.failures, unlabelled(frames, predictions, args.mode), FAILURES)
    Timing.total([Timing.read(path) for path in args.shard_timings]).write(args.timing)
    log.info("%d structures of %d shards", predictions.ok.sum(), len(args.shards))


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "frames": {"type": Path, "help": "test frames, without labels"},
            "mode": {"choices": MODES},
            "shards": {"type": Path, "nargs": "+", "help": "predictions of the shards"},
            "shard_timings": {"type": Path, "nargs": "+"},
            "output": {"type": Path},
            "failures": {"type": Path},
            "timing": {"type": Path},
        },
    )
