"""One point of an ablation: pre-train, fine-tune and adapt with some prior and some of the reference labels.

Reference labels of test structures are no input.
"""

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np

from mlipshift.base.frames import Frames, Labels
from mlipshift.base.predictions import Predictions
from mlipshift.learn import training
from mlipshift.mitigate import adaptation
from mlipshift.run import cli


def noisy(labels, noise, seed):
    """Labels with Gaussian noise of `noise` standard deviations on the forces; the energies stay."""
    if not noise:
        return labels
    rng = np.random.default_rng([seed, 11])
    forces = labels.forces + noise * np.nanstd(labels.forces) * rng.normal(size=labels.forces.shape)
    owner = np.repeat(np.arange(len(labels)), np.diff(labels.offsets))
    for axis in range(3):
        # no net force, as of any isolated molecule
        net = np.bincount(owner, forces[:, axis], len(labels)) / np.diff(labels.offsets)
        forces[:, axis] -= net[owner]
    return replace(labels, forces=forces)


def thinned(labels, fraction, seed):
    """Labels of which a random share stays."""
    known = np.flatnonzero(labels.ok)
    kept = np.random.default_rng([seed, 13]).permutation(known)[: max(1, round(fraction * len(known)))]
    return replace(labels, ok=np.isin(np.arange(len(labels)), kept))


def main(args):
    training.configure(device=args.device)
    train, frames, pretrain = (Frames.load(path) for path in (args.train, args.frames, args.pretrain))
    point, seed = args.point, args.seed
    reference = thinned(Labels.load(args.reference, train), point["fraction"], seed)
    prior = noisy(Labels.load(args.prior, pretrain), point["noise"], seed)
    test_prior = noisy(Labels.load(args.test_prior, frames), point["noise"], seed + 1000)
    own = prior.select(train.ids)
    difference = replace(
        reference,
        energy=reference.energy - own.energy,
        forces=reference.forces - own.forces,
        ok=reference.ok & own.ok,
    )

    def fitted(strategy, reference=None, base=None):
        labels = reference and (train, reference)
        settings = args.training[strategy]
        return training.train(
            strategy, args.architecture, settings, seed, labels, (pretrain, prior), base, args.device
        )[0].eval()

    supervised, delta = fitted("supervised", reference), fitted("delta", difference)
    joint = fitted("joint", reference, copy.deepcopy(fitted("pretrain")))
    structures = [frames[k][:2] for k in range(len(frames))]

    def base(model, name, added=None):
        shift = model.baseline("reference", frames.numbers, frames.sizes).numpy()
        rows = []
        for k, (energy, forces) in enumerate(adaptation.predict(model, structures)):
            own = (0.0, 0.0) if added is None else (added.energy[k], added.forces_of(k))
            rows.append(([energy + shift[k] + own[0]], (forces + own[1])[None]))
        return Predictions.build(frames, rows, [0], model.architecture.cutoff, name, seed)

    settings = replace(adaptation.Settings.of(args.ttt), record=())
    energy = test_prior.energy - joint.baseline("prior", frames.numbers, frames.sizes).numpy()
    units, members = adaptation.structure_units(frames, test_prior, energy)
    asked = [k for k, (member,) in enumerate(members) if not frames.group[member].startswith("val_")]
    units, members = [units[k] for k in asked], [members[k] for k in asked]
    steps, results, losses = adaptation.adapt(joint, units, settings)
    rows, loss = [None] * len(frames), np.full((len(steps), len(frames)), np.nan)
    shift = joint.baseline("reference", frames.numbers, frames.sizes).numpy()
    for u, ((k,), ((found, forces),)) in enumerate(zip(members, results)):
        rows[k] = (found + shift[k], forces)
        loss[:, k] = losses[u]
    labelled = [
        ([test_prior.energy[k]], test_prior.forces_of(k)[None]) if test_prior.ok[k] else None
        for k in range(len(frames))
    ]
    cutoff = joint.architecture.cutoff
    made = [
        Predictions.build(frames, labelled, [0], cutoff, "prior", seed),
        base(supervised, "supervised"),
        base(delta, "delta", test_prior),
        base(joint, "joint"),
        Predictions.build(frames, rows, steps, cutoff, "joint_ttt", seed, loss),
    ]
    for predictions, path in zip(made, args.output, strict=True):
        predictions.save(path)


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "train": {"type": Path, "help": "training frames"},
            "reference": {"type": Path, "help": "reference labels of the training frames"},
            "frames": {"type": Path, "help": "test frames, without labels"},
            "pretrain": {"type": Path, "help": "training frames with rattled copies"},
            "prior": {"type": Path, "help": "prior labels of --pretrain"},
            "test_prior": {"type": Path, "help": "prior labels of --frames"},
            "point": {"type": cli.settings, "help": "JSON: noise, fraction"},
            "architecture": {"type": cli.settings, "help": "JSON: backbone, cutoff, and what else it takes"},
            "training": {"type": cli.settings, "help": "JSON: settings of every strategy"},
            "ttt": {"type": cli.settings, "help": "JSON of the adaptation"},
            "seed": {"type": int},
            "device": training.DEVICE,
            "output": {
                "type": Path,
                "nargs": 5,
                "help": "predictions of the prior, supervised, delta, joint and adapted joint model",
            },
        },
    )
