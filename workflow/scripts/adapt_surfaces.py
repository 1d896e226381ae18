"""Adapt a model to a few geometries of every molecule and predict its surfaces and bonds, without a prior call."""

from pathlib import Path

import numpy as np

from mlipshift.base.frames import Frames, Labels
from mlipshift.base.log import progress
from mlipshift.catalogue.adaptation import Settings
from mlipshift.learn import device
from mlipshift.learn.potential import Potential
from mlipshift.mitigate.adaptation import adapt_potential
from mlipshift.run import cli
from mlipshift.simulate.grids import ADAPT, ADAPTED_ON


def main(args):
    device.configure(device=args.device)
    known = Frames.load(args.known)
    prior = Labels.load(args.prior, known)
    asked = [Frames.load(path) for path in args.frames]
    potential, settings = Potential.load(args.model, args.device), Settings.of(args.settings)
    rows = [[None] * len(frames) for frames in asked]
    molecules = list(dict.fromkeys(known.molecule))
    for molecule in progress(molecules, len(molecules), "adapted molecules"):
        near = np.flatnonzero((known.molecule == molecule) & (known.group == ADAPT))[ADAPTED_ON[args.on]]
        adapted = adapt_potential(potential, known.take(near), prior.take(near), settings)
        for frames, found in zip(asked, rows):
            own = np.flatnonzero(frames.molecule == molecule)
            for k, row in zip(own, adapted.predict(frames.take(own))):
                found[k] = row and ([row[0]], row[1][None])
    for frames, found, path in zip(asked, rows, args.output, strict=True):
        potential.results(frames, found, [settings.steps], args.method).save(path)


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "model": {"type": Path, "help": "model directory"},
            "device": device.OPTION,
            "known": {"type": Path, "help": "frames of which some are adapted on"},
            "prior": {"type": Path, "help": "prior labels of --known"},
            "on": {"choices": ADAPTED_ON, "help": "what is adapted on"},
            "settings": {"type": cli.settings, "help": "JSON of the hyper-parameters"},
            "method": {"help": "name of the method"},
            "frames": {"type": Path, "nargs": "+", "help": "frames that are predicted"},
            "output": {"type": Path, "nargs": "+", "help": "predictions of each"},
        },
    )
