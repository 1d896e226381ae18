"""What every backbone has to keep, as plain functions of a small model, so that they run in any environment.

`python contracts.py KIND` runs all of them and prints {name: "" or what failed} as JSON; test_backbones.py uses that
for backbones whose package the environment of the tests does not have.
"""

import copy
import json
import sys
import tempfile
import traceback
from dataclasses import replace

import numpy as np
import torch
from ase import Atoms, units
from ase.calculators.fd import calculate_numerical_forces
from ase.md.verlet import VelocityVerlet
from scipy.spatial.transform import Rotation

from mlipshift.base.frames import Frames, Labels
from mlipshift.catalogue.adaptation import Settings
from mlipshift.catalogue.strategies import HEADS, LEVELS
from mlipshift.learn import batches, datasets, device, networks, training
from mlipshift.learn.calculator import Calculator
from mlipshift.learn.potential import Potential
from mlipshift.mitigate import adaptation
from mlipshift.mitigate.units import Unit
from mlipshift.shift import graphs

CUTOFF = 4.0
GEMNET = {"backbone": "gemnet", "atom_features": 12, "edge_features": 12, "triplet_features": 6, "blocks": 3}
GEMNET |= {"radial_embedding": 4, "circular_embedding": 4, "cutoff": CUTOFF}
PAINN = {"features": 12, "blocks": 2, "radial": 6, "cutoff": CUTOFF}
KINDS = {
    "painn": PAINN,
    "painn_gradient": PAINN | {"forces": "gradient"},
    "gemnet": GEMNET,
    "gemnet_gradient": GEMNET | {"forces": "gradient"},
    "mace": {"backbone": "mace", "hidden_irreps": "8x0e + 8x1o", "cutoff": CUTOFF, "elements": ["H", "C", "O"]},
}
# double precision; the coupling coefficients of e3nn are single
TOLERANCE = {"painn": 1e-10, "painn_gradient": 1e-9, "gemnet": 1e-10, "gemnet_gradient": 1e-9, "mace": 1e-6}
SETTINGS = Settings(steps=3, learning_rate=1e-3, batch=4)
FIT = {"steps": 40, "batch": 4, "learning_rate": 3e-3, "weight_decay": 1e-4, "energy_weight": 0.1, "average": 0.9}


def molecule(n, seed):
    """Atoms on a jittered line of 1.3 Å spacing: some pairs are beyond the cutoff."""
    rng = np.random.default_rng(seed)
    x = 1.3 * np.arange(n)[:, None] * [1.0, 0.3, 0.0] + rng.normal(scale=0.3, size=(n, 3))
    return rng.choice([1, 6, 8], n), x


def unit(n, seed, geometries=1):
    rng = np.random.default_rng(seed)
    structures = [molecule(n, seed + k) for k in range(geometries)]
    forces = [rng.normal(size=(n, 3)) for _ in structures]
    return Unit(structures, [f - f.mean(0) for f in forces], structures, rng.normal(size=geometries))


def small(kind):
    """Small model in double precision with calibrated scaling."""
    torch.manual_seed(0)
    model = networks.build(KINDS[kind]).double().eval()
    rows = [graphs.build(*molecule(n, n), CUTOFF) for n in (3, 5, 7)]
    model.calibrate(batches.collate([rows], torch.float64))
    return model


def springs(count=24):
    """(Frames, Labels) of harmonic springs between all pairs: smooth labels that a network can learn."""
    rng = np.random.default_rng(0)
    rows, results = [], []
    for k in range(count):
        numbers, x = molecule(int(rng.integers(2, 5)), k)
        d = x[:, None] - x[None]
        results.append((0.1 * (d**2).sum() - 10.0 * (numbers == 8).sum(), -0.4 * d.sum(1)))
        rows.append({"id": str(k), "group": "train", "molecule": str(k), "numbers": numbers, "positions": x})
        rows[-1] |= {"charge": 0, "multiplicity": 1}
    frames = Frames.build(rows)
    return frames, Labels.build(frames, results, "springs")


