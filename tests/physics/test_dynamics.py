"""Dynamics: integrators against what is known exactly, runs that are killed, fields against the models' predictions."""

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms, units
from ase.calculators.calculator import Calculator as AseCalculator
from ase.md.langevin import Langevin
from contracts import KINDS, molecule, small

from mlipshift.base.errors import UserError
from mlipshift.base.frames import Frames, Labels
from mlipshift.learn.potential import Potential
from mlipshift.mitigate.correction import correct
from mlipshift.simulate import fields, integrators, observables
from mlipshift.simulate.dynamics import Settings, simulate
from mlipshift.simulate.trajectories import Trajectory

STIFFNESS = 3.0  # eV/Å²
NUMBERS = np.array([6, 1, 8, 1])
AT_REST = np.array([[0.0, 0, 0], [1.1, 0, 0], [-0.6, 1.0, 0], [-0.4, -0.7, 0.8]])
SHORT = Settings(duration_ps=0.3, part=200, look=100)


class Springs(fields.Field):
    """Every pair of atoms at its difference vector at rest: harmonic in all 3n - 3 coordinates, whatever the
    rotation."""

    def __init__(self, stiffness=STIFFNESS):
        self.stiffness = stiffness

    def __call__(self, positions):
        d = positions - AT_REST
        d = d[:, :, None] - d[:, None]
        return 0.25 * self.stiffness * (d**2).sum((1, 2, 3)), -self.stiffness * d.sum(2)


class Killed(Exception):
    """In the place of a kill."""


class Deadly(Springs):
    """Springs that kill their job after some evaluations."""

    left = 10**9

    def __call__(self, positions):
        self.left -= 1
        if self.left < 0:
            raise Killed
        return super().__call__(positions)


def start(replicas=3, numbers=NUMBERS, positions=AT_REST):
    row = {
        "group": "ood_x",
        "molecule": "m",
        "numbers": numbers,
        "positions": positions,
        "charge": 0,
        "multiplicity": 1,
    }
    return Frames.build([row | {"id": str(k)} for k in range(replicas)])


def run(folder, field=None, settings=SHORT, frames=None, bonds=None):
    field, frames = field or Springs(), frames or start()
    bonds = bonds or observables.Bonds(np.empty((0, 2), dtype=int), np.empty(0))
    return simulate(field, frames, bonds, settings, folder)[0]


def test_velocity_verlet_conserves_energy_and_momentum(tmp_path):
    """The error of the energy is of second order in the time step, and nothing drifts."""
    errors = []
    for h in (0.5, 0.25):
        settings = replace(SHORT, ensemble="nve", timestep_fs=h, duration_ps=1.0)
        found = run(tmp_path / str(h), settings=settings)
        errors.append(np.abs(found.total - found.total[0]).max())
        assert found.momentum.max() < 1e-12
        for r in range(found.replicas):
            assert abs(observables.drift(found.time_ps, found.total[:, r], len(NUMBERS))) < 2
    assert errors[0] < 5e-3 and 3 < errors[0] / errors[1] < 5
    np.testing.assert_allclose(found.temperature_K[0], found.kinetic[0] * 2 / 9 / units.kB)


def test_langevin_has_the_temperature_in_every_mode(tmp_path):
    """Equipartition: k T / 2 of kinetic and of potential energy in each of the 3n - 3 modes."""
    settings = replace(SHORT, duration_ps=4.0, friction_per_ps=20.0, timestep_fs=1.0, part=1000, look=1000)
    found = run(tmp_path, settings=settings, frames=start(60))
    settled = found.time_ps > 0.5
    half = 0.5 * units.kB * 500.0 * (3 * len(NUMBERS) - 3)
    for energies in (found.kinetic, found.energy):
        assert abs(energies[settled].mean() / half - 1) < 0.03
    # the fluctuation of the kinetic energy is canonical, too
    assert abs(found.kinetic[settled].var() / (half**2 * 2 / 9) - 1) < 0.1
    assert found.momentum.max() < 1e-12


class Free(AseCalculator):
    implemented_properties = ("energy", "forces")

    def calculate(self, *args, **kwargs):
        super().calculate(*args, **kwargs)
        self.results = {"energy": 0.0, "forces": np.zeros((len(self.atoms), 3))}


