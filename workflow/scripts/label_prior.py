"""Label one shard of frames with GFN-xTB; failed structures go to a table."""

import json
import time
from pathlib import Path

from mlipshift import cli, priors
from mlipshift.frames import Frames, Labels
from mlipshift.tables import write_table


def main(args):
    number, total = (int(part) for part in args.shard.split("-of-"))
    frames = Frames.load(args.frames)
    frames = frames.take(range(number - 1, len(frames), total))
    results, failures = [], []
    start = time.perf_counter()
    for k in cli.progress(range(len(frames)), len(frames), f"{args.method} shard {args.shard}"):
        try:
            results.append(priors.label(*frames[k], args.method))
        except ValueError as error:
            results.append(None)
            failures.append({"id": frames.ids[k], "stage": "prior", "reason": str(error)})
    seconds = time.perf_counter() - start
    Labels.build(frames, results, f"prior:{args.method}").save(args.output)
    write_table(args.failures, failures, columns=["id", "stage", "reason"])
    args.timing.write_text(json.dumps({"seconds": seconds, "structures": len(frames)}))


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "frames": {"type": Path},
            "method": {"choices": priors.METHODS},
            "shard": {"help": "such as 1-of-4; every fourth structure from the first"},
            "output": {"type": Path, "help": "labels of the shard"},
            "failures": {"type": Path, "help": "CSV of structures without a label"},
            "timing": {"type": Path, "help": "JSON of seconds and number of structures"},
        },
    )
