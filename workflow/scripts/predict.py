"""Predict the test structures with a trained model as it is, without adaptation."""

import json
import time
from pathlib import Path

from mlipshift.base.frames import Frames, Labels
from mlipshift.base.predictions import Predictions
from mlipshift.catalogue.strategies import STRATEGIES
from mlipshift.learn import networks, training
from mlipshift.mitigate import adaptation
from mlipshift.run import cli


def main(args):
    training.configure(device=args.device)
    frames = Frames.load(args.frames).molecules_only(training.MOLECULES_ONLY)
    model, card = networks.load(args.model, args.device)
    start = time.perf_counter()
    rows = adaptation.predict(model, [frames[k][:2] for k in range(len(frames))])
    seconds = time.perf_counter() - start
    baseline = model.baseline("reference", frames.numbers, frames.sizes).numpy()
    rows = [(e + b, f) for (e, f), b in zip(rows, baseline)]
    if STRATEGIES[card["strategy"]].difference:
        prior = Labels.load(args.prior, frames)
        rows = [(e + prior.energy[k], f + prior.forces_of(k)) if prior.ok[k] else None for k, (e, f) in enumerate(rows)]
    predictions = Predictions.build(
        frames,
        [row and ([row[0]], row[1][None]) for row in rows],
        [0],
        model.architecture.cutoff,
        card["strategy"],
        card["seed"],
    )
    predictions.save(args.output)
    args.timing.write_text(json.dumps({"seconds": seconds, "structures": len(frames)}))


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "model": {"type": Path, "help": "model directory"},
            "device": training.DEVICE,
            "frames": {"type": Path, "help": "test frames, without labels"},
            "prior": {"type": Path, "required": False, "help": "prior labels, for Δ-learning only"},
            "output": {"type": Path},
            "timing": {"type": Path},
        },
    )