def test_the_published_friction_is_that_of_ase():
    """Without forces and noise velocities fade as ASE's do at friction 0.01 in its units."""
    start = integrators.thermal(NUMBERS, 300.0, 0, np.arange(1))
    atoms = Atoms(NUMBERS, AT_REST, calculator=Free())
    atoms.set_velocities(start[0] / units.fs)
    Langevin(atoms, 0.5 * units.fs, temperature_K=0.0, friction=0.01, fixcm=False).run(1000)
    settings = Settings()
    integrator = integrators.Integrator("nvt", 0.5, 0.0, settings.friction_per_ps)
    still = np.zeros_like(start)
    state = integrators.State(NUMBERS, AT_REST[None].copy(), start.copy(), still, np.zeros(1), np.ones(1, dtype=bool))
    for _ in range(1000):
        integrator.drift(state, still)
        integrator.kick(state)
    np.testing.assert_allclose(state.velocities, np.exp(-settings.friction_per_ps * 0.5) * start)
    np.testing.assert_allclose(atoms.get_velocities() * units.fs, state.velocities[0], rtol=1e-3)
    assert settings.friction_per_ps == pytest.approx(0.982, abs=1e-3)


def test_a_run_that_is_killed_goes_on_as_if_it_had_not_been(tmp_path):
    whole = run(tmp_path / "whole")
    for left in (250, 250):
        field = Deadly()
        field.left = left
        with pytest.raises(Killed):
            run(tmp_path / "killed", field)
    parts = sorted(p.name for p in (tmp_path / "killed").iterdir())
    assert parts == ["0.npz", "1.npz"]
    resumed = run(tmp_path / "killed")
    for path, found in (("a", whole), ("b", resumed)):
        found.save(tmp_path / path)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    loaded = Trajectory.load(tmp_path / "a")
    np.testing.assert_array_equal(loaded.positions, whole.positions)
    assert loaded.frames == 61 and loaded.time_ps[-1] == pytest.approx(0.3)
    # another seed is another trajectory, and takes nothing of what is there
    assert not np.allclose(run(tmp_path / "killed", settings=replace(SHORT, seed=1)).energy, whole.energy)


def test_a_replica_does_not_depend_on_the_others(tmp_path):
    together, alone = run(tmp_path / "3"), run(tmp_path / "1", frames=start(1))
    np.testing.assert_allclose(together.positions[:, :1], alone.positions, atol=1e-6)
    assert not np.allclose(together.positions[-1, 0], together.positions[-1, 1])


class Bursting(Springs):
    """Lets go of the molecule of one replica after some steps, or heats it."""

    def __init__(self, way):
        super().__init__()
        self.way, self.calls = way, 0

    def __call__(self, positions):
        self.calls += 1
        energy, forces = super().__call__(positions)
        if self.calls > 100 and len(positions) == 3:
            forces[1, 1] += {"bond": [6.0, 0, 0], "energy": [9000.0, 0, 0], "nan": [np.nan, 0, 0]}[self.way]
        return energy, forces


@pytest.mark.parametrize(("way", "event"), [("bond", "bond"), ("energy", "energy"), ("nan", "energy")])
def test_what_comes_apart_ends_and_the_others_go_on(tmp_path, way, event):
    bonds = observables.bonds_of(NUMBERS, AT_REST[None])
    found = run(tmp_path, Bursting(way), bonds=bonds)
    assert found.event.tolist() == ["none", event, "none"]
    assert 0.05 <= found.stable_ps(1) < 0.1 and found.stable_ps(0) == pytest.approx(0.3)
    last = found.ended[1]
    assert np.isnan(found.positions[last + 1 :, 1]).all() and np.isfinite(found.positions[:, [0, 2]]).all()
    if way == "bond":
        assert 1 in found.stretched[1] and np.isfinite(found.positions[last, 1]).all()
    assert (found.stretched[[0, 2]] == -1).all()


def test_a_run_ends_with_its_last_replica(tmp_path):
    bonds = observables.Bonds(np.array([[0, 1]]), np.array([5.0]))
    found = run(tmp_path, bonds=bonds)
    assert found.event.tolist() == ["bond"] * 3 and found.frames == 1 and found.stable_ps(0) == 0


def potential(kind="painn_gradient", strategy="joint"):
    return Potential(small(kind), {"strategy": strategy, "seed": 0})


