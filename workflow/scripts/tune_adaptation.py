"""Scan test-time training on the validation shift groups; how the default hyper-parameters were chosen."""

import itertools
from pathlib import Path

import numpy as np

from mlipshift.base.frames import Frames, Labels
from mlipshift.base.log import log
from mlipshift.base.tables import write_table
from mlipshift.catalogue.adaptation import Settings
from mlipshift.catalogue.groups import VALIDATION
from mlipshift.catalogue.strategies import LEVELS
from mlipshift.evaluate import statistics
from mlipshift.learn import device
from mlipshift.learn.potential import Potential
from mlipshift.mitigate.adaptation import adapt_frames
from mlipshift.mitigate.distillation import conformer_units, unseen_of
from mlipshift.mitigate.units import structure_units
from mlipshift.run import cli


def errors_of(found, frames, reference):
    """Mean absolute force error [T, S] (meV/Å) of what was adapted and predicted, NaN elsewhere."""
    place = {name: k for k, name in enumerate(frames.ids)}
    errors = np.full((len(found.steps), len(frames)), np.nan)
    for name, row in zip(found.frames.ids, found.rows):
        if row is not None:
            k = place[name]
            errors[:, k] = 1000 * np.abs(row[1] - reference.forces_of(k)).mean((1, 2))
    return errors


SCAN = ["strategy", "seed", "mode", "level", "learning_rate", "step", "group", "n_structures"]
SCAN += ["mean_meV_per_A", "below_25_meV_per_A"]


def summaries(errors, steps, frames, common):
    """Rows of every recorded step and validation group, and of all groups together; common: what all rows have."""
    for t, step in enumerate(steps):
        for group in (*dict.fromkeys(frames.group), VALIDATION):
            values = errors[t, (frames.group == group) | (group == VALIDATION)]
            values = values[np.isfinite(values)]
            if len(values):
                yield common | {
                    "step": step,
                    "group": group,
                    "n_structures": len(values),
                    "mean_meV_per_A": values.mean(),
                    "below_25_meV_per_A": (values < statistics.TARGET).mean(),
                }


def main(args):
    device.configure(device=args.device)
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
    chosen = pool.of_kind("val_")
    pool, pool_prior = pool.take(chosen), pool_prior.take(chosen)
    unseen = unseen_of(frames, pool)
    potential = Potential.load(args.model, args.device)
    # every structure on its own prior labels; unseen geometries of a molecule after adaptation on one
    units = {
        "structure": (frames, structure_units(frames, prior)),
        "conformers": (unseen, conformer_units(unseen, pool, pool_prior, 1, args.copies)),
    }
    rows = []
    for mode, level, rate in itertools.product(units, args.levels, args.learning_rates):
        settings = Settings(**{**args.settings, "level": level, "learning_rate": rate})
        found = adapt_frames(potential, *units[mode], settings, prior)
        common = {"strategy": potential.card["strategy"], "seed": potential.card["seed"], "mode": mode}
        common |= {"level": level, "learning_rate": rate}
        rows += summaries(errors_of(found, frames, reference), found.steps, frames, common)
    write_table(args.output, rows, SCAN)
    for mode in units:
        of_mode = [r for r in rows if r["group"] == VALIDATION and r["mode"] == mode]
        if of_mode:  # no molecule may have a second geometry
            log.info("best: %s", min(of_mode, key=lambda r: r["mean_meV_per_A"]))


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "model": {"type": Path, "help": "model directory"},
            "device": device.OPTION,
            "frames": {"type": Path, "help": "test frames"},
            "reference": {"type": Path, "help": "reference labels of the validation groups"},
            "prior": {"type": Path, "help": "prior labels of the test frames"},
            "pool": {"type": Path, "help": "geometries to adapt a molecule on, with rattled copies"},
            "pool_prior": {"type": Path, "help": "prior labels of --pool"},
            "copies": {"type": int, "help": "rattled copies of the geometry that are adapted on"},
            "settings": {"type": cli.settings, "help": "JSON of the hyper-parameters that are not scanned"},
            "levels": {"nargs": "+", "choices": LEVELS},
            "learning_rates": {"type": float, "nargs": "+"},
            "output": {"type": Path},
        },
    )
