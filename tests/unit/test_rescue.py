"""Weights of estimates by their expected errors, and what help a model as it is gets from them."""

import inspect
import json

import numpy as np
import pytest

from mlipshift.base.averages import component_mae
from mlipshift.base.frames import offsets_of
from mlipshift.mitigate import rescue, weighting
from mlipshift.mitigate.rescue import COMMITTEE, HEAD, PRIOR, Said
from mlipshift.mitigate.weighting import ErrorModel, Expectation, Weighting

COUNT, ATOMS = 60, 4


@pytest.fixture
def world():
    """(reference [N, 3], said) of two models, one of which has a prior head and a spread that tells its error."""
    rng = np.random.default_rng(0)
    offsets, molecules = offsets_of([ATOMS] * COUNT), np.array([f"m{k % 12}" for k in range(COUNT)])
    reference = rng.normal(size=(offsets[-1], 3))
    off = lambda size: rng.normal(size=reference.shape) * np.repeat(size, ATOMS)[:, None]
    wild = np.where(rng.random(COUNT) < 0.4, 0.8, 0.03)  # of the first model, eV/Å
    first = reference + off(wild)
    second, prior = reference + off(np.full(COUNT, 0.1)), reference + off(np.full(COUNT, 0.3))
    # the head errs as the model does
    heads = {"a": prior + (first - reference) + off(np.full(COUNT, 0.05))}
    spreads = {"a": wild * np.exp(rng.normal(scale=0.2, size=COUNT))}
    return reference, said_of({"a": first, "b": second}, prior, heads, spreads, offsets, molecules)


def said_of(models, prior, heads, spreads, offsets, molecules):
    """Said with energies that are numbered through, and every fourth structure charged."""
    count = len(offsets) - 1
    names = [*models, PRIOR, *((name, HEAD) for name in heads)]
    energies = {name: np.arange(count) * (k + 1.0) for k, name in enumerate(names)}
    facts = {"charged": np.arange(count) % 4 == 0, "open_shell": np.zeros(count, bool)}
    return Said(models, prior, heads, energies, spreads, facts, offsets, molecules)


def errors(forces, world):
    return component_mae(forces, world[0], world[1].offsets)


# error models


def test_an_error_model_finds_the_law_that_errors_follow():
    rng = np.random.default_rng(1)
    sign = np.exp(rng.normal(size=400))
    found = ErrorModel.fit({"sign": sign, "noise": np.exp(rng.normal(size=400))}, 0.1 * sign**0.7)
    assert found.slopes[0] == pytest.approx(0.7, abs=0.02) and found.slopes[1] == pytest.approx(0, abs=0.02)
    assert found({"sign": np.array([1.0]), "noise": np.array([1.0])})[0] == pytest.approx(0.1, rel=0.03)


def test_an_expected_error_never_falls_with_a_sign():
    """Whatever the data say, and no further than they reach."""
    rng = np.random.default_rng(2)
    sign, other = np.exp(rng.normal(size=(2, 80)))
    for target in (0.1 * sign, 0.1 / sign, np.exp(rng.normal(size=80))):
        found = ErrorModel.fit({"sign": sign, "other": other}, target)
        assert min(found.slopes) >= 0
        grid = np.geomspace(1e-6, 1e6, 50)
        expected = found({"sign": grid, "other": np.full(50, 1.0)})
        assert (np.diff(expected) >= 0).all() and np.isfinite(expected).all()
        assert expected[0] == found({"sign": sign[[sign.argmin()]], "other": np.ones(1)})[0]
        assert expected[-1] == pytest.approx(found({"sign": sign[[sign.argmax()]], "other": np.ones(1)})[0])


def test_a_structure_that_lacks_a_sign_is_judged_by_the_others():
    rng = np.random.default_rng(3)
    signs = {name: np.exp(rng.normal(size=60)) for name in ("spread", "prior")}
    signs["spread"][::3] = np.nan
    target = np.where(np.isfinite(signs["spread"]), 0.1 * np.nan_to_num(signs["spread"]), 0.1 * signs["prior"])
    found = Expectation.fit(signs, target)
    assert {m.names for m in found.models} == {("spread", "prior"), ("spread",), ("prior",)}
    assert np.isfinite(found(signs, 60)).all()
    assert np.isnan(found({"prior": np.full(60, np.nan)}, 60)).all()
    assert Expectation.fit({"prior": signs["prior"][:5]}, target[:5]).models == ()  # too few to fit anything


