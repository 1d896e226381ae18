"""The mean of the predictions of several methods, which need the same prior call; no reference label is read."""

from pathlib import Path

from mlipshift.base.frames import Frames
from mlipshift.base.predictions import Predictions
from mlipshift.base.timing import Timing
from mlipshift.mitigate.average import mean
from mlipshift.run import cli


def main(args):
    frames = Frames.load(args.frames)
    mean([Predictions.load(path, frames) for path in args.predictions], frames, args.method).save(args.output)
    # once for each method per structure, of however many it was measured
    times = [Timing.read(path) for path in args.timings]
    spent = Timing.total([Timing(t.each, 1, t.measured) for t in times])
    Timing(spent.seconds, 1, spent.measured).write(args.timing)


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "frames": {"type": Path, "help": "test frames, without labels"},
            "predictions": {"type": Path, "nargs": "+", "help": "of the methods, of one seed"},
            "timings": {"type": Path, "nargs": "+", "help": "of the methods"},
            "method": {"help": "name of the mean"},
            "output": {"type": Path},
            "timing": {"type": Path},
        },
    )