def state(model):
    return {k: v.clone() for k, v in model.state_dict().items()}


def same(kind, found, expected):
    """Two lists of (energy, forces) agree."""
    for (e, f), (e0, f0) in zip(found, expected, strict=True):
        np.testing.assert_allclose(e, e0, atol=TOLERANCE[kind])
        np.testing.assert_allclose(f, f0, atol=TOLERANCE[kind])


def rotation_translation_and_permutation(kind):
    model, (numbers, positions) = small(kind), molecule(7, 1)
    order = np.random.default_rng(0).permutation(7)
    for head in HEADS:
        ((energy, forces),) = networks.predict(model, [(numbers, positions)], head=head)
        assert np.abs(forces).max() > 1e-3
        for matrix in (Rotation.random(random_state=3).as_matrix(), -np.eye(3)):
            moved = positions @ matrix.T + [1.0, -2.0, 3.0]
            same(kind, networks.predict(model, [(numbers, moved)], head=head), [(energy, forces @ matrix.T)])
        same(kind, networks.predict(model, [(numbers[order], positions[order])], head=head), [(energy, forces[order])])


def no_net_force(kind):
    ((_, forces),) = networks.predict(small(kind), [molecule(7, 5)])
    np.testing.assert_allclose(forces.sum(0), 0.0, atol=TOLERANCE[kind])


def forces_are_minus_the_gradient(kind):
    model, (numbers, positions) = small(kind), molecule(4, 2)
    ((_, forces),) = networks.predict(model, [(numbers, positions)])
    step, moved = 1e-4, []
    for k in range(positions.size):
        for sign in (1, -1):
            moved.append(positions.copy())
            moved[-1].flat[k] += sign * step
    energy = np.array([e for e, _ in networks.predict(model, [(numbers, x) for x in moved])])
    slope = (energy[0::2] - energy[1::2]) / (2 * step)
    consistent = np.allclose(-slope.reshape(forces.shape), forces, atol=1e-5)
    assert consistent == (model.architecture.forces == "gradient"), np.abs(slope.reshape(forces.shape) + forces).max()


def other_structures_and_padding_do_not_matter(kind):
    model, structures = small(kind), [molecule(n, n) for n in (1, 2, 8, 4)]
    together = networks.predict(model, structures)
    same(kind, together, [networks.predict(model, [s])[0] for s in structures])
    batch = batches.collate([[graphs.build(*s, CUTOFF)] for s in structures], torch.float64)
    with torch.no_grad():
        energy, forces = model(batch, ("reference",))["reference"]
    rows = [(energy[k].item(), forces[k, : len(s[0])].numpy()) for k, s in enumerate(structures)]
    same(kind, rows, together)


def energy_and_forces_are_smooth_at_the_cutoff(kind):
    model = small(kind)
    pair = np.array([[0.0, 0, 0], [1.1, 0.2, 0]])

    def at(distance):
        x = np.vstack([pair, [-distance, 0, 0]])
        return networks.predict(model, [(np.array([6, 8, 1]), x)])[0]

    apart, outside, inside, near = at(50.0), at(CUTOFF + 1e-9), at(CUTOFF - 1e-3), at(1.5)
    same(kind, [outside], [apart])
    for a, b, c in zip(inside, apart, near):
        assert np.abs(a - b).max() < 1e-4 < 1e-3 < np.abs(c - b).max()


def a_longer_list_changes_nothing_unless_the_envelope_is_rescaled(kind):
    model, structure = small(kind), molecule(7, 8)
    ((_, own),) = networks.predict(model, [structure])
    same(kind, networks.predict(model, [structure], [2 * CUTOFF]), networks.predict(model, [structure]))
    same(
        kind,
        networks.predict(model, [structure], [CUTOFF], envelope="rescaled"),
        networks.predict(model, [structure]),
    )
    for cutoff, envelope in ((0.6 * CUTOFF, "trained"), (0.6 * CUTOFF, "rescaled"), (1.2 * CUTOFF, "rescaled")):
        ((_, found),) = networks.predict(model, [structure], [cutoff], envelope=envelope)
        assert np.abs(found - own).max() > 1e-4, (cutoff, envelope)


