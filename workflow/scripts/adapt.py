"""Test-time training on the prior labels of the test structures; reference labels are no input."""

import json
import time
from pathlib import Path

import numpy as np

from mlipshift import adaptation, cli, models, training
from mlipshift.frames import Frames, Labels, Predictions
from mlipshift.tables import write_table


def main(args):
    training.configure(device=args.device)
    frames, settings = Frames.load(args.frames), adaptation.Settings(**args.settings)
    known = Frames.load(args.known)
    prior = Labels.load(args.prior, known)
    model, card = models.load(args.model, args.device)
    energy = prior.energy - model.baseline("prior", known.numbers, known.sizes).numpy()
    if args.mode == "molecule":
        units, members = adaptation.molecule_units(frames, known, prior, energy)
    elif args.mode == "placebo":
        units, members = adaptation.placebo_units(frames, prior, energy, args.seed)
    else:
        units, members = adaptation.structure_units(frames, prior, energy)
    start = time.perf_counter()
    steps, results, losses = adaptation.adapt(model, units, settings)
    seconds = time.perf_counter() - start

    rows = [None] * len(frames)
    loss = np.full((len(steps), len(frames)), np.nan)
    shift = model.baseline("reference", frames.numbers, frames.sizes).numpy()
    for unit, (member, result) in enumerate(zip(members, results)):
        for k, (energy, forces) in zip(member, result):
            rows[k] = (energy + shift[k], forces)
            loss[:, k] = losses[unit]
    failures = [
        {"id": frames.ids[k], "stage": f"adapt:{args.mode}", "reason": "no prior label to adapt on"}
        for k, row in enumerate(rows)
        if row is None
    ]
    method = {"structure": "ttt", "placebo": "placebo", "molecule": "ttt_other"}[args.mode]
    Predictions.build(
        frames, rows, steps, model.architecture.cutoff, f"{card['strategy']}_{method}", card["seed"], loss
    ).save(args.output)
    write_table(args.failures, failures, columns=["id", "stage", "reason"])
    args.timing.write_text(json.dumps({"seconds": seconds, "structures": len(frames)}))


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "model": {"type": Path, "help": "model directory"},
            "device": {"choices": training.DEVICES, "help": "where to compute"},
            "frames": {"type": Path, "help": "test frames, without labels"},
            "known": {"type": Path, "help": "frames to adapt on: the test frames, or geometries of their molecules"},
            "prior": {"type": Path, "help": "prior labels of --known"},
            "mode": {
                "choices": adaptation.MODES,
                "help": "structure: each by itself; molecule: each molecule on --known; placebo: on foreign forces",
            },
            "settings": {"type": cli.settings, "help": "JSON of the hyper-parameters"},
            "seed": {"type": int, "help": "seed of the placebo's choice"},
            "output": {"type": Path},
            "failures": {"type": Path},
            "timing": {"type": Path},
        },
    )
