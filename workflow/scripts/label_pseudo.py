"""Pseudo-labels: what a Δ-learning model says of structures with prior labels; reference labels are no input."""

from pathlib import Path

from mlipshift.base.errors import UserError
from mlipshift.base.frames import Frames, Labels
from mlipshift.catalogue.strategies import STRATEGIES
from mlipshift.learn import networks, training
from mlipshift.mitigate import adaptation
from mlipshift.run import cli


def main(args):
    training.configure(device=args.device)
    frames = Frames.load(args.frames)
    prior = Labels.load(args.prior, frames)
    model, card = networks.load(args.model, args.device)
    if not STRATEGIES[card["strategy"]].difference:
        raise UserError(f"{args.model}: learnt by {card['strategy']}; pseudo-labels need a Δ-learning model")
    energy = model.baseline("reference", frames.numbers, frames.sizes).numpy() + prior.energy
    rows = adaptation.predict(model, [frames[k][:2] for k in range(len(frames))])
    results = [
        (energy[k] + found, forces + prior.forces_of(k)) if prior.ok[k] else None
        for k, (found, forces) in enumerate(rows)
    ]
    Labels.build(frames, results, f"{prior.level} + {card['strategy']}").save(args.output)


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "model": {"type": Path, "help": "directory of a Δ-learning model"},
            "frames": {"type": Path, "help": "frames to label"},
            "prior": {"type": Path, "help": "prior labels of --frames"},
            "device": training.DEVICE,
            "output": {"type": Path, "help": "labels to write"},
        },
    )
