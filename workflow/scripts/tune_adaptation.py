"""Scan test-time training on the validation shift groups; how the default hyper-parameters were chosen."""

import itertools
from pathlib import Path

import numpy as np

from mlipshift.base.frames import Frames, Labels
from mlipshift.base.log import log
from mlipshift.base.tables import write_table
from mlipshift.data import augmentation
from mlipshift.evaluate import statistics
from mlipshift.learn import networks, training
from mlipshift.mitigate import adaptation
from mlipshift.run import cli


def main(args):
    training.configure(device=args.device)
    frames = Frames.load(args.frames)
    prior = Labels.load(args.prior, frames)
    pool = Frames.load(args.pool)
    pool_prior = Labels.load(args.pool_prior, pool)
    # nothing but the validation groups goes any further
    chosen = frames.of_kind("val_")
    frames, prior = frames.take(chosen), prior.take(chosen)
    reference = Labels.load(args.reference, frames)
    chosen = reference.ok & prior.ok
    frames, reference, prior = frames.take(chosen), reference.take(chosen), prior.take(chosen)
    chosen = np.flatnonzero(pool.of_kind("val_"))
    pool, pool_prior = pool.take(chosen), pool_prior.take(chosen)
    unseen = frames.take(~np.isin(frames.ids.astype(str), pool.ids.astype(str)))
    chosen = augmentation.first(pool, 1, args.copies)
    pool, pool_prior = pool.take(chosen), pool_prior.take(chosen)
    model, card = networks.load(args.model, args.device)
    energy, pool_energy = (
        p.energy - model.baseline("prior", f.numbers, f.sizes).numpy() for f, p in ((frames, prior), (pool, pool_prior))
    )
    # every structure on its own prior labels; unseen geometries of a molecule after adaptation on one
    units = {
        "structure": (frames, *adaptation.structure_units(frames, prior, energy)),
        "conformers": (unseen, *adaptation.molecule_units(unseen, pool, pool_prior, pool_energy)),
    }
    place = {name: k for k, name in enumerate(frames.ids)}
    rows = []
    for mode, level, rate in itertools.product(units, args.levels, args.learning_rates):
        settings = adaptation.Settings(**{**args.settings, "level": level, "learning_rate": rate})
        predicted, own, members = units[mode]
        steps, results, _ = adaptation.adapt(model, own, settings)
        errors = np.full((len(steps), len(frames)), np.nan)
        for member, result in zip(members, results):
            for m, (_, forces) in zip(member, result):
                k = place[predicted.ids[m]]
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
        if of_mode:  # no molecule may have a second geometry
            log.info("best: %s", min(of_mode, key=lambda r: r["mean_meV_per_A"]))


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
            "pool": {"type": Path, "help": "geometries to adapt a molecule on, with rattled copies"},
            "pool_prior": {"type": Path, "help": "prior labels of --pool"},
            "copies": {"type": int, "help": "rattled copies of the geometry that are adapted on"},
            "settings": {"type": cli.settings, "help": "JSON of the hyper-parameters that are not scanned"},
            "levels": {"nargs": "+", "choices": networks.LEVELS},
            "learning_rates": {"type": float, "nargs": "+"},
            "output": {"type": Path},
        },
    )
