"""A model as one function of structures: what its strategy adds, what it refuses, and as an ASE calculator."""

import json
import warnings

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.lj import LennardJones

import mlipshift
from mlipshift.base.errors import UserError
from mlipshift.base.frames import Frames, Labels
from mlipshift.base.geometry import pairs
from mlipshift.catalogue.adaptation import Settings
from mlipshift.learn import networks
from mlipshift.learn.calculator import Calculator, frames_of
from mlipshift.learn.potential import Potential
from mlipshift.mitigate.adaptation import adapt, adapt_potential
from mlipshift.mitigate.units import Unit

ARCHITECTURE = {"features": 12, "blocks": 2, "radial": 6, "cutoff": 4.0}
SETTINGS = Settings(steps=4, learning_rate=1e-3, record=(2,))


def potential(strategy="joint", **card):
    """An untrained one whose atomic energies are not zero."""
    torch.manual_seed(1)
    network = networks.build(ARCHITECTURE).eval()
    network.shift[:] = torch.arange(95) * torch.tensor([[-3.0], [2.0]])
    return Potential(network, {"strategy": strategy, "seed": 0, **card})


def geometries(count=3):
    """Rattled ethanol."""
    out = [molecule("CH3CH2OH") for _ in range(count)]
    for k, atoms in enumerate(out):
        atoms.rattle(0.05, seed=k)
    return out


def labels(frames, missing=()):
    """Springs to the centre."""
    results = []
    for k in range(len(frames)):
        x = frames[k][1] - frames[k][1].mean(0)
        results.append(None if k in missing else ((x**2).sum(), -2 * x))
    return Labels.build(frames, results, "springs")


def test_a_prediction_is_network_baseline_and_prior():
    frames = frames_of(geometries())
    found = networks.predict(potential().network, [frames[k][:2] for k in range(3)])
    baseline = -3.0 * (2 * 6 + 8 + 6)
    for (energy, forces), (e, f) in zip(potential().predict(frames), found):
        assert energy == pytest.approx(e + baseline, abs=1e-9) and np.array_equal(forces, f)
    prior = labels(frames, missing=[1])
    rows = potential("delta").predict(frames, prior)
    assert rows[1] is None
    for k in (0, 2):
        assert rows[k][0] == pytest.approx(found[k][0] + baseline + prior.energy[k], abs=1e-9)
        np.testing.assert_allclose(rows[k][1], found[k][1] + prior.forces_of(k), atol=1e-12)
    # labels in another order are those of the same structures
    np.testing.assert_array_equal(potential("delta").predict(frames, prior.take([2, 1, 0]))[0][1], rows[0][1])
    predictions = potential("delta").predictions(frames, prior)
    assert predictions.method == "delta" and predictions.ok.tolist() == [True, False, True]


def test_several_steps_are_completed_at_once():
    frames = frames_of(geometries(1))
    rows = [(np.array([1.0, 2.0]), np.zeros((2, 9, 3)))]
    ((energy, forces),) = potential("delta").complete(frames, rows, labels(frames))
    np.testing.assert_allclose(np.diff(energy), 1.0)
    np.testing.assert_allclose(forces, np.broadcast_to(labels(frames).forces, (2, 9, 3)))


def test_what_a_model_cannot_predict_is_one_line():
    frames = frames_of(geometries(1))
    with pytest.raises(UserError, match="Δ-learning adds the prior to every prediction; give prior labels"):
        potential("delta").predict(frames)
    with pytest.raises(UserError, match="learnt by pretrain, which trains no reference head"):
        potential("pretrain").predict(frames)
    with pytest.raises(UserError, match="1 structures are periodic.*takes molecules only"):
        potential().predict(frames_of([bulk("C")]))
    with pytest.raises(UserError, match="envelope 'short' is unknown"):
        potential().predict(frames, envelope="short")
    for strategy, word in (("supervised", "no prior head"), ("pretrain", "no reference head")):
        with pytest.raises(UserError, match=word):
            adapt_potential(potential(strategy), frames, labels(frames), SETTINGS)


def test_features_do_not_depend_on_the_batch():
    frames = Frames.concatenate([frames_of(geometries()), frames_of([molecule("H2O")])])
    together = potential().features(frames)
    assert together.shape == (4, 12)
    for k in range(4):
        np.testing.assert_allclose(potential().features(frames.take([k]))[0], together[k], atol=1e-6)


def test_the_calculator_is_found_without_importing_torch_first(tmp_path):
    assert mlipshift.Calculator is Calculator
    with pytest.raises(AttributeError, match="no attribute 'Calculators'"):
        mlipshift.Calculators  # noqa: B018
    potential().save(tmp_path)
    atoms = geometries(1)[0]
    ((energy, forces),) = potential().predict(frames_of([atoms]))
    atoms.calc = mlipshift.Calculator(tmp_path)
    assert atoms.get_potential_energy() == energy == atoms.get_potential_energy(force_consistent=True)
    np.testing.assert_array_equal(atoms.get_forces(), forces)


