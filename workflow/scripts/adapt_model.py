"""Test-time training on the prior labels of the test structures; reference labels are no input.

The validation groups are left to the scan of hyper-parameters.
"""

import json
import time
from pathlib import Path

import numpy as np

from mlipshift.base.frames import Frames, Labels
from mlipshift.base.log import log
from mlipshift.base.predictions import Predictions
from mlipshift.base.tables import write_table
from mlipshift.catalogue.strategies import STRATEGIES
from mlipshift.learn import networks, training
from mlipshift.mitigate import adaptation
from mlipshift.run import cli


def main(args):
    training.configure(device=args.device)
    everything, settings = Frames.load(args.frames), adaptation.Settings.of(args.settings)
    asked = ~everything.of_kind("val_")
    frames, prior = everything.take(asked), Labels.load(args.prior, everything).take(asked)
    model, card = networks.load(args.model, args.device)
    difference = STRATEGIES[card["strategy"]].difference
    names = adaptation.adapted_parameters(model, settings)
    log.info(
        "%d parameter tensors are adapted, %.1f %% of all parameters",
        len(names),
        100 * adaptation.share_of_parameters(model, names),
    )
    energy = prior.energy - model.baseline("prior", frames.numbers, frames.sizes).numpy()
    if args.mode == "molecule":
        units, members = adaptation.molecule_units(frames, frames, prior, energy)
    elif args.mode == "placebo":
        units, members = adaptation.placebo_units(frames, prior, energy, args.seed)
    elif args.mode == "set":
        units, members = adaptation.set_units(frames, frames, prior, energy)
    else:
        held = None
        if args.copies:
            copies = Frames.load(args.copies)
            held = (copies, Labels.load(args.copies_prior, copies))
        units, members = adaptation.structure_units(frames, prior, energy, held)
    start = time.perf_counter()
    steps, results, losses = adaptation.adapt(model, units, settings)
    seconds = time.perf_counter() - start

    place = np.flatnonzero(asked)
    rows = [None] * len(everything)
    loss = np.full((len(steps), len(everything)), np.nan)
    shift = model.baseline("reference", frames.numbers, frames.sizes).numpy()
    for unit, (member, result) in enumerate(zip(members, results)):
        for k, (energy, forces) in zip(member, result):
            # Δ-learning: the adapted difference is added to the prior
            own = (prior.energy[k], prior.forces_of(k)) if difference else (0.0, 0.0)
            rows[place[k]] = (energy + shift[k] + own[0], forces + own[1])
            loss[:, place[k]] = losses[unit]
    failures = [
        {"id": everything.ids[k], "stage": f"adapt:{args.mode}", "reason": "no prior label to adapt on"}
        for k in place
        if rows[k] is None
    ]
    kind = {"structure": "ttt", "placebo": "placebo", "molecule": "ttt_molecule", "set": "ttt_set"}[args.mode]
    method = args.method or f"{card['strategy']}_{kind}"
    cutoff = model.architecture.cutoff
    Predictions.build(everything, rows, steps, cutoff, method, card["seed"], loss).save(args.output)
    write_table(args.failures, failures, columns=["id", "stage", "reason"])
    args.timing.write_text(json.dumps({"seconds": seconds, "structures": sum(map(len, members))}))


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "model": {"type": Path, "help": "model directory"},
            "device": training.DEVICE,
            "frames": {"type": Path, "help": "test frames, without labels"},
            "prior": {"type": Path, "help": "prior labels of the test frames"},
            "mode": {
                "choices": adaptation.MODES,
                "help": "structure: each by itself; molecule, set: all structures of a molecule or of a group "
                "together; placebo: on foreign forces",
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
