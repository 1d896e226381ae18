"""Radius refinement: the published method against a slow one, rules, random radii, dynamics on moving radii."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from ase.io import read

from mlipshift.base.errors import UserError
from mlipshift.base.frames import Frames, Labels
from mlipshift.catalogue.adaptation import Settings
from mlipshift.evaluate import rewiring
from mlipshift.learn import batches, networks, training
from mlipshift.learn.potential import Potential
from mlipshift.mitigate import adaptation, radius, scans
from mlipshift.mitigate.radius import Rule
from mlipshift.mitigate.units import Unit
from mlipshift.shift import graphs, spectra
from mlipshift.simulate import dynamics, observables
from mlipshift.simulate.rewired import RewiredField, Rewiring

BENCHMARK = Path(__file__).resolve().parents[2] / "resources" / "benchmark"
RADII = [1.2, 2.0, 3.0, 4.0, 6.0]
SMALL = {"features": 12, "blocks": 2, "radial": 6, "cutoff": 4.0}


def shipped(name, count):
    """Frames of structures of the embedded benchmark, spread over the file."""
    atoms = read(BENCHMARK / f"{name}.extxyz", index=":")
    chosen = [atoms[k] for k in np.linspace(0, len(atoms) - 1, count).astype(int)]
    return Frames.build(
        {
            "id": f"{name}{k}",
            "group": f"ood_{name}",
            "molecule": a.info["molecule"],
            "numbers": a.numbers,
            "positions": a.positions,
            "charge": 0,
            "multiplicity": 1,
        }
        for k, a in enumerate(chosen)
    )


@pytest.fixture(scope="module")
def sets():
    names = ("ood_connectivity", "ood_force_norm", "ood_larger", "ood_new_elements")
    test = Frames.concatenate([shipped(name, 50) for name in names])
    return shipped("train", 120), test


def model(seed=1, **more):
    torch.manual_seed(seed)
    return networks.build(SMALL | more).eval()


def slow_spectrum(positions, cutoff, loops=False):
    """Spectrum of the graph Laplacian atom by atom, as in the released code: atoms without an edge count as 1."""
    n = len(positions)
    near = [[j for j in range(n) if j != i and np.linalg.norm(positions[i] - positions[j]) < cutoff] for i in range(n)]
    last = max((i for i in range(n) if near[i]), default=-1) + 1
    last = n if loops else last
    matrix = np.eye(last)
    for i in range(last):
        for j in [*near[i], *([i] if loops else [])]:
            matrix[i, j] -= 1 / np.sqrt((len(near[i]) + loops) * (len(near[j]) + loops))
    return np.sort(np.linalg.eigvals(matrix).real)


def slow_choice(train, test, cutoff, radii, loops=False):
    """Radius of every test structure: squared distance of padded spectra to the average training spectrum."""
    known = [slow_spectrum(train[k][1], cutoff, loops) for k in range(len(train))]
    found = [[slow_spectrum(test[k][1], r, loops) for r in radii] for k in range(len(test))]
    length = max(len(s) for s in [*known, *sum(found, [])])
    pad = lambda s: np.r_[s, np.zeros(length - len(s))]
    mean = np.mean([pad(s) for s in known], axis=0)
    distance = np.array([[((pad(s) - mean) ** 2).sum() for s in row] for row in found])
    return np.array(radii)[distance.argmin(1)], distance


def test_the_published_method_is_that_of_a_slow_implementation_on_200_structures(sets):
    """Radii and forces, among them of structures that lose no edge: the neighbour list alone changes."""
    train, test = sets
    assert len(test) == 200
    wanted, apart = slow_choice(train, test, 3.0, RADII)
    choice = radius.choose(train, test, 3.0, RADII)
    np.testing.assert_allclose(choice.distance, apart, atol=1e-8)
    np.testing.assert_array_equal(choice.chosen, wanted)
    assert len(set(wanted)) >= 3, "more than one radius is chosen"
    potential = Potential(model(cutoff=3.0).double(), {"strategy": "joint", "seed": 0})
    found = potential.predict(test, None, choice.chosen)
    base, same = potential.predict(test), 0
    for k in range(len(test)):
        numbers, positions = test[k][:2]
        graph = graphs.build(numbers, positions, 9.0)
        kept = (graph.neighbours >= 0) & (np.linalg.norm(graph.vectors, axis=-1) < wanted[k])
        cut = replace(graph, neighbours=np.where(kept, graph.neighbours, -1))
        with torch.no_grad():
            alone = potential.network(batches.collate([[cut]], torch.float64), ("reference",))["reference"][1][0]
        np.testing.assert_allclose(found[k][1], alone.numpy(), atol=1e-9)
        same += wanted[k] >= 3.0
        if wanted[k] >= 3.0:
            np.testing.assert_allclose(found[k][1], base[k][1], atol=1e-9)
    assert 0 < same < len(test)


def test_self_loops_as_written_are_those_of_a_slow_implementation(sets):
    train, test = (f.take(np.arange(30)) for f in sets)
    wanted, apart = slow_choice(train, test, 3.0, RADII, loops=True)
    choice = radius.choose(train, test, 3.0, RADII, Rule(variant="written"))
    np.testing.assert_allclose(choice.distance, apart, atol=1e-8)
    np.testing.assert_array_equal(choice.chosen, wanted)


RULES = {
    "window": Rule(distance="window", target=0.55),
    "own": Rule(distance="window"),
    "size": Rule(reference="size"),
    "nearest": Rule(reference="nearest"),
    "wasserstein": Rule(distance="wasserstein", variant="robust"),
    "wasserstein_size": Rule(distance="wasserstein", reference="size", variant="robust"),
    "wasserstein_nearest": Rule(distance="wasserstein", reference="nearest", variant="robust"),
    "molecule": Rule(distance="wasserstein", variant="robust", per="molecule"),
    "fallback": Rule(sigma=1.0, above=False),
    "wide": Rule(distance="window", width=0.2871),
    "coarse": Rule(radii_A=RADII[1:2]),
}


def test_every_rule_is_its_definition_and_the_same_alone_and_with_others(sets):
    train, test = sets[0], sets[1].take(np.arange(0, 200, 5))
    found = radius.choose_by(train, test, 3.0, RADII, RULES)
    known = {v: [s for (s,) in spectra.spectra_of_many(positions(train), [3.0], v)] for v in ("published", "robust")}
    own = {v: spectra.spectra_of_many(positions(test), RADII, v) for v in known}
    fraction = lambda many: spectra.window_fraction(many)
    for k in range(len(test)):
        assert found["window"].distance[k] == pytest.approx(np.abs(fraction(own["published"][k]) - 0.55))
        aim = fraction(known["published"]).mean()
        assert found["own"].distance[k] == pytest.approx(np.abs(fraction(own["published"][k]) - aim))
        inside = lambda s: (np.abs(s - 1) < 0.2871).sum() / max(1, len(s))
        aim = np.mean([inside(s) for s in known["published"]])
        assert found["wide"].distance[k] == pytest.approx([abs(inside(s) - aim) for s in own["published"][k]])
        apart = [[quantile_distance(s, t) for t in known["robust"]] for s in own["robust"][k]]
        assert found["wasserstein_nearest"].distance[k] == pytest.approx(np.min(apart, axis=1), abs=1e-9)
        table = np.array([np.r_[s, np.zeros(80 - len(s))] for s in known["published"]])
        near = [((table - np.r_[s, np.zeros(80 - len(s))]) ** 2).sum(1).min() for s in own["published"][k]]
        assert found["nearest"].distance[k] == pytest.approx(near, abs=1e-9)
    for name, rule in RULES.items():
        alone = radius.choose(train, test, 3.0, RADII, rule)
        np.testing.assert_array_equal(alone.chosen, found[name].chosen)
    for molecule in set(test.molecule):
        for group in set(test.group):
            rows = (test.molecule == molecule) & (test.group == group)
            assert len(set(found["molecule"].chosen[rows])) <= 1
    assert (found["fallback"].chosen <= 3.0).all()
    assert (found["coarse"].chosen == RADII[1]).all()
    with pytest.raises(UserError, match="none of its radii_A"):
        radius.choose(train, test, 3.0, RADII, Rule(radii_A=[99.0]))


def positions(frames):
    return [frames[k][1] for k in range(len(frames))]


def quantile_distance(first, second):
    """Area between two quantile functions, on a common grid of their steps."""
    ends = np.unique(np.r_[0, np.arange(1, len(first) + 1) / len(first), np.arange(1, len(second) + 1) / len(second)])
    middle = (ends[1:] + ends[:-1]) / 2
    at = lambda s: s[np.minimum((middle * len(s)).astype(int), len(s) - 1)]
    return float((np.abs(at(first) - at(second)) * np.diff(ends)).sum())


@pytest.mark.parametrize(
    "wrong",
    [
        {"distance": "euclid"},
        {"reference": "median"},
        {"per": "atom"},
        {"variant": "loops"},
        {"distance": "window", "reference": "nearest"},
        {"target": 0.5},
    ],
)
def test_a_rule_that_is_none_is_refused(wrong):
    with pytest.raises(UserError, match="rule of radii"):
        Rule(**wrong)


def test_a_network_trained_with_random_radii_has_seen_them(sets):
    """Deterministic, and more alike at another radius than the one that was trained with one."""
    frames = sets[0].take(np.arange(24))
    near = [graphs.build(*frames[k][:2], 1.8) for k in range(len(frames))]
    pull = [2 * (g.vectors * (g.neighbours >= 0)[..., None]).sum(1) for g in near]
    labels = Labels.build(frames, [(0.0, f) for f in pull], "springs between near atoms")
    settings = {"steps": 120, "batch": 8, "learning_rate": 3e-3, "weight_decay": 0.0, "energy_weight": 0.0}
    settings["average"] = 0.9
    train = lambda **more: training.train("supervised", SMALL, settings | more, 0, (frames, labels))[0].eval()
    fixed, free, again = train(), train(cutoffs=[2.0, 4.0]), train(cutoffs=[2.0, 4.0])
    for name, value in free.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])
    moved = []
    for network in (fixed, free):
        said = [networks.predict(network, structures(frames), [r] * 24, "rescaled") for r in (2.2, 4.0)]
        moved.append(np.mean([np.abs(a[1] - b[1]).mean() for a, b in zip(*said)]))
    assert moved[1] < moved[0]
    with pytest.raises(UserError, match="up to the cutoff of the network, 4"):
        train(cutoffs=[2.0, 5.0])


def structures(frames):
    return [frames[k][:2] for k in range(len(frames))]


def test_an_envelope_that_ends_before_an_edge_is_as_good_as_a_shorter_list():
    """What lets networks be trained with random radii on lists of one length."""
    network = model().double()
    numbers, x = np.array([6, 1, 8, 1, 6]), np.random.default_rng(3).normal(scale=1.5, size=(5, 3))
    long, short = graphs.build(numbers, x, 4.0, 2.5), graphs.build(numbers, x, 2.5, 2.5)
    with torch.no_grad():
        said = [network(batches.collate([[g]], torch.float64), ("reference",))["reference"][1] for g in (long, short)]
    np.testing.assert_allclose(said[0], said[1], atol=1e-12)


def test_units_are_adapted_on_graphs_of_their_own_radius():
    network, rng = model().double(), np.random.default_rng(5)
    made = []
    for n in (5, 7):
        z, x = rng.choice([1, 6, 8], n), rng.normal(scale=1.4, size=(n, 3))
        forces = rng.normal(size=(n, 3))
        made.append(Unit([(z, x)], [forces - forces.mean(0)], [(z, x)]))
    settings = Settings(steps=3, learning_rate=1e-3, batch=4)
    last = lambda units: [rows[0][1][-1] for rows in adaptation.adapt(network, units, settings)[1]]
    usual = last(made)
    np.testing.assert_allclose(last([replace(u, cutoff=4.0) for u in made])[0], usual[0], atol=1e-12)
    units = [replace(made[0], cutoff=3.0, envelope=3.0), replace(made[1], cutoff=4.0, envelope=4.0)]
    mixed = last(units)
    np.testing.assert_allclose(mixed[0], last(units[:1])[0], atol=1e-9)
    np.testing.assert_allclose(mixed[1], usual[1], atol=1e-9)
    assert np.abs(mixed[0] - usual[0]).max() > 1e-4
    with pytest.raises(AssertionError, match="all graphs of a batch or none"):
        last([units[0], made[1]])


def test_a_scan_is_the_predictions_at_every_radius_with_the_loss_of_the_prior_head(sets):
    test = sets[1].take(np.arange(0, 200, 20))
    potential = Potential(model(), {"strategy": "joint", "seed": 0})
    rng = np.random.default_rng(1)
    prior = Labels.build(test, [(0.0, rng.normal(size=(n, 3))) for n in test.sizes], "made up")
    found = scans.scan(potential, test, [4.0, 2.0, 6.0], "trained", "joint", prior)
    assert found.steps.tolist() == [0, 1, 2]
    for t, r in enumerate((4.0, 2.0, 6.0)):
        for k, row in enumerate(potential.predict(test, None, [r] * len(test))):
            np.testing.assert_allclose(found.forces[t, test.offsets[k] : test.offsets[k + 1]], row[1], atol=1e-6)
    said = networks.predict(potential.network, structures(test), [2.0] * len(test), head="prior")
    error = [np.linalg.norm(row[1] - prior.forces_of(k), axis=1).mean() for k, row in enumerate(said)]
    np.testing.assert_allclose(found.loss[1], error, rtol=1e-5)
    np.testing.assert_allclose(found.loss[2], found.loss[0], rtol=1e-5)  # beyond the envelope


def test_the_radius_of_the_least_prior_loss_has_to_gain_its_margin():
    loss = np.array([[1.0, 1.0, 1.0, np.nan], [0.95, 0.5, 1.2, np.nan], [0.99, 0.7, 1.1, 0.1]])
    assert radius.least_loss(loss, 0.0).tolist() == [1, 1, 0, 0]
    assert radius.least_loss(loss, 0.1).tolist() == [0, 1, 0, 0]


def scanned(frames, seed=0):
    """Errors at three radii where the second is better by 10 in one half of the structures and worse in the other."""
    n = len(frames)
    errors = np.full((2, 3, n), 100.0)
    errors[:, 1, : n // 2], errors[:, 1, n // 2 :] = 90.0, 130.0
    losses = np.where(errors < 100, 0.5, np.where(errors > 100, 2.0, 1.0))
    return rewiring.Scanned("net", "joint", "trained", np.array([3.0, 2.0, 4.0]), errors, losses)


def test_rules_are_compared_with_the_best_radius_and_chosen_on_validation_groups():
    rows = [
        {"id": f"{group}{k}", "group": group, "molecule": f"{group}{k % 8}", "numbers": [1], "positions": np.zeros(3)}
        | {"charge": 0, "multiplicity": 2}
        for group in ("ood_x", "val_x")
        for k in range(16)
    ]
    order = np.r_[0:8, 16:24, 8:16, 24:32]  # half of either group is better at the second radius
    frames = Frames.build(rows).take(order)
    found = scanned(frames)
    picks = found.picks({"published": np.full(32, 2.0)}, [0.0])
    table, advised = rewiring.rules(found, frames, picks, 200, 0)
    rows = {(row["group"], row["rule"]): row for row in table}
    assert advised == "prior_0"
    worse = rows["ood_all", "published"]
    assert worse["difference_meV_per_A"] == pytest.approx(10.0) and worse["share_of_best"] == pytest.approx(-2.0)
    assert (worse["fraction_improved"], worse["fraction_worsened"], worse["n_refined"]) == (0.5, 0.5, 16)
    best, prior = rows["ood_all", "best"], rows["ood_all", "prior_0"]
    assert best["difference_meV_per_A"] == prior["difference_meV_per_A"] == pytest.approx(-5.0)
    assert prior["recommended"] and not worse["recommended"] and prior["share_of_best"] == pytest.approx(1.0)
    only = {name: numbers for name, numbers in picks.items() if name != "prior_0"}
    assert rewiring.rules(found, frames, only, 200, 0)[1] == "nothing"
    curve = {(r["group"], r["radius_A"]): r for r in rewiring.curve(found, frames, 200, 0)}
    assert curve["ood_x", 2.0]["difference_meV_per_A"] == pytest.approx(10.0)
    assert curve["ood_x", 4.0]["fraction_changed"] == 0.0


def moving(mode, train, **more):
    """Field of a small molecule whose radius moves."""
    network = model(forces="gradient").double()
    potential = Potential(network, {"strategy": "joint", "seed": 0})
    rule = Rule(distance="wasserstein", variant="robust")
    known = radius.known_graphs(train, 3.0, rule)
    how = {"known": known, "trained": 3.0, "candidates": np.array([1.5, 2.0, 2.5, 3.0, 3.5]), "rule": rule}
    return lambda numbers: RewiredField(
        potential, numbers, Rewiring(mode, rate=0.001, rescaled=True, **(how | more)), "float64"
    )


@pytest.mark.parametrize("mode", ["fixed", "frame", "smooth"])
def test_a_radius_that_changes_makes_the_energy_jump_and_a_fixed_one_conserves_it(mode, sets, tmp_path):
    train, test = sets
    start = test.take(np.array([0, 0]))
    start.ids[:] = ["a", "b"]
    none = observables.Bonds(np.empty((0, 2), dtype=int), np.empty(0))
    settings = dynamics.Settings(ensemble="nve", duration_ps=0.05, part=100, look=100, timestep_fs=0.25)
    field = moving(mode, train)(start[0][0])
    found = dynamics.simulate(field, start, none, settings, tmp_path / "whole")[0]
    counted = found.about["field"]
    if mode == "fixed":
        assert counted["changes"] == 0 and counted["largest"] == 0
        assert np.abs(found.total - found.total[0]).max() < 2e-3
    else:
        assert counted["changes"] > 0 and 0 < counted["largest"] <= counted["jumped"]
    if mode == "smooth":
        assert counted["largest"] < 0.05, "a step of a thousandth of an Å"
    # what was killed goes on with the same radii
    half = dynamics.simulate(moving(mode, train)(start[0][0]), start, none, settings, tmp_path / "killed")[0]
    parts = sorted((tmp_path / "killed").iterdir())
    parts[-1].unlink()
    again = dynamics.simulate(moving(mode, train)(start[0][0]), start, none, settings, tmp_path / "killed")[0]
    np.testing.assert_array_equal(again.positions, half.positions)
    assert again.about["field"] == counted == half.about["field"]


def test_the_radius_of_a_replica_stays_when_another_one_ends(sets, tmp_path):
    train, test = sets
    numbers, x, *_ = test[0]
    # a field of that molecule whose first radius is not the one of the geometry squeezed
    field, alone = moving("fixed", train)(numbers), moving("fixed", train)(numbers)
    alone(0.6 * x[None])
    field(np.stack([0.6 * x, x]))
    first = field.radii.copy()
    assert first[0] == alone.radii[0] != first[1]
    field.keep(np.array([False, True]))
    field(0.6 * x[None])
    assert field.radii.tolist() == [first[1]] and field.changes == 0
    # dynamics say which replicas go on
    row = {"group": "g", "molecule": "m", "numbers": numbers, "charge": 0, "multiplicity": 1}
    start = Frames.build([row | {"id": str(k), "positions": p} for k, p in enumerate((2 * x, x))])
    field = moving("fixed", train)(numbers)
    settings = dynamics.Settings(ensemble="nve", duration_ps=0.0025, part=100, look=100, timestep_fs=0.25)
    found = dynamics.simulate(field, start, observables.bonds_of(numbers, x[None]), settings, tmp_path)[0]
    assert list(found.event) == ["bond", "none"] and field.radii.tolist() == [first[1]]


def test_an_unknown_way_of_moving_a_radius_is_refused(sets):
    with pytest.raises(UserError, match="use one of fixed, frame, smooth"):
        moving("jump", sets[0])(np.array([6]))