def test_delta_learning_takes_a_calculator_or_a_function_as_prior():
    atoms = geometries(1)[0]
    frames = frames_of([atoms])
    ((energy, forces),) = potential("delta").predict(frames, labels(frames))
    atoms.calc = Calculator(
        potential("delta"), prior=lambda a: (labels(frames_of([a])).energy[0], labels(frames).forces)
    )
    assert atoms.get_potential_energy() == pytest.approx(energy) and np.allclose(atoms.get_forces(), forces)
    pair = LennardJones(rc=3.0)
    atoms.calc = Calculator(potential("delta"), prior=pair)
    network = networks.predict(potential().network, [(atoms.numbers, atoms.positions)])[0][1]
    np.testing.assert_allclose(atoms.get_forces() - network, pair.get_forces(atoms), atol=1e-9)
    for prior in (None, 3):
        with pytest.raises(UserError, match="Δ-learning adds the prior to every prediction; give prior="):
            Calculator(potential("delta"), prior=prior)


def test_what_a_network_does_not_know_is_said():
    calculator = Calculator(potential(elements=[1, 6]))
    ion = Atoms("OH", [[0, 0, 0], [0, 0, 0.97]], calculator=calculator, info={"charge": -1})
    with pytest.warns(UserWarning) as caught:
        ion.get_forces()
    said = [str(w.message) for w in caught]
    assert "knows neither charge (-1) nor multiplicity (1)" in said[0] and "no training structure has O" in said[1]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Atoms("CH4", molecule("CH4").positions, calculator=calculator).get_forces()
    crystal = bulk("C")
    crystal.calc = calculator
    with pytest.raises(UserError, match="the atoms are periodic.*set atoms.pbc = False"):
        crystal.get_forces()


@pytest.mark.parametrize("change", [{}, {"interpolation": 0.5}, {"stop": "drop", "stop_fraction": 0.999}])
def test_an_adapted_model_is_that_of_the_loop_and_survives_a_file(tmp_path, change):
    frames = frames_of(geometries(4))
    prior, known = labels(frames, missing=[1]), [0, 2]
    base, settings = potential(), Settings(**{**vars(SETTINGS), **change})
    made = adapt_potential(base, frames.take([0, 1, 2]), prior.take([0, 1, 2]), settings)
    unit = Unit([frames[k][:2] for k in known], [prior.forces_of(k) for k in known], [frames[3][:2]])
    _, rows, losses = adapt(base.network, [unit], settings)
    ((_, forces),) = made.predict(frames.take([3]))
    np.testing.assert_allclose(forces, rows[0][0][1][-1], atol=1e-6)
    assert np.abs(forces - base.predict(frames.take([3]))[0][1]).max() > 1e-4, "the base stays"
    made.save(tmp_path)
    atoms = geometries(4)[3]
    atoms.calc = mlipshift.Calculator(tmp_path)
    np.testing.assert_array_equal(atoms.get_forces(), forces)
    (card,) = json.loads((tmp_path / "model.json").read_text())["adapted"]
    assert card["structures"] == 2 and card["level"] == "springs" and card["settings"]["steps"] == 4
    np.testing.assert_allclose(card["loss_eV_per_A"], losses[0], rtol=1e-6)
    # adapted again: the card has both, and where the second came from
    again = adapt_potential(Potential.load(tmp_path), frames, prior, settings)
    assert [c["from"] for c in again.card["adapted"]] == [None, str(tmp_path)]


@pytest.mark.parametrize(
    ("change", "word"),
    [({"predict": "prior"}, "predicts with its reference head"), ({"pseudo_weight": 1.0}, "no pseudo-labels")]
    + [({"stop": "held_out"}, "held-out copies")],
)
def test_what_cannot_be_adapted_is_one_line(change, word):
    frames = frames_of(geometries(2))
    with pytest.raises(UserError, match=word):
        adapt_potential(potential(), frames, labels(frames), Settings(**{**vars(SETTINGS), **change}))
    with pytest.raises(UserError, match="no structure has a label to adapt on"):
        adapt_potential(potential(), frames, labels(frames, missing=[0, 1]), SETTINGS)


@pytest.mark.parametrize("n", [3, 20, 90])
def test_neighbour_pairs_against_brute_force(n):
    positions = np.random.default_rng(n).normal(scale=4.0, size=(n, 3))
    i, j = pairs(positions, 5.0)
    expected = [
        (a, b) for a in range(n) for b in range(n) if a != b and np.linalg.norm(positions[a] - positions[b]) < 5.0
    ]
    assert list(zip(i.tolist(), j.tolist())) == expected
