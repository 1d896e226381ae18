"""Scan test-time training on the validation shift groups; how the default hyper-parameters were chosen."""

import itertools
from pathlib import Path

import numpy as np

from mlipshift import adaptation, cli, models, statistics, training
from mlipshift.frames import Frames, Labels
from mlipshift.tables import write_table


def main(args):
    training.configure(device=args.device)
    frames = Frames.load(args.frames)
    prior = Labels.load(args.prior, frames)
    known = Frames.load(args.known)
    known_prior = Labels.load(args.known_prior, known)
    # nothing but the validation groups goes any further
    chosen = frames.of_kind("val_")
    frames, prior = frames.take(chosen), prior.take(chosen)
    reference = Labels.load(args.reference, frames)
    chosen = reference.ok & prior.ok
    frames, reference, prior = frames.take(chosen), reference.take(chosen), prior.take(chosen)
    chosen = known.of_kind("val_")
    known, known_prior = known.take(chosen), known_prior.take(chosen)
    model, card = models.load(args.model, args.device)
    energy, known_energy = (
        p.energy - model.baseline("prior", f.numbers, f.sizes).numpy()
        for f, p in ((frames, prior), (known, known_prior))
    )
    units = {
        "structure": adaptation.structure_units(frames, prior, energy),
        "molecule": adaptation.molecule_units(frames, known, known_prior, known_energy),
    }
    # a geometry that was adapted on is no test of the molecule mode
    unseen = ~np.isin(frames.ids.astype(str), known.ids.astype(str))
    rows = []
    for mode, level, rate in itertools.product(units, args.levels, args.learning_rates):
        settings = adaptation.Settings(**{**args.settings, "level": level, "learning_rate": rate})
        steps, results, _ = adaptation.adapt(model, units[mode][0], settings)
        errors = np.full((len(steps), len(frames)), np.nan)
        for member, result in zip(units[mode][1], results):
            for k, (_, forces) in zip(member, result):
                if mode == "structure" or unseen[k]:
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
    for mode in units:
        of_mode = [r for r in rows if r["group"] == "val_all" and r["mode"] == mode]
        cli.log.info("best: %s", min(of_mode, key=lambda r: r["mean_meV_per_A"]))


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "model": {"type": Path, "help": "model directory"},
            "device": training.DEVICE,
            "frames": {"type": Path, "help": "test frames"},
            "reference": {"type": Path, "help": "reference labels of the validation groups"},
            "prior": {"type": Path, "help": "prior labels of the test frames"},
            "known": {"type": Path, "help": "geometries to adapt a molecule on"},
            "known_prior": {"type": Path, "help": "prior labels of --known"},
            "settings": {"type": cli.settings, "help": "JSON of the hyper-parameters that are not scanned"},
            "levels": {"nargs": "+", "choices": models.LEVELS},
            "learning_rates": {"type": float, "nargs": "+"},
            "output": {"type": Path},
        },
    )
