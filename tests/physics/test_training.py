"""Training strategies touch what they should and are deterministic."""

import copy

import numpy as np
import pytest
import torch

from mlipshift.base.frames import Frames, Labels
from mlipshift.learn import training
from mlipshift.learn.networks import build

ARCHITECTURE = {"features": 8, "blocks": 1, "radial": 6, "cutoff": 4.0}
SETTINGS = {
    "steps": 12,
    "batch": 4,
    "learning_rate": 3e-3,
    "weight_decay": 1e-4,
    "energy_weight": 0.1,
    "average": 0.9,
}


@pytest.fixture(scope="module")
def data():
    """Harmonic springs between all pairs: smooth labels that a potential can learn."""
    rng = np.random.default_rng(0)
    rows, results = [], []
    for k in range(24):
        n = int(rng.integers(2, 6))
        numbers, x = rng.choice([1, 8], n), rng.normal(scale=1.2, size=(n, 3))
        d = x[:, None] - x[None]
        results.append((0.25 * (d**2).sum() - 10.0 * (numbers == 8).sum(), -d.sum(1)))
        rows.append(
            {"id": str(k), "group": "train", "molecule": str(k), "numbers": numbers, "positions": x}
            | {"charge": 0, "multiplicity": 1}
        )
    frames = Frames.build(rows)
    return frames, Labels.build(frames, results, "springs")


@pytest.fixture(scope="module")
def pretrained(data):
    return training.train("pretrain", ARCHITECTURE, SETTINGS, 0, prior=data)[0]


def differing(a, b):
    other = dict(b.named_parameters())
    return {n for n, p in a.named_parameters() if not torch.equal(p, other[n])}


def test_freeze_trains_the_reference_head_alone(data, pretrained):
    model, _ = training.train("freeze", ARCHITECTURE, SETTINGS, 0, data, data, copy.deepcopy(pretrained))
    changed = differing(model, pretrained)
    assert changed and all(n.startswith("heads.reference.") for n in changed)
    assert not changed & set(model.representation())


def test_joint_trains_both_heads_and_the_representation(data, pretrained):
    model, _ = training.train("joint", ARCHITECTURE, SETTINGS, 0, data, data, copy.deepcopy(pretrained))
    changed = differing(model, pretrained)
    for prefix in ("embedding.", "blocks.0.", "heads.prior.", "heads.reference."):
        assert any(n.startswith(prefix) for n in changed), prefix


def test_supervised_leaves_the_prior_head_alone(data):
    torch.manual_seed(0)
    fresh = build(ARCHITECTURE)
    model, _ = training.train("supervised", ARCHITECTURE, SETTINGS, 0, reference=data)
    assert not any(n.startswith("heads.prior.") for n in differing(model, fresh))


def test_same_seed_same_weights_and_another_seed_others(data):
    first, second, other = (
        training.train("supervised", ARCHITECTURE, SETTINGS, seed, reference=data)[0] for seed in (0, 0, 1)
    )
    assert differing(first, second) == set()
    assert differing(first, other)


def test_loss_falls(data):
    _, history = training.train("supervised", ARCHITECTURE, {**SETTINGS, "steps": 150}, 0, reference=data)
    assert history[-1][1]["reference"] < 0.8 * history[0][1]["reference"]


def test_atomic_energies_recover_a_linear_model(data):
    frames, labels = data
    exact = np.array([1.5 * (frames[k][0] == 1).sum() - 70.0 * (frames[k][0] == 8).sum() for k in range(len(frames))])
    found = training.atomic_energies(frames, exact)
    assert found[1] == pytest.approx(1.5) and found[8] == pytest.approx(-70.0)
    assert np.count_nonzero(found) == 2


def test_failed_labels_are_left_out(data):
    frames, labels = data
    broken = Labels.build(
        frames, [None if k == 3 else (labels.energy[k], labels.forces_of(k)) for k in range(len(frames))], "x"
    )
    made = training.dataset(frames, broken, 4.0, np.zeros(95))
    assert len(made.graphs) == len(frames) - 1 and np.isfinite(made.energy).all()