# weights


def test_weights_add_up_to_one_and_what_is_missing_has_none():
    expected = np.array([[0.1, 0.1, np.nan, np.nan], [0.2, 0.2, 0.2, np.nan]])
    available = np.array([[True, False, True, True], [True, True, True, True]])
    found = Weighting(power=2.0).weights(expected, available)
    assert found[:, 0] == pytest.approx([0.8, 0.2]) and found[:, 1].tolist() == [0, 1] == found[:, 2].tolist()
    assert np.isnan(found[:, 3]).all()
    offsets = offsets_of([1, 2, 1, 1])
    values = np.stack([np.full((5, 3), 1.0), np.full((5, 3), 2.0)])
    values[0, 1:3] = np.nan
    combined = weighting.combine(found, values, offsets)
    assert combined[:, 0][:4] == pytest.approx([1.2, 2, 2, 2]) and np.isnan(combined[4]).all()


def test_a_perfect_estimate_gets_the_weight(world):
    reference, said = world
    forces = {"model": said.models["a"], "perfect": reference + 1e-6}
    signs = dict.fromkeys(forces, said.signs("a", others=False) | said.known())
    found = weighting.choose(signs, forces, reference, said.offsets, said.molecules)
    weights = found.weights(found.expected(signs, COUNT), np.ones((2, COUNT), bool))
    assert weights[1].min() > 0.95 and np.allclose(weights.sum(axis=0), 1)


@pytest.mark.parametrize("power", weighting.POWERS)
def test_the_weight_of_an_estimate_falls_with_its_own_sign(power):
    rng = np.random.default_rng(4)
    sign = np.exp(rng.normal(size=100))
    one = Expectation.fit({"spread": sign}, 0.1 * sign)
    two = Expectation.fit({"prior": sign}, np.full(100, 0.1))
    found, grid = Weighting({"a": one, "b": two}, power), np.geomspace(0.01, 100, 30)
    expected = found.expected({"a": {"spread": grid}, "b": {"prior": np.ones(30)}}, 30)
    assert (np.diff(found.weights(expected, np.ones((2, 30), bool))[0]) <= 1e-12).all()


def test_weights_are_the_same_after_json(world):
    reference, said = world
    for row in rescue.choose(said, reference).values():
        for way in ("rescued", "weighted"):
            if way in row:
                again = weighting.from_json(json.loads(json.dumps(row[way])))
                assert weighting.as_json(again) == row[way]


# strategies


def test_help_is_chosen_that_helps(world):
    reference, said = world
    weights = json.loads(json.dumps(rescue.choose(said, reference)))
    assert set(weights) == {"a", "b", COMMITTEE} and set(weights["a"]) == {"mixed", "corrected", "rescued"}
    found = rescue.apply(said, weights)
    error = {name: errors(result.forces, world).mean() for name, result in found.items()}
    base = errors(said.models["a"], world).mean()
    assert error["a_corrected"] < base and error["a_rescued"] < base and error["a_mixed"] <= base
    assert error["committee_rescued"] < min(errors(f, world).mean() for f in said.models.values())
    for result in found.values():
        assert np.allclose(np.sum([*result.weights.values()], axis=0), 1)


def test_a_constant_weight_of_zero_is_the_model(world):
    reference, said = world
    weights = rescue.choose(said, reference)
    for name in ("a", "b"):
        weights[name] |= {"mixed": 0.0, "corrected": 0.0}
    found = rescue.apply(said, weights)
    assert np.array_equal(found["a_mixed"].forces, said.models["a"])
    assert np.array_equal(found["a_corrected"].forces, said.models["a"])
    assert np.array_equal(found["b_mixed"].forces, said.models["b"]) and "b_corrected" not in found
    weights["a"] |= {"mixed": 1.0, "corrected": 1.0}
    found = rescue.apply(said, weights)
    assert np.allclose(found["a_mixed"].forces, said.prior)
    assert np.allclose(found["a_corrected"].forces, said.corrected("a"))


def test_a_model_that_is_right_is_left_alone(world):
    reference, said = world
    right = said_of({"a": reference}, said.prior, {}, {}, said.offsets, said.molecules)
    weights = rescue.choose(right, reference)
    assert weights["a"]["mixed"] == 0 and COMMITTEE not in weights


