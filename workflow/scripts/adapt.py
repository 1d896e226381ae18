"""Test-time training on the prior labels of the test structures; reference labels are no input."""

import json
import time
from pathlib import Path

import numpy as np

from mlipshift import adaptation, cli, models, training
from mlipshift.errors import UserError
from mlipshift.frames import Frames, Labels, Predictions
from mlipshift.strategies import STRATEGIES
from mlipshift.tables import write_table


def main(args):
    training.configure(device=args.device)
    frames, settings = Frames.load(args.frames), adaptation.Settings.of(args.settings)
    known = Frames.load(args.known)
    prior = Labels.load(args.prior, known)
    model, card = models.load(args.model, args.device)
    difference = STRATEGIES[card["strategy"]].difference
    if difference and args.mode == "molecule":
        raise UserError(f"{args.model}: Δ-learning needs the prior of every predicted structure; use another mode")
    names = adaptation.adapted_parameters(model, settings)
    cli.log.info(
        "%d parameter tensors are adapted, %.1f %% of all parameters",
        len(names),
        100 * adaptation.share_of_parameters(model, names),
    )
    energy = prior.energy - model.baseline("prior", known.numbers, known.sizes).numpy()
    if args.mode == "molecule":
        units, members = adaptation.molecule_units(frames, known, prior, energy)
    elif args.mode == "placebo":
        units, members = adaptation.placebo_units(frames, prior, energy, args.seed)
    elif args.mode == "set":
        units, members = adaptation.set_units(frames, known, prior, energy)
    else:
        held = None
        if args.copies:
            copies = Frames.load(args.copies)
            held = (copies, Labels.load(args.copies_prior, copies))
        units, members = adaptation.structure_units(frames, prior, energy, held)
    start = time.perf_counter()
    steps, results, losses = adaptation.adapt(model, units, settings)
    seconds = time.perf_counter() - start

    rows = [None] * len(frames)
    loss = np.full((len(steps), len(frames)), np.nan)
    shift = model.baseline("reference", frames.numbers, frames.sizes).numpy()
    for unit, (member, result) in enumerate(zip(members, results)):
        for k, (energy, forces) in zip(member, result):
            # Δ-learning: the adapted difference is added to the prior
            own = (prior.energy[k], prior.forces_of(k)) if difference else (0.0, 0.0)
            rows[k] = (energy + shift[k] + own[0], forces + own[1])
            loss[:, k] = losses[unit]
    failures = [
        {"id": frames.ids[k], "stage": f"adapt:{args.mode}", "reason": "no prior label to adapt on"}
        for k, row in enumerate(rows)
        if row is None
    ]
    kind = {"structure": "ttt", "placebo": "placebo", "molecule": "ttt_other", "set": "ttt_set"}[args.mode]
    method = args.method or f"{card['strategy']}_{kind}"
    cutoff = model.architecture.cutoff
    Predictions.build(frames, rows, steps, cutoff, method, card["seed"], loss).save(args.output)
    write_table(args.failures, failures, columns=["id", "stage", "reason"])
    args.timing.write_text(json.dumps({"seconds": seconds, "structures": len(frames)}))


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "model": {"type": Path, "help": "model directory"},
            "device": training.DEVICE,
            "frames": {"type": Path, "help": "test frames, without labels"},
            "known": {"type": Path, "help": "frames to adapt on: the test frames, or geometries of their molecules"},
            "prior": {"type": Path, "help": "prior labels of --known"},
            "mode": {
                "choices": adaptation.MODES,
                "help": "structure: each by itself; molecule: each molecule on --known; set: each group as a whole; "
                "placebo: on foreign forces",
            },
            "copies": {"type": Path, "required": False, "help": "rattled copies of the test frames, to stop by"},
            "copies_prior": {"type": Path, "required": False, "help": "prior labels of --copies"},
            "method": {"required": False, "help": "name of the method; made of strategy and mode if absent"},
            "settings": {"type": cli.settings, "help": "JSON of the hyper-parameters"},
            "seed": {"type": int, "help": "seed of the placebo's choice"},
            "output": {"type": Path},
            "failures": {"type": Path},
            "timing": {"type": Path},
        },
    )
