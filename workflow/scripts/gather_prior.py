"""Put the prior labels of all shards back into the order of the frames."""

import json
from pathlib import Path

from mlipshift import cli
from mlipshift.errors import UserError
from mlipshift.frames import Frames, Labels
from mlipshift.tables import read_table, write_table


def main(args):
    frames = Frames.load(args.frames)
    labels = Labels.concatenate([Labels.load(path) for path in args.shards])
    if set(labels.ids) != set(frames.ids):
        raise UserError(f"{args.frames}: shards do not cover the frames; delete {args.shards[0].parent} and run again")
    labels = labels.select(frames.ids)
    labels.save(args.output)
    failures = [r for path in args.shard_failures for r in read_table(path).to_dict("records")]
    write_table(args.failures, sorted(failures, key=lambda r: r["id"]), columns=["id", "stage", "reason"])
    timings = [json.loads(path.read_text()) for path in args.shard_timings]
    total = {key: sum(t[key] for t in timings) for key in ("seconds", "structures")}
    args.timing.write_text(json.dumps(total))
    cli.log.info("%d labels, %d failures, %.1f core seconds", labels.ok.sum(), len(failures), total["seconds"])


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "frames": {"type": Path},
            "shards": {"type": Path, "nargs": "+"},
            "shard_failures": {"type": Path, "nargs": "+"},
            "shard_timings": {"type": Path, "nargs": "+"},
            "output": {"type": Path},
            "failures": {"type": Path},
            "timing": {"type": Path},
        },
    )
