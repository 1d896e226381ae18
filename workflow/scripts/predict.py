"""Predict the test structures with a trained model as it is, without adaptation."""

import json
import time
from pathlib import Path

from mlipshift.base.frames import Frames, Labels
from mlipshift.learn import device
from mlipshift.learn.potential import Potential
from mlipshift.run import cli


def main(args):
    device.configure(device=args.device)
    frames = Frames.load(args.frames)
    prior = Labels.load(args.prior, frames) if args.prior else None
    potential = Potential.load(args.model, args.device)
    start = time.perf_counter()
    predictions = potential.predictions(frames, prior)
    seconds = time.perf_counter() - start
    predictions.save(args.output)
    args.timing.write_text(json.dumps({"seconds": seconds, "structures": len(frames)}))


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "model": {"type": Path, "help": "model directory"},
            "device": device.OPTION,
            "frames": {"type": Path, "help": "test frames, without labels"},
            "prior": {"type": Path, "required": False, "help": "prior labels, for Δ-learning only"},
            "output": {"type": Path},
            "timing": {"type": Path},
        },
    )