def test_what_is_missing_is_left_out(world):
    """The prior fails on some, a model on others: the rest goes on, and only what nobody says is missing."""
    reference, said = world
    weights = rescue.choose(said, reference)
    said.prior[:ATOMS] = np.nan  # structure 0
    said.models["a"][ATOMS : 2 * ATOMS] = np.nan
    found = rescue.apply(said, weights)
    assert np.array_equal(found["a_mixed"].forces[:ATOMS], said.models["a"][:ATOMS])
    assert np.isnan(found["a_mixed"].forces[ATOMS : 2 * ATOMS]).all()
    for name in ("committee_mean", "committee_arbiter", "committee_rescued"):
        assert np.isfinite(found[name].forces[2 * ATOMS :]).all(), name
    assert found["committee_mean"].weights["b"][1] == 1
    assert np.array_equal(found["committee_mean"].forces[ATOMS : 2 * ATOMS], said.models["b"][ATOMS : 2 * ATOMS])


def test_an_arbiter_takes_the_nearest_to_the_prior(world):
    _, said = world
    found = rescue._arbiter(said.models, said)
    away = np.stack([component_mae(f, said.prior, said.offsets) for f in said.models.values()])
    assert (np.stack([*found.weights.values()]).argmax(axis=0) == away.argmin(axis=0)).all()


def test_choosing_reads_only_what_it_is_given(world):
    """Structures without a reference change nothing, and applying takes none at all."""
    reference, said = world
    known = np.arange(COUNT) < 40
    masked = np.where(np.repeat(known, ATOMS)[:, None], reference, np.nan)
    assert rescue.choose(said, masked) == rescue.choose(said.take(known), reference[: 40 * ATOMS])
    for values in [*said.models.values(), said.prior, *said.heads.values()]:
        values[40 * ATOMS :] += 7.0
    assert rescue.choose(said, masked) == rescue.choose(said.take(known), reference[: 40 * ATOMS])
    assert not [name for name in inspect.signature(rescue.apply).parameters if "reference" in name]


def test_a_structure_helps_itself_whatever_its_company(world):
    reference, said = world
    weights = rescue.choose(said, reference)
    together, chosen = rescue.apply(said, weights), np.isin(np.arange(COUNT), (3, 17, 30))
    for name, alone in rescue.apply(said.take(chosen), weights).items():
        assert np.allclose(alone.forces, together[name].forces[np.repeat(chosen, ATOMS)]), name


def test_a_constant_weight_keeps_forces_the_gradient_of_an_energy():
    """Of M + w (prior − M) and of M + w (prior − head), whose energies are sums of springs."""
    rng = np.random.default_rng(5)
    lengths = {"model": 1.0, "prior": 1.2, "head": 0.9}
    at = rng.normal(size=(ATOMS, 3)) * 1.5

    def energy(x, rest):
        d = np.linalg.norm(x[:, None] - x, axis=-1)[np.triu_indices(ATOMS, 1)]
        return ((d - rest) ** 2).sum()

    def forces(x, rest):
        d = x[:, None] - x
        r = np.linalg.norm(d, axis=-1) + np.eye(ATOMS)
        return -(2 * ((r - rest) / r * (1 - np.eye(ATOMS)))[..., None] * d).sum(1)

    weight, step = 0.35, 1e-5
    rescued = weighting.as_json(Weighting({"model": Expectation(())}))

    def corrected(x):
        say = {name: forces(x, rest) for name, rest in lengths.items()}
        said = said_of({"m": say["model"]}, say["prior"], {"m": say["head"]}, {}, offsets_of([ATOMS]), np.array(["x"]))
        for name, key in (("m", "model"), (PRIOR, "prior"), (("m", HEAD), "head")):
            said.energies[name][0] = energy(x, lengths[key])
        return rescue.apply(said, {"m": {"mixed": weight, "corrected": weight, "rescued": rescued}})

    for name in ("m_mixed", "m_corrected"):
        found = corrected(at)[name].forces
        for place in np.ndindex(ATOMS, 3):
            ahead, behind = at.copy(), at.copy()
            ahead[place] += step
            behind[place] -= step
            slope = (corrected(ahead)[name].energy[0] - corrected(behind)[name].energy[0]) / (2 * step)
            assert found[place] == pytest.approx(-slope, abs=1e-6)
