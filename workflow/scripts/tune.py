"""Scan test-time training on the validation shift groups; how the default hyper-parameters were chosen."""

import itertools
from pathlib import Path

import numpy as np

from mlipshift import adaptation, cli, models, statistics, training
from mlipshift.frames import Frames, Labels
from mlipshift.tables import write_table


def main(args):
    training.configure()
    frames = Frames.load(args.frames)
    reference, prior = Labels.load(args.reference, frames), Labels.load(args.prior, frames)
    # nothing but the validation groups goes any further
    chosen = np.char.startswith(frames.group.astype(str), "val_") & reference.ok & prior.ok
    frames, reference, prior = frames.take(chosen), reference.take(chosen), prior.take(chosen)
    model, card = models.load(args.model)
    baseline = model.baseline("prior", frames.numbers, frames.sizes).numpy()
    rows = []
    for mode, level, rate in itertools.product(("structure", "molecule"), args.levels, args.learning_rates):
        settings = adaptation.Settings(**{**args.settings, "level": level, "learning_rate": rate})
        units, members = adaptation.units_of(mode, frames, prior, baseline)
        steps, results, _ = adaptation.adapt(model, units, settings)
        errors = np.full((len(steps), len(frames)), np.nan)
        for member, result in zip(members, results):
            # in molecule mode the geometry adapted on is no test
            for k, (_, forces) in list(zip(member, result))[1 if mode == "molecule" else 0 :]:
                errors[:, k] = 1000 * np.abs(forces - reference.forces_of(k)).mean((1, 2))
        for t, step in enumerate(steps):
            for group in (*dict.fromkeys(frames.group), "val_all"):
                values = errors[t, (frames.group == group) | (group == "val_all")]
                values = values[np.isfinite(values)]
                if len(values):
                    rows.append(
                        {
                            "strategy": card["strategy"],
                            "seed": card["seed"],
                            "mode": mode,
                            "level": level,
                            "learning_rate": rate,
                            "step": step,
                            "group": group,
                            "n_structures": len(values),
                            "mean_meV_per_A": values.mean(),
                            "below_25_meV_per_A": (values < statistics.TARGET).mean(),
                        }
                    )
    write_table(args.output, rows)
    best = min((r for r in rows if r["group"] == "val_all"), key=lambda r: (r["mode"], r["mean_meV_per_A"]))
    cli.log.info("best: %s", best)


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "model": {"type": Path, "help": "model directory"},
            "frames": {"type": Path, "help": "test frames"},
            "reference": {"type": Path, "help": "reference labels; only those of validation groups are used"},
            "prior": {"type": Path, "help": "prior labels"},
            "settings": {"type": cli.settings, "help": "JSON of the hyper-parameters that are not scanned"},
            "levels": {"nargs": "+", "choices": models.LEVELS},
            "learning_rates": {"type": float, "nargs": "+"},
            "output": {"type": Path},
        },
    )