def prior(numbers, positions, charge, multiplicity):
    assert charge == 0 and multiplicity == 1
    return float((positions**2).sum()), -2 * positions


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "mace"])
def test_a_field_is_the_model(kind):
    """The complete list of neighbours, which is made once, changes nothing; nor does how many replicas there are."""
    numbers, x = molecule(7, 1)
    positions = np.stack([x, 1.2 * x, 0.9 * x])
    found = potential(kind)
    field = fields.NetworkField(found, numbers, "float64")
    frames = Frames.concatenate([start(1, numbers, x) for x in positions])
    for chosen in ([0, 1, 2], [1], [2, 0]):
        energy, forces = field(positions[chosen])
        for k, row in zip(range(len(chosen)), found.predict(frames.take(chosen))):
            np.testing.assert_allclose(energy[k], row[0], atol=1e-9)
            np.testing.assert_allclose(forces[k], row[1], atol=1e-9)
    single = fields.NetworkField(found, numbers, "float32")
    assert 0 < np.abs(single(positions)[1] - field(positions)[1]).max() < 1e-3


def test_corrected_and_delta_fields_are_the_predictions_and_count_their_prior_calls():
    numbers, x = molecule(6, 2)
    positions = np.stack([x, 1.1 * x])
    frames = Frames.concatenate(
        [replace(start(1, numbers, y), ids=np.array([str(k)])) for k, y in enumerate(positions)]
    )
    labels = Labels.build(frames, [prior(numbers, y, 0, 1) for y in positions], "prior")
    corrected = correct(potential(), frames, labels, 0.7)
    source = lambda: fields.PriorField(prior, (numbers, 0, 1))
    field = fields.NetworkField(potential(), numbers, "float64", source(), 0.7)
    energy, forces = field(positions)
    np.testing.assert_allclose(energy, corrected.energy[-1], atol=1e-9)
    np.testing.assert_allclose(forces.reshape(-1, 3), corrected.forces[-1], atol=1e-9)
    assert field.prior_calls == 2
    delta = potential(strategy="delta")
    energy, forces = fields.NetworkField(delta, numbers, "float64", source())(positions)
    for k, row in enumerate(delta.predict(frames, labels)):
        np.testing.assert_allclose((energy[k], *forces[k].flat), (row[0], *row[1].flat), atol=1e-9)
    with pytest.raises(UserError, match="give a prior"):
        fields.NetworkField(delta, numbers)
    with pytest.raises(UserError, match="two heads"):
        fields.NetworkField(potential(strategy="supervised"), numbers, prior=source())


def test_a_prior_without_an_answer_ends_its_replica_alone(tmp_path):
    def failing(numbers, positions, charge, multiplicity):
        if np.ptp(positions) > 2.2:
            raise UserError("prior: no convergence")
        return 0.0, np.zeros(positions.shape)

    frames = Frames.concatenate([start(1), start(1, positions=1.5 * AT_REST)])
    found = run(tmp_path, fields.PriorField(failing, (NUMBERS, 0, 1)), replace(SHORT, duration_ps=0.01), frames)
    assert found.event.tolist() == ["none", "energy"]
    assert found.about["field"]["prior_calls"] == 1 + 1 + 20


@pytest.mark.parametrize("kind", ["painn", "painn_gradient"])
def test_gradient_forces_conserve_the_energy_and_direct_ones_do_not(tmp_path, kind):
    """Of a random network: half the time step, a quarter of the error; that of direct forces stays as it is."""
    numbers, x = molecule(5, 2)
    field, errors = fields.NetworkField(potential(kind), numbers, "float64"), []
    for h in (0.5, 0.25):
        settings = Settings(ensemble="nve", duration_ps=0.1, timestep_fs=h, part=400, look=400, temperature_K=300.0)
        found = run(tmp_path / str(h), field, settings, start(2, numbers, x))
        errors.append(max(observables.excursion(found.total[:, r], len(numbers)) for r in range(2)))
        assert found.momentum.max() < 1e-10
    assert (errors[0] / errors[1] > 3) == (kind == "painn_gradient"), errors


def test_settings_that_are_none_are_one_line():
    with pytest.raises(UserError, match="ensemble 'npt' is unknown"):
        Settings(ensemble="npt")
    with pytest.raises(UserError, match="timestep_fs is 0"):
        Settings(timestep_fs=0)
    with pytest.raises(UserError, match="multiple"):
        Settings(part=150)
    with pytest.raises(UserError, match="one molecule"):
        run(None, frames=Frames.concatenate([start(1), start(1, *molecule(3, 0))]))
