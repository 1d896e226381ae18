"""What the benchmarks of the networks measure: structures of the embedded benchmark, and a step of training on them."""

from pathlib import Path

import numpy as np
import torch
from ase.io import iread

from mlipshift.learn import batches, datasets, training
from mlipshift.mitigate.units import Unit
from mlipshift.shift import graphs

BENCHMARK = Path(__file__).parents[1] / "resources" / "benchmark" / "train.extxyz"


def structures_of(count):
    """(structures, forces) of `count` training structures, evenly chosen, repeated where there are too few."""
    every = list(iread(BENCHMARK))
    evenly = np.linspace(0, len(every) - 1, min(count, len(every))).astype(int)
    chosen = [every[k] for k in np.resize(evenly, count)]
    return [(a.numbers, a.positions) for a in chosen], [a.arrays["REF_forces"] for a in chosen]


def calibrate(model, structures):
    """Fit the scaling factors of a model on the processor to structures."""
    model.calibrate(batches.collate([[graphs.build(*s, model.architecture.cutoff) for s in structures]]))


def alone(structures, forces):
    """Units that are adapted each on one structure, and predict it."""
    return [Unit([s], [f], [s]) for s, f in zip(structures, forces)]


def training_step(model, structures, forces):
    """Function that does forward and backward pass of the force loss of all structures; their graphs are built here."""
    rows = [graphs.build(*s, model.architecture.cutoff) for s in structures]
    data = datasets.Dataset(rows, forces, np.zeros(len(rows)))

    def step():
        batch, target, _ = data.batch(np.arange(len(rows)), torch.float32, model.device)
        training.force_loss(model(batch, ("reference",))["reference"][1], target, batch).backward()
        model.zero_grad()

    return step
