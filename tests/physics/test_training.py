"""Training strategies touch what they should and are deterministic."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from mlipshift.base.frames import Frames, Labels
from mlipshift.learn import datasets, recorded, training
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


def lacking(data, kind):
    """The data, every second structure without its energy, or without its forces."""
    frames, labels = data
    energy, forces, ok = labels.energy.copy(), labels.forces.copy(), labels.ok.copy()
    for k in range(0, len(frames), 2):
        if kind == "energy":
            energy[k] = np.nan
        else:
            forces[labels.offsets[k] : labels.offsets[k + 1]], ok[k] = np.nan, False
    return frames, replace(labels, energy=energy, forces=forces, ok=ok)


@pytest.mark.parametrize("kind", ["energy", "forces"])
def test_half_labels_train_what_they_can(data, kind):
    frames, labels = lacking(data, kind)
    known = np.isfinite(labels.energy)
    model, history = training.train("supervised", ARCHITECTURE, SETTINGS, 0, (frames, labels))
    assert all(np.isfinite(loss["reference"]) for _, loss in history)
    assert all(p.isfinite().all() for p in model.parameters())
    # atomic energies are those of all structures with an energy, with forces or without
    baseline = datasets.atomic_energies(frames.take(known), labels.energy[known])
    np.testing.assert_allclose(model.shift[0].numpy(), baseline, rtol=1e-5)
    made = datasets.dataset(frames, labels, 4.0, baseline)
    assert len(made.graphs) == (24 if kind == "energy" else 12)


def test_forces_alone_train_as_with_energies_that_weigh_nothing(data):
    frames, labels = data
    alone = replace(labels, energy=np.full(len(labels), np.nan))
    models = [
        training.train("supervised", ARCHITECTURE, SETTINGS | {"energy_weight": w}, 0, (frames, known))[0]
        for known, w in ((alone, 0.1), (labels, 0.0))
    ]
    shifts = {"shift"}
    first, second = (m.state_dict() for m in models)
    assert all(torch.equal(first[n], second[n]) for n in first if n not in shifts)
    assert not models[0].shift.any() and models[1].shift.any()


def test_the_energy_loss_is_the_mean_over_the_known_ones(data):
    frames, labels = lacking(data, "energy")
    made = datasets.dataset(frames, labels, 4.0, np.zeros(200))
    batch, forces, energy = made.batch(range(6), torch.float64)
    guess = torch.linspace(-1, 1, 6, dtype=torch.float64, requires_grad=True)
    loss = training.loss_of((guess[None], forces), batch, forces, energy, 2.0)
    expected = np.mean([abs(float(guess.detach()[k]) - labels.energy[k]) / frames.sizes[k] for k in (1, 3, 5)])
    assert float(loss.detach()) == pytest.approx(2.0 * expected, abs=1e-5)
    loss.backward()
    assert guess.grad.isfinite().all() and (guess.grad[::2] == 0).all() and (guess.grad[1::2] != 0).all()


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
    found = datasets.atomic_energies(frames, exact)
    assert found[1] == pytest.approx(1.5) and found[8] == pytest.approx(-70.0)
    assert np.count_nonzero(found) == 2


def test_failed_labels_are_left_out(data):
    frames, labels = data
    broken = Labels.build(
        frames, [None if k == 3 else (labels.energy[k], labels.forces_of(k)) for k in range(len(frames))], "x"
    )
    made = datasets.dataset(frames, broken, 4.0, np.zeros(95))
    assert len(made.graphs) == len(frames) - 1 and np.isfinite(made.energy).all()


def test_a_share_of_the_labels_is_drawn_by_the_seed(data):
    frames, labels = data
    rng = np.random.default_rng
    part, of_part = training._drawn((frames, labels), 0.25, rng(0))
    assert len(part) == 6 and np.array_equal(of_part.ids, part.ids)
    assert training._drawn((frames, labels), 1, rng(0))[0] is frames
    assert not np.array_equal(training._drawn(data, 0.25, rng(1))[0].ids, part.ids)
    model, _ = training.train("supervised", ARCHITECTURE, SETTINGS | {"share": 0.25}, 0, data)
    whole, _ = training.train("supervised", ARCHITECTURE, SETTINGS, 0, data)
    assert differing(model, whole)


def test_a_level_of_the_representation_can_stay_as_it_was(data, pretrained):
    model, _ = training.train(
        "joint", ARCHITECTURE, SETTINGS | {"frozen_level": "min"}, 0, data, data, copy.deepcopy(pretrained)
    )
    changed, frozen = differing(model, pretrained), set(pretrained.representation("min"))
    assert frozen and not changed & frozen
    assert any(n.startswith("heads.prior.") for n in changed)


@pytest.mark.parametrize("backbone", ["painn", "gemnet"])
def test_a_batch_in_the_places_of_another_is_learnt_from_as_by_itself(data, backbone):
    """A step that is recorded on a GPU finds every batch in the same places, padded to the largest."""
    torch.manual_seed(0)
    model = build({"cutoff": 4.0, "backbone": backbone}).double()
    known = datasets.dataset(*data, 4.0, np.zeros(95))
    known.energy[1] = np.nan
    sizes = np.array([len(g.numbers) for g in known.graphs])
    least = recorded.room(sizes, 4), max(g.neighbours.shape[1] for g in known.graphs)
    first, second = np.argsort(sizes)[-4:], [0, 1, 2, 3]
    assert least[0] == sizes[first].sum() > sizes[second].sum()

    def learnt(batch, forces, energy):
        found = model(batch, ("reference",))["reference"]
        loss = training.loss_of(found, batch, forces, energy, 0.1)
        model.zero_grad()
        loss.backward()
        return loss.item(), [p.grad.clone() for p in model.parameters() if p.grad is not None]

    slots = recorded.Slots.of(*known.batch(first, torch.float64, "cpu", least), torch.device("cpu"))
    learnt(slots.fresh(), slots.forces, slots.energy)
    slots.fill(*known.batch(second, torch.float64, "cpu", least))
    loss, gradient = learnt(slots.fresh(), slots.forces, slots.energy)
    alone, expected = learnt(*known.batch(second, torch.float64))
    assert loss == pytest.approx(alone, rel=1e-12) and len(gradient) == len(expected)
    for one, other in zip(gradient, expected):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


def test_graphs_that_are_made_anew_are_learnt_from_as_those_that_are_kept(data, monkeypatch):
    kept, _ = training.train("supervised", ARCHITECTURE, SETTINGS, 0, data)
    monkeypatch.setattr(datasets, "GRAPHS", 2000)
    some = datasets.dataset(*data, 4.0, np.zeros(95)).graphs
    assert all(len(graph.numbers) == size for graph, size in zip(some, data[0].sizes, strict=True))
    assert 0 < len(some.kept) < len(some) and some.bytes <= 2000
    assert not differing(kept, training.train("supervised", ARCHITECTURE, SETTINGS, 0, data)[0])