def levels_are_nested_and_the_heads_are_apart(kind):
    model = small(kind)
    low, middle, high = (set(model.representation(level)) for level in LEVELS)
    assert low and low <= middle <= high
    assert high == {n for n, _ in model.named_parameters() if not n.startswith("heads.")}
    assert model.counts()["min"] < model.counts()["max"]
    # the representation is shared by the heads, and no head uses the parameters of the other
    batch = batches.collate([[graphs.build(*molecule(6, 3), CUTOFF)]], torch.float64)
    for head, other in zip(HEADS, HEADS[::-1]):
        energy, forces = model(batch, (head,))[head]
        (energy.sum() + forces.square().sum()).backward()
        touched = {n for n, p in model.named_parameters() if p.grad is not None}
        # e3nn keeps weights of paths that a network does not have
        assert {n for n in high if n not in touched} == set() or kind == "mace"
        assert not any(n.startswith(f"heads.{other}.") for n in touched)
        model.zero_grad()


def zero_steps_are_the_base_model(kind):
    model, units = small(kind), [unit(3, 0), unit(6, 1)]
    steps, rows, _ = adaptation.adapt(model, units, replace(SETTINGS, steps=0))
    assert steps == [0]
    found = [(row[0][0][0], row[0][1][0]) for row in rows]
    same(kind, found, networks.predict(model, [u.predict[0] for u in units]))


def adaptation_leaves_the_model_and_units_do_not_see_each_other(kind):
    model = small(kind)
    before = state(model)
    units = [unit(3, 3), unit(6, 4, geometries=2), unit(2, 5)]
    for level in ("min", "max"):
        settings = replace(SETTINGS, level=level, energy_weight=0.1)
        _, together, losses = adaptation.adapt(model, units, settings)
        for k, u in enumerate(units):
            _, alone, loss = adaptation.adapt(model, [u], settings)
            np.testing.assert_allclose(losses[k], loss[0], atol=1e-8)
            for a, b in zip(together[k], alone[0]):
                np.testing.assert_allclose(a[1], b[1], atol=1e-7)
                assert np.abs(a[1][-1] - a[1][0]).max() > 1e-6
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def adaptation_is_a_plain_loop_with_the_heads_frozen(kind):
    """torch.optim.Adam by hand on the parameters of a level gives the same, and leaves the heads bit-identical."""
    model, u = small(kind), unit(5, 8)
    settings = replace(SETTINGS, level="min")
    _, rows, losses = adaptation.adapt(model, [u], replace(settings, steps=8))
    assert losses[0, -1] < losses[0, 0]
    _, rows, _ = adaptation.adapt(model, [u], settings)
    before, names = state(model), set(model.representation("min"))
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in names)
    optimiser = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=settings.learning_rate)
    data = datasets.Dataset([graphs.build(*u.adapt[0], CUTOFF)], u.forces, np.zeros(1))
    for _ in range(settings.steps):
        optimiser.zero_grad()
        batch, forces, _ = data.batch([0], torch.float64)
        training.force_loss(model(batch, ("prior",))["prior"][1], forces, batch).backward()
        optimiser.step()
    ((_, expected),) = networks.predict(model, u.predict)
    np.testing.assert_allclose(rows[0][0][1][-1], expected, atol=1e-7)
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed and changed <= names


