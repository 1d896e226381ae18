"""One point of an ablation: pre-train, fine-tune and adapt with some prior and some of the reference labels.

Reference labels of test structures are no input.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from mlipshift.base.frames import Frames, Labels
from mlipshift.catalogue.adaptation import Settings
from mlipshift.learn import datasets, device, training
from mlipshift.learn.potential import Potential
from mlipshift.mitigate.adaptation import adapt_frames
from mlipshift.mitigate.correction import correct
from mlipshift.mitigate.units import structure_units
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
    device.configure(device=args.device)
    train, frames, pretrain = (Frames.load(path) for path in (args.train, args.frames, args.pretrain))
    point, seed = args.point, args.seed
    reference = thinned(Labels.load(args.reference, train), point["fraction"], seed)
    prior = noisy(Labels.load(args.prior, pretrain), point["noise"], seed)
    test_prior = noisy(Labels.load(args.test_prior, frames), point["noise"], seed + 1000)

    def fitted(strategy, reference=None, base=None):
        labels = reference and (train, reference)
        settings = args.training[strategy]
        network, _ = training.train(
            strategy, args.architecture, settings, seed, labels, (pretrain, prior), base, args.device
        )
        return Potential(network.eval(), {"strategy": strategy, "seed": seed})

    supervised = fitted("supervised", reference)
    delta = fitted("delta", datasets.difference(reference, prior))
    joint = fitted("joint", reference, fitted("pretrain").network)

    settings = replace(Settings.of(args.ttt), record=())
    asked = ~frames.of_kind("val_")
    test, own = frames.take(asked), test_prior.take(asked)
    adapted = adapt_frames(joint, test, structure_units(test, own), settings)
    labelled = [
        ([test_prior.energy[k]], test_prior.forces_of(k)[None]) if test_prior.ok[k] else None
        for k in range(len(frames))
    ]
    made = [
        joint.results(frames, labelled, [0], "prior"),
        supervised.predictions(frames),
        delta.predictions(frames, test_prior),
        joint.predictions(frames),
        adapted.predictions(joint, frames, "joint_ttt"),
        correct(joint, frames, test_prior, args.weight),
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
            "weight": {"type": float, "help": "of the residual correction"},
            "seed": {"type": int},
            "device": device.OPTION,
            "output": {
                "type": Path,
                "nargs": 6,
                "help": "predictions of the prior, supervised, delta, joint, adapted and corrected joint model",
            },
        },
    )
