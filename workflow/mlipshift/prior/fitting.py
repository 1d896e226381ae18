"""Priors that are fitted to reference labels of each molecule: sGDML, as the paper's. Runs in the environment sgdml.

The width of the kernel is the one with the least error on a fifth of the labels, after which the model is fitted to all
of them. All labels that are given count as used.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from mlipshift.base.errors import UserError
from mlipshift.base.frames import Frames, Labels
from mlipshift.base.log import log

HELD_OUT = 5  # every so manieth label chooses the width
REGULARISATION = 1e-10
FITTED = ["molecule", "formula", "n_labels", "sigma", "held_out_meV_per_A"]


def molecules_of(frames: Frames, usable: np.ndarray, labels: int, seed: int) -> dict[bytes, np.ndarray]:
    """{elements in their order: numbers of the structures that are fitted to}; `labels` at most, drawn by the seed.

    usable [S]: whether a structure may be fitted to.
    """
    found: dict[bytes, list[int]] = {}
    for k in np.flatnonzero(usable).tolist():
        found.setdefault(frames[k][0].tobytes(), []).append(k)
    rng = np.random.default_rng([seed, 5])
    return {key: np.sort(rng.permutation(of)[:labels]) for key, of in found.items()}


def fit(
    frames: Frames, reference: Labels, chosen: dict[bytes, np.ndarray], sigmas: Sequence[int]
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield (model as sGDML keeps it, row of FITTED) of every molecule of `molecules_of`.

    reference: labels of `frames`, eV and eV/Å. Raises UserError for a molecule with fewer than ten of them.
    """
    for index in chosen.values():
        name, numbers = str(frames.molecule[index[0]]), frames[index[0]][0]
        if len(index) < 2 * HELD_OUT:
            raise UserError(f"prior.labels: {name} has {len(index)} usable labels; sGDML needs {2 * HELD_OUT} at least")
        held = np.arange(len(index)) % HELD_OUT == 0
        errors = {}
        for sigma in sigmas:
            model = _trained(frames, reference, index[~held], sigma)
            errors[sigma] = _error(model, frames, reference, index[held])
        best = min(errors, key=lambda sigma: errors[sigma])
        log.info("%s: %d labels, error of those held out by width (meV/Å): %s", name, len(index), errors)
        row = {"molecule": name, "formula": _formula(numbers), "n_labels": len(index)}
        row |= {"sigma": best, "held_out_meV_per_A": errors[best]}
        yield _trained(frames, reference, index, best), row


def _formula(numbers):
    from ase.symbols import Symbols

    return Symbols(numbers).get_chemical_formula()


def _dataset(frames, reference, index):
    """What sGDML calls a dataset; the energies are needed for the constant of integration alone."""
    from sgdml.utils import io

    made = {
        "type": "d",
        "code_version": "",
        "name": np.array(str(frames.molecule[index[0]])),
        "theory": np.array(reference.level or "reference"),
        "z": frames[index[0]][0].astype(int),
        "R": np.stack([frames[k][1] for k in index]),
        "F": np.stack([reference.forces_of(k) for k in index]),
    }
    energy = reference.energy[index]
    if np.isfinite(energy).all():
        made["E"] = energy
    return made | {"md5": io.dataset_md5(made)}


def _trained(frames, reference, index, sigma):
    from sgdml.train import GDMLTrain

    data = _dataset(frames, reference, index)
    train = GDMLTrain(max_processes=1)
    task = train.create_task(data, len(index), data, 0, sigma, REGULARISATION, use_sym=True, use_E="E" in data)
    return train.train(task)


def _error(model, frames, reference, index):
    """Mean absolute error per force component on held-out structures (meV/Å)."""
    from sgdml.predict import GDMLPredict

    _, forces = GDMLPredict(model, max_processes=1).predict(np.stack([frames[k][1].ravel() for k in index]))
    truth = np.stack([reference.forces_of(k).ravel() for k in index])
    return round(1000 * float(np.abs(forces - truth).mean()), 3)