def training_lowers_the_loss_and_every_strategy_runs(kind):
    data = springs()
    pretrained, history = training.train("pretrain", KINDS[kind], FIT, 0, prior=data)
    assert history[-1][1]["prior"] < 0.9 * history[0][1]["prior"], history
    short = FIT | {"steps": 3}
    frozen, _ = training.train("freeze", KINDS[kind], short, 0, data, data, copy.deepcopy(pretrained))
    before = state(pretrained)
    changed = {n for n, p in frozen.named_parameters() if not torch.equal(p, before[n])}
    assert changed and all(n.startswith("heads.reference.") for n in changed)
    joint, _ = training.train("joint", KINDS[kind], short, 0, data, data, copy.deepcopy(pretrained))
    changed = {n for n, p in joint.named_parameters() if not torch.equal(p, before[n])}
    for prefix in ("heads.reference.", "heads.prior."):
        assert any(n.startswith(prefix) for n in changed)
    assert changed & set(joint.representation("min"))


def a_saved_model_is_the_same(kind):
    model = small(kind).float()
    with tempfile.TemporaryDirectory() as folder:
        Potential(model, {"strategy": "joint", "seed": 0}).save(folder)
        potential = Potential.load(folder)
    loaded, card = potential.network, potential.card
    assert card["backbone"] == model.name and card["forces"] == model.architecture.forces
    assert card["parameters_of"]["max"] + 2 * card["parameters_of"]["head"] == card["parameters"]
    structures = [molecule(5, 1), molecule(3, 2)]
    for (e, f), (e0, f0) in zip(networks.predict(loaded, structures), networks.predict(model, structures)):
        assert e == e0 and np.array_equal(f, f0)
    batch = batches.collate([[graphs.build(*structures[0], CUTOFF)]])
    assert loaded.features(batch).shape[:2] == (1, 5)


def the_calculator_is_the_network(kind):
    """ASE's own finite differences find its forces where they are a gradient, and dynamics then conserve the energy."""
    network = small(kind)
    numbers, positions = molecule(5, 2)
    ((energy, forces),) = networks.predict(network, [(numbers, positions)])
    atoms = Atoms(numbers, positions, calculator=Calculator(Potential(network, {"strategy": "joint", "seed": 0})))
    same(kind, [(atoms.get_potential_energy(), atoms.get_forces())], [(energy, forces)])
    matrix = Rotation.random(random_state=5).as_matrix()
    turned = Atoms(numbers, positions @ matrix.T + 3.0, calculator=atoms.calc)
    same(kind, [(turned.get_potential_energy(), turned.get_forces())], [(energy, forces @ matrix.T)])
    gradient = network.architecture.forces == "gradient"
    if gradient:
        np.testing.assert_allclose(calculate_numerical_forces(atoms, eps=1e-4), forces, atol=1e-5)
    dynamics = VelocityVerlet(atoms, 0.1 * units.fs)
    dynamics.run(20)
    assert np.abs(atoms.positions - positions).max() > 1e-6 and np.isfinite(atoms.get_forces()).all()
    if gradient:
        assert abs(atoms.get_total_energy() - energy) < 1e-4


CONTRACTS = {
    contract.__name__: contract
    for contract in (
        rotation_translation_and_permutation,
        no_net_force,
        forces_are_minus_the_gradient,
        other_structures_and_padding_do_not_matter,
        energy_and_forces_are_smooth_at_the_cutoff,
        a_longer_list_changes_nothing_unless_the_envelope_is_rescaled,
        levels_are_nested_and_the_heads_are_apart,
        zero_steps_are_the_base_model,
        adaptation_leaves_the_model_and_units_do_not_see_each_other,
        adaptation_is_a_plain_loop_with_the_heads_frozen,
        training_lowers_the_loss_and_every_strategy_runs,
        a_saved_model_is_the_same,
        the_calculator_is_the_network,
    )
}


if __name__ == "__main__":
    device.configure()
    results = {}
    for name, contract in CONTRACTS.items():
        try:
            contract(sys.argv[1])
            results[name] = ""
        except Exception:
            results[name] = traceback.format_exc()
    print(json.dumps(results))
