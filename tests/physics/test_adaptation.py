"""Contracts of test-time training: zero steps, frozen head, independence of units, gradients."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mlipshift.base.errors import UserError
from mlipshift.base.frames import Frames, Labels
from mlipshift.catalogue.adaptation import OPTIMISERS, Settings
from mlipshift.learn import datasets, networks, training
from mlipshift.learn.potential import Potential
from mlipshift.mitigate import adaptation, shards
from mlipshift.mitigate import units as kinds
from mlipshift.mitigate.units import Unit
from mlipshift.shift import graphs

SETTINGS = Settings(steps=3, learning_rate=1e-3, batch=4)


@pytest.fixture()
def model():
    torch.manual_seed(1)
    return networks.build({"features": 12, "blocks": 2, "radial": 6, "cutoff": 4.0}).double().eval()


def unit(n, seed, geometries=1):
    rng = np.random.default_rng(seed)
    numbers = rng.choice([1, 6, 8], n)
    structures = [(numbers, rng.normal(scale=1.2, size=(n, 3))) for _ in range(geometries)]
    forces = [rng.normal(size=(n, 3)) for _ in structures]
    forces = [f - f.mean(0) for f in forces]
    return Unit(structures, forces, structures, rng.normal(size=geometries))


def state(model):
    return {k: v.clone() for k, v in model.state_dict().items()}


def test_zero_steps_are_the_base_model(model):
    units = [unit(5, 0), unit(8, 1)]
    steps, rows, _ = adaptation.adapt(model, units, replace(SETTINGS, steps=0))
    assert steps == [0]
    base = networks.predict(model, [u.predict[0] for u in units])
    for row, (energy, forces) in zip(rows, base):
        np.testing.assert_allclose(row[0][1][0], forces, atol=1e-12)
        assert row[0][0][0] == pytest.approx(energy, abs=1e-12)


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_the_model_is_left_untouched(model, optimiser):
    before = state(model)
    adaptation.adapt(model, [unit(6, 2)], replace(SETTINGS, optimiser=optimiser))
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_units_do_not_see_each_other(model, optimiser):
    settings = replace(SETTINGS, optimiser=optimiser, energy_weight=0.1)
    units = [unit(4, 3), unit(9, 4, geometries=3), unit(2, 5), unit(7, 6, geometries=2), unit(5, 7)]
    _, together, losses = adaptation.adapt(model, units, settings)
    for k, u in enumerate(units):
        _, alone, loss = adaptation.adapt(model, [u], settings)
        np.testing.assert_allclose(losses[k], loss[0], atol=1e-9)
        for a, b in zip(together[k], alone[0]):
            np.testing.assert_allclose(a[1], b[1], atol=1e-8)
            np.testing.assert_allclose(a[0], b[0], atol=1e-8)


@pytest.mark.parametrize("level", ["min", "max"])
def test_against_a_plain_torch_loop(model, level):
    """One unit adapted by hand with torch.optim.Adam on the model itself gives the same prediction."""
    u = unit(6, 8)
    settings = replace(SETTINGS, level=level)
    _, rows, _ = adaptation.adapt(model, [u], settings)
    data = datasets.Dataset([graphs.build(*u.adapt[0], model.architecture.cutoff)], u.forces, np.zeros(1))
    names = set(model.representation(level))
    before = state(model)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in names)
    optimiser = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=settings.learning_rate)
    for _ in range(settings.steps):
        optimiser.zero_grad()
        batch, forces, _ = data.batch([0], torch.float64)
        training.force_loss(model(batch, ("prior",))["prior"][1], forces, batch).backward()
        optimiser.step()
    ((_, expected),) = networks.predict(model, u.predict)
    np.testing.assert_allclose(rows[0][0][1][-1], expected, atol=1e-9)
    for name, value in model.state_dict().items():
        changed = not torch.equal(value, before[name])
        assert changed <= (name in names), f"{name} must stay frozen"


def test_the_prior_loss_falls(model):
    _, _, losses = adaptation.adapt(model, [unit(6, 9)], replace(SETTINGS, steps=30, learning_rate=3e-3))
    assert losses[0, -1] < 0.8 * losses[0, 0]


def test_records_the_asked_steps(model):
    steps, rows, losses = adaptation.adapt(model, [unit(4, 1)], replace(SETTINGS, steps=5, record=(2, 9)))
    assert steps == [0, 2, 5]
    assert rows[0][0][1].shape == (3, 4, 3) and losses.shape == (1, 3)


def test_presets_are_the_released_configuration_and_the_default():
    published = Settings.of({"preset": "published"})
    assert (published.optimiser, published.learning_rate, published.momentum) == ("sgd", 1e-5, 0.9)
    assert (published.weight_decay, published.steps, published.level) == (1e-3, 500, "min")
    assert (published.force_weight, published.energy_weight, published.heads) == (1000.0, 1.0, ())
    assert Settings.of({"preset": "recommended"}) == Settings()
    assert Settings.of({"preset": "published", "steps": 7}).steps == 7
    with pytest.raises(UserError, match="preset"):
        Settings.of({"preset": "best"})
    with pytest.raises(UserError, match="no setting"):
        Settings.of({"stepps": 3})


@pytest.mark.parametrize(
    "wrong, word",
    [({"stop": "now"}, "stop"), ({"heads": ("x",)}, "heads"), ({"predict": "x"}, "predict"), ({"level": "x"}, "level")]
    + [
        ({"prior_weight": 0.0}, "nothing to adapt to"),
        ({"steps": -1}, "steps is -1; give a whole number of at least 0"),
    ],
)
def test_wrong_settings_are_one_line(wrong, word):
    with pytest.raises(UserError, match=word):
        Settings(**wrong)


@pytest.mark.parametrize("heads", [(), ("prior",), ("reference",)])
def test_only_the_asked_parameters_are_adapted(model, heads):
    """The prior head is bit-identical unless it is asked for: the adapted prediction is that of the base with
    exactly these parameters changed."""
    settings = replace(SETTINGS, heads=heads, level="min", pseudo_weight=1.0)
    names = adaptation.adapted_parameters(model, settings)
    assert {n.split(".")[1] for n in names if n.startswith("heads.")} == set(heads)
    assert not any(n.startswith("blocks.1.") for n in names) and any(n.startswith("blocks.0.") for n in names)
    u = unit(6, 2)
    u.pseudo = [-f for f in u.forces]
    before = state(model)
    stacked = {}
    original = adaptation.call

    def watched(model, parameters, batch, wanted):
        stacked.update(parameters)
        return original(model, parameters, batch, wanted)

    adaptation.call = watched
    try:
        adaptation.adapt(model, [u], settings)
    finally:
        adaptation.call = original
    for name, value in stacked.items():
        if name not in names:
            assert torch.equal(value, before[name]), name
        elif ".energy" not in name:  # no gradient, as only forces are fitted
            assert not torch.equal(value[0], before[name]), name


@pytest.mark.parametrize("mode", ["prior", "pseudo", "both"])
def test_units_do_not_see_each_other_with_pseudo_labels_and_stopping(model, mode):
    weights = {"prior": (1.0, 0.0), "pseudo": (0.0, 1.0), "both": (1.0, 0.5)}[mode]
    settings = replace(SETTINGS, prior_weight=weights[0], pseudo_weight=weights[1], heads=("reference",))
    settings = replace(settings, stop="held_out", record=(1, 2), force_weight=3.0, steps=4)
    if mode == "pseudo":
        settings = replace(settings, stop="none")
    units = [unit(4, 3), unit(9, 4, geometries=3), unit(2, 5)]
    for k, u in enumerate(units):
        u.pseudo = [0.5 * f for f in u.forces]
        other = unit(len(u.adapt[0][0]), 20 + k)
        u.held, u.held_forces = [(u.adapt[0][0], other.adapt[0][1])], other.forces
    _, together, losses = adaptation.adapt(model, units, settings)
    for k, u in enumerate(units):
        _, alone, loss = adaptation.adapt(model, [u], settings)
        np.testing.assert_allclose(losses[k], loss[0], atol=1e-9)
        for a, b in zip(together[k], alone[0]):
            np.testing.assert_allclose(a[1], b[1], atol=1e-8)


def test_stopping_keeps_the_prediction_of_the_step_it_chose(model):
    u = unit(7, 3)
    settings = replace(SETTINGS, steps=8, record=tuple(range(8)), learning_rate=3e-3)
    _, rows, losses = adaptation.adapt(model, [u], settings)
    share = float(np.clip(losses[0, 3] / losses[0, 0], 1e-6, 1))
    _, stopped, _ = adaptation.adapt(model, [u], replace(settings, stop="drop", stop_fraction=share))
    first = int(np.argmax(losses[0] <= share * losses[0, 0]))
    assert 0 < first < 8
    for t in range(9):
        np.testing.assert_array_equal(stopped[0][0][1][t], rows[0][0][1][min(t, first)])

    # held out: with the adapted structure itself as the held-out one, the step of the lowest loss so far
    u.held, u.held_forces = u.adapt, u.forces
    _, chosen, _ = adaptation.adapt(model, [u], replace(settings, stop="held_out"))
    for t in range(9):
        best = int(np.argmin(losses[0, : t + 1]))
        np.testing.assert_allclose(chosen[0][0][1][t], rows[0][0][1][best], atol=1e-12)


def test_what_is_known_well_enough_is_left_as_it_is(model):
    units = [unit(4, 1), unit(7, 3), unit(5, 6)]
    settings = replace(SETTINGS, record=(1, 2))
    _, everyone, losses = adaptation.adapt(model, units, settings)
    order = np.argsort(losses[:, 0])
    between = float(losses[order[:2], 0].mean())
    for change in ({}, {"stop": "drop", "stop_fraction": 1e-6}):
        _, found, loss = adaptation.adapt(model, units, replace(settings, skip_below_eV_per_A=between, **change))
        for rank, u in enumerate(order):
            expected = everyone[u][0][1]
            if rank == 0:
                expected = np.broadcast_to(expected[0], expected.shape)
                assert (loss[u] == losses[u, 0]).all()
            np.testing.assert_array_equal(found[u][0][1], expected)
    # all of them: the unadapted model, after every step
    _, found, loss = adaptation.adapt(model, units, replace(settings, skip_below_eV_per_A=2 * float(losses.max())))
    for u in range(3):
        np.testing.assert_array_equal(found[u][0][1][-1], everyone[u][0][1][0])
        assert (loss[u] == losses[u, 0]).all()


def test_interpolated_weights_lie_between_the_model_and_the_adapted_one(model):
    units = [unit(4, 1), unit(7, 3)]
    settings = replace(SETTINGS, steps=1, optimiser="sgd", learning_rate=0.02)
    # one step of plain descent: half the way is half the learning rate
    _, half, losses = adaptation.adapt(model, units, replace(settings, interpolation=0.5))
    _, slower, _ = adaptation.adapt(model, units, replace(settings, learning_rate=0.01))
    _, whole, loss = adaptation.adapt(model, units, settings)
    np.testing.assert_array_equal(losses, loss)
    for a, b, c in zip(half, slower, whole):
        np.testing.assert_allclose(a[0][1], b[0][1], atol=1e-9)
        np.testing.assert_array_equal(a[0][1][0], c[0][1][0])
        assert np.abs(a[0][1][1] - c[0][1][1]).max() > 1e-6
    with pytest.raises(UserError, match="interpolation is 1.5; give a number above 0 and of at most 1"):
        replace(settings, interpolation=1.5)


def test_stopping_by_copies_that_are_not_there_is_refused(model):
    with pytest.raises(UserError, match="held-out"):
        adaptation.adapt(model, [unit(4, 0)], replace(SETTINGS, stop="held_out"))


def test_distillation_fits_the_pseudo_labels(model):
    u = unit(6, 4, geometries=2)
    u.pseudo = [0.3 * f[::-1] for f in u.forces]
    settings = replace(
        SETTINGS, prior_weight=0.0, pseudo_weight=1.0, heads=("reference",), steps=60, learning_rate=5e-3
    )
    _, rows, losses = adaptation.adapt(model, [u], settings)
    error = lambda t: np.mean([np.abs(r[1][t] - p).mean() for r, p in zip(rows[0], u.pseudo)])
    assert error(-1) < 0.7 * error(0) and losses[0, -1] < losses[0, 0]


def test_a_set_is_one_unit_per_group():
    frames, prior = frames_and_labels()
    units, members = kinds.set_units(frames, frames, prior)
    assert members == [list(range(9))] and len(units[0].adapt) == 8


def test_unseen_geometries_are_those_not_adapted_on():
    frames, prior = frames_and_labels()
    chosen = [1, 3, 4]
    known, labels = frames.take(chosen), prior.take(chosen)
    pseudo = Labels.build(known, [None, (0.0, np.zeros((5, 3))), (0.0, np.ones((5, 3)))], "pseudo")
    units, members = kinds.molecule_units(frames, known, labels, pseudo, unseen=True)
    assert members == [[5]] and len(units[0].pseudo) == 2  # molecule a has no pseudo-label left


def frames_and_labels():
    rng = np.random.default_rng(0)
    rows, results = [], []
    for molecule, n in (("a", 3), ("b", 5), ("c", 4)):
        numbers = rng.choice([1, 6], n)
        for k in range(3):
            rows.append(
                {"id": f"{molecule}{k}", "group": "g", "molecule": molecule, "numbers": numbers, "charge": 0}
                | {"positions": rng.normal(size=(n, 3)), "multiplicity": 1}
            )
            results.append((float(len(results)), rng.normal(size=(n, 3))))
    results[0] = None
    frames = Frames.build(rows)
    return frames, Labels.build(frames, results, "prior")


def test_molecule_mode_adapts_on_what_is_labelled_and_predicts_all():
    frames, prior = frames_and_labels()
    chosen = [0, 1, 3, 4]  # structure 0 of molecule a has no label, molecule c is not adapted at all
    units, members = kinds.molecule_units(frames, frames.take(chosen), prior.take(chosen))
    assert members == [[0, 1, 2], [3, 4, 5]]
    np.testing.assert_array_equal(units[0].forces[0], prior.forces_of(1))
    assert [len(u.adapt) for u in units] == [1, 2]
    assert units[1].energy.tolist() == [3.0, 4.0]


def test_structure_mode_leaves_out_failed_labels():
    frames, prior = frames_and_labels()
    units, members = kinds.structure_units(frames, prior)
    assert members == [[k] for k in range(1, 9)]
    for u, (k,) in zip(units, members):
        np.testing.assert_array_equal(u.forces[0], prior.forces_of(k))
        np.testing.assert_array_equal(u.predict[0][1], frames[k][1])


def test_placebo_forces_come_from_another_molecule():
    frames, prior = frames_and_labels()
    units, members = kinds.placebo_units(frames, prior, seed=1)
    assert [m[0] for m in members] == list(range(1, 9))
    for u, (k,) in zip(units, members):
        own = [prior.forces_of(j) for j in range(9) if frames.molecule[j] == frames.molecule[k]]
        assert u.forces[0].shape == own[1].shape
        assert all(not np.allclose(u.forces[0], f) for f in own)
        np.testing.assert_allclose(u.forces[0].sum(0), 0, atol=1e-12)


def test_the_placebo_of_a_single_molecule_is_another_geometry():
    frames, prior = frames_and_labels()
    one = frames.take([3, 4, 5])
    labels = prior.take([3, 4, 5])
    units, members = kinds.placebo_units(one, labels, seed=1)
    assert len(units) == len(one) > 1
    for unit, (k,) in zip(units, members):
        foreign = [labels.forces_of(j) - labels.forces_of(j).mean(0) for j in range(len(one)) if j != k]
        assert any(np.allclose(unit.forces[0], f) for f in foreign)
    assert kinds.placebo_units(one.take([0]), labels.take([0]), seed=1) == ([], [])


@pytest.mark.parametrize("mode", ["structure", "molecule", "placebo"])
def test_shards_adapt_as_one_job_does(model, mode):
    frames, prior = frames_and_labels()
    potential = Potential(model, {"strategy": "joint", "seed": 0})
    units = kinds.units_of(mode, frames, prior, 0)

    def adapted(some):
        found = adaptation.adapt_frames(potential, frames, some, SETTINGS, prior)
        return found.predictions(potential, frames, "joint_ttt")

    whole = adapted(units)
    parts = [adapted(shards.part_of(units, f"{k}-of-3")) for k in (1, 2, 3)]
    assert sum(part.ok.sum() for part in parts) == whole.ok.sum() > 2
    together = shards.joined(parts)
    assert np.array_equal(together.ok, whole.ok)
    for name in ("energy", "forces", "loss"):
        np.testing.assert_allclose(getattr(together, name), getattr(whole, name), atol=1e-12)
    assert [row["id"] for row in shards.unlabelled(frames, together, mode)] == list(frames.ids[~whole.ok])
    with pytest.raises(UserError, match="do not belong together"):
        shards.joined([parts[0], parts[0]])
    with pytest.raises(UserError, match="do not belong together"):
        shards.joined([parts[0], replace(parts[1], seed=1)])
