"""Energy surfaces and bonds: what is known of them exactly is found, and nothing is found where there is nothing."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones

from mlipshift.base.errors import UserError
from mlipshift.base.frames import Frames
from mlipshift.prior import engines
from mlipshift.prior.hessian import hessian, internal, rigid
from mlipshift.simulate import bond_tables, bonds, grids, minima, relaxation, roughness, smoothness, surfaces
from mlipshift.simulate.bonds import Limits
from mlipshift.simulate.surfaces import Answers

LIMITS = Limits(jump_eV=0.05, depth_eV=0.02, mismatch_eV_per_A=0.1, share=0.05)
WELL = ([12], 6)  # where a Morse bond has its minimum, and how many points off it is still taken for it
DEPTH, WIDTH, LENGTH = 4.5, 2.2, 1.1  # of a Morse bond: eV, 1/Å, Å


def forces_of(numbers, calculator):
    """Function of positions that gives forces."""

    def forces(positions):
        return Atoms(numbers, positions, calculator=calculator).get_forces()

    return forces


def energy_hessian(numbers, positions, calculator, step=1e-3):
    """Hessian by second differences of the energy alone, another way than that of the code."""
    energy = lambda x: Atoms(numbers, x.reshape(-1, 3), calculator=calculator).get_potential_energy()
    n, x = positions.size, positions.ravel()
    e = step * np.eye(n)
    found = np.empty((n, n))
    for i in range(n):
        for j in range(n):
            ends = [s * t * energy(x + s * e[i] + t * e[j]) for s in (1, -1) for t in (1, -1)]
            found[i, j] = sum(ends) / (4 * step**2)
    return found


def test_the_hessian_of_springs_is_that_of_their_constants():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(12, 12))
    constants, origin = a @ a.T, rng.normal(size=(4, 3))
    found = hessian(lambda x: -(constants @ (x - origin).ravel()).reshape(4, 3), origin)
    assert np.allclose(found, constants, atol=1e-9)


@pytest.mark.parametrize("kind", ["lj", "emt"])
def test_the_hessian_of_a_potential_is_that_of_its_energy(kind):
    numbers = [18] * 3 if kind == "lj" else [6, 1, 1, 1, 1]
    calculator = LennardJones(sigma=3.4, epsilon=0.01, rc=20.0) if kind == "lj" else EMT()
    positions = 3.8 * np.array([[0, 0, 0], [1, 0, 0], [0.4, 0.9, 0.1]]) if kind == "lj" else molecule("CH4").positions
    found = hessian(forces_of(numbers, calculator), positions)
    reference = energy_hessian(numbers, positions, calculator)
    assert np.abs(found - reference).max() < 5e-3 * np.abs(reference).max()


def test_a_pair_has_one_direction_and_its_curvature_is_analytic():
    epsilon, sigma = 0.01, 3.4
    r = 2 ** (1 / 6) * sigma
    positions = np.array([[0.0, 0, 0], [0, 0, r]])
    found = hessian(forces_of([18, 18], LennardJones(sigma=sigma, epsilon=epsilon, rc=50.0)), positions)
    values, directions = internal(found, positions)
    # V'' = 72 epsilon / r0², of which the direction of unit norm has twice the force constant
    assert len(values) == 1 and values[0] == pytest.approx(2 * 72 * epsilon / r**2, rel=1e-3)
    assert np.allclose(np.abs(directions[0]), [[0, 0, 0.5**0.5]] * 2, atol=1e-6)


def test_directions_neither_move_nor_turn_the_molecule():
    water = molecule("H2O")
    found = hessian(forces_of(water.numbers, EMT()), water.positions)
    values, directions = internal(found, water.positions)
    basis = rigid(water.positions)
    flat = directions.reshape(3, -1)
    assert len(basis) == 6 and len(values) == 3 and (np.diff(values) >= 0).all()
    assert np.allclose(flat @ basis.T, 0, atol=1e-8) and np.allclose(flat @ flat.T, np.eye(3), atol=1e-8)


def surface(function, points=21, reach=0.5):
    """Values of a function of u and v on a grid."""
    place = np.linspace(-reach, reach, points)
    return function(*np.meshgrid(place, place, indexing="ij"))


def test_polynomials_are_smooth_and_noise_is_as_rough_as_it_is():
    assert roughness.roughness(surface(lambda u, v: 3 * u**2 - u * v + v**3)) < 1e-12
    noise = 0.02 * np.random.default_rng(1).normal(size=(151, 151))
    assert roughness.roughness(noise) == pytest.approx(0.02 * np.sqrt(1 - roughness.CENTRE), rel=0.03)


def test_a_step_in_a_surface_is_a_jump_in_every_row():
    smooth, step = surface(lambda u, v: 2 * u**2 + v**2), surface(lambda u, v: 0.2 * (u > 0.11))
    forces = surface(lambda u, v: -4 * u), surface(lambda u, v: -2 * v)
    plain = roughness.describe(smooth, forces, 0.05, 0.02, 0.05)
    assert plain["minima"] == 1 and plain["jumps"] == 0 and plain["force_mismatch_eV_per_A"] < 1e-9
    torn = roughness.describe(smooth + step, forces, 0.05, 0.02, 0.05)
    assert torn["jumps"] == 21 and torn["largest_jump_meV"] == pytest.approx(200, abs=1)
    assert torn["roughness_meV"] > 15 and torn["force_mismatch_eV_per_A"] > 0.3


def test_minima_of_a_surface_count_by_their_depth_and_not_at_the_edge():
    wells = surface(lambda u, v: 40 * (u**2 - 0.06) ** 2 + v**2)
    assert smoothness.minima_of_surface(wells, 0.02) == [(5, 10), (15, 10)]
    assert len(smoothness.minima_of_surface(wells, 1.0)) == 1
    assert smoothness.minima_of_surface(surface(lambda u, v: -u), 0.02) == []


def morse(points=53, add=lambda x: (0.0, 0.0)):
    """(energy, force along the bond, step) of a Morse bond, with something added to both."""
    x = np.linspace(0.7, 2.0, points) * LENGTH
    decay = np.exp(-WIDTH * (x - LENGTH))
    energy, force = add(x)
    return DEPTH * (1 - decay) ** 2 + energy, -2 * DEPTH * WIDTH * (1 - decay) * decay + force, x[1] - x[0]


def bell(height, place, width):
    """Function of a length that gives a Gaussian and its force."""

    def added(x):
        value = height * np.exp(-(((x - place) / width) ** 2))
        return value, value * 2 * (x - place) / width**2

    return added


bump, hole = bell(0.3, 2.0, 0.1), bell(-9.0, 0.7, 0.25)


def test_a_morse_bond_is_sound():
    found = bonds.faults(*morse(), LIMITS, *WELL)
    assert found["sound"] and found["largest_jump_eV"] < 1e-3 and found["force_mismatch_eV_per_A"] < 1e-3


@pytest.mark.parametrize(
    ("add", "fault"),
    [
        (lambda x: (0.1 * (x > 1.6), 0.0), "jumps"),
        (bump, "false_minima"),
        (hole, "false_minima"),
        (lambda x: (0.0, 0.5), "wrong_forces"),
        (lambda x: (np.where(x > 2, np.nan, 0.0), 0.0), "missing"),
    ],
)
def test_each_fault_of_a_bond_is_found_and_no_other(add, fault):
    found = bonds.faults(*morse(add=add), LIMITS, *WELL)
    kinds = {name for name in bond_tables.FAULTS if found[name]}
    assert not found["sound"] and kinds == {fault}
    if fault == "jumps":
        assert found["jumps"] == 1 and found["largest_jump_eV"] == pytest.approx(0.1, abs=1e-3)


def test_a_minimum_that_the_prior_has_is_no_fault():
    assert bonds.faults(*morse(add=bump), LIMITS, [12, 48], 6)["sound"]


def test_the_barrier_is_the_climb_from_the_bond_to_the_false_minimum():
    energy = np.concatenate([np.linspace(1, 0, 13), np.linspace(0, 0.7, 20)[1:], np.linspace(0.7, -1, 21)[1:]])
    places = smoothness.minima(energy, 0.02)
    assert places == [12, len(energy) - 1] and bonds.barrier(energy, places, *WELL) == pytest.approx(0.7)
    assert bonds.barrier(energy, [len(energy) - 1], *WELL) == 0
    assert np.isnan(bonds.barrier(energy, [12], *WELL))


def test_forces_that_are_a_little_off_where_they_are_large_are_no_fault():
    energy, force, step = morse()
    assert bonds.faults(energy, 1.02 * force, step, LIMITS, *WELL)["sound"]
    assert bonds.faults(energy, 1.2 * force, step, LIMITS, *WELL)["wrong_forces"] > 20


def test_halves_of_a_molecule_move_rigidly_and_equal_bonds_are_taken_once():
    ethane = molecule("C2H6")
    graph = {(0, 1), *((c, h) for c, hs in ((0, (2, 3, 4)), (1, (5, 6, 7))) for h in hs)}
    steps = bonds.steps_between(graph, 8)
    share = bonds.sides((0, 1), steps)
    carbons = {0: -0.5, 1: 0.5}
    assert all(share[h] == carbons[c] for c, h in graph if c != h and h > 1)
    assert bonds.distinct(ethane.numbers, graph) == [(0, 1), (0, 2)]
    benzene = {(k, (k + 1) % 6) if k < 5 else (0, 5) for k in range(6)}
    assert sorted(bonds.sides((0, 1), bonds.steps_between(benzene, 6))) == [-0.5] * 3 + [0.5] * 3
    assert len(bonds.distinct(np.full(6, 6), benzene)) == 1


@pytest.fixture(scope="module")
def ethanol():
    """Its minimum by GFN2-xTB."""
    return relaxation.find("ethanol", "CCO", engines.engine("GFN2-xTB", "tblite", 0.1))


def test_a_minimum_is_one_and_survives_its_file(ethanol, tmp_path):
    assert ethanol.curvatures["soft"][0] > -0.003 and ethanol.curvatures["stiff"][0] > 50
    minima.save(tmp_path / "minima.extxyz", {"ethanol": ethanol})
    again = minima.load(tmp_path / "minima.extxyz")["ethanol"]
    assert again.smiles == "CCO" and np.allclose(again.positions, ethanol.positions, atol=1e-7)
    for pair in minima.PAIRS:
        assert np.allclose(again.directions[pair], ethanol.directions[pair], atol=1e-7)
        assert np.allclose((again.directions[pair] ** 2).sum(axis=(1, 2)), 1)


def test_what_is_no_closed_shell_is_refused():
    with pytest.raises(UserError, match="closed shell of at least 4 atoms"):
        relaxation.find("methyl", "[CH3]", engines.engine("GFN2-xTB"))
    with pytest.raises(UserError, match="closed shell"):
        relaxation.find("water", "O", engines.engine("GFN2-xTB"))


def harmonic(ethanol, frames, scale=1.0, break_at=None):
    """Answers of springs between all atoms and their places at the minimum."""
    energy, forces = [], []
    for k in range(len(frames)):
        move = frames[k][1] - ethanol.positions
        energy.append(0.5 * scale * (move**2).sum())
        forces.append(-scale * move)
    energy = np.array(energy)
    if break_at is not None:
        energy[break_at] = np.nan
    return Answers("joint" if break_at is None else "broken", 0, energy, forces)


def test_grids_are_found_again_in_frames_with_places_directions_and_forces(ethanol):
    reach = {"soft": 0.4, "stiff": 0.2}
    rows = grids.structures({"ethanol": ethanol}, 9, reach, {"ethanol/soft": {"points": 5, "reach_A": 0.4}})
    frames = Frames.build(rows)
    assert len(set(frames.ids)) == len(frames) == 13 + 2 * 81 + 25
    soft, stiff = grids.scans_of(frames)
    assert soft.places == pytest.approx(np.linspace(-0.4, 0.4, 9)) and stiff.step == pytest.approx(0.05)
    assert np.allclose(soft.directions, ethanol.directions["soft"])
    prior = harmonic(ethanol, frames)
    first, second = soft.along(prior.forces)
    assert np.allclose(first, -soft.places[:, None]) and np.allclose(second, -soft.places[None])


def test_tables_of_surfaces_say_what_is_known(ethanol):
    reach = {"soft": 0.4}
    rows = grids.structures({"ethanol": ethanol}, 9, reach, {"ethanol/soft": {"points": 5, "reach_A": 0.4}})
    frames = Frames.build(rows)
    prior = harmonic(ethanol, frames)
    every = [Answers("prior", None, prior.energy, prior.forces), harmonic(ethanol, frames, 2.0)]
    broken = int(grids.scans_of(frames)[0].rows[0, 0])
    every.append(harmonic(ethanol, frames, break_at=broken))
    coarse = grids.scans_of(frames, grids.REFERENCE)[0].rows.ravel()
    reference = {frames.ids[k]: prior.energy[k] + 7.0 for k in coarse}
    limits = {"depth_eV": 0.02, "jump_eV": 0.05}
    points, told = surfaces.tables(frames, every, reference, limits)
    assert {r["method"] for r in points} == {"prior", "joint", "broken", "reference"}
    assert [r["method"] for r in told] == ["prior", "joint", "broken"]
    of_prior, of_joint, of_broken = told
    assert of_prior["difference_to_reference_meV"] == pytest.approx(0, abs=1e-6)
    grid = surfaces.relative(grids.scans_of(frames)[0], prior)
    assert of_joint["difference_to_prior_meV"] == pytest.approx(1e3 * np.sqrt(np.mean(grid**2)))
    assert "1 of 81 points" in of_broken["reason"] and "jumps" not in of_broken


def test_chains_are_found_again_and_scored(ethanol):
    graph = {(0, 1), (1, 2), (0, 3), (0, 4), (0, 5), (1, 6), (1, 7), (2, 8)}
    ratios = np.linspace(0.7, 2.0, 53)
    frames = Frames.build(bonds.chains(ethanol, graph, ratios))
    chains = bond_tables.chains_of(frames)
    assert [c.bond for c in chains] == ["C1-C2", "C1-H4", "C2-O3", "C2-H7", "O3-H9"]
    lengths = [np.linalg.norm(np.subtract(*ethanol.positions[[0, 1]])), chains[0].lengths[0] / 0.7]
    assert lengths[0] == pytest.approx(lengths[1])
    springs = {"energy": [], "forces": []}
    for chain in chains:
        length = chain.lengths[0] / 0.7
        for own in chain.lengths:
            springs["energy"].append(5 * (own - length) ** 2)
            push = -10 * (own - length) * chain.direction / (chain.direction**2).sum()
            springs["forces"].append(push)
    energy = np.array(springs["energy"])
    every = [Answers("prior", None, energy, springs["forces"])]
    every += [Answers("joint", s, energy, [(1 + 0.3 * s) * f for f in springs["forces"]]) for s in (0, 1)]
    curves, judged = bond_tables.bond_rows(frames, every, 0.7, LIMITS)
    assert len(curves) == 3 * len(frames) and len(judged) == 3 * 5
    prior, joint, absent = bond_tables.score_rows(judged, {"aimnet2": "no environment"})
    assert prior["sound_percent"] == 100 and prior["n_seeds"] is None and prior["n_bonds"] == 5
    assert (joint["sound_percent"], joint["n_seeds"]) == (50, 2)
    assert (joint["sound_lowest_seed_percent"], joint["sound_highest_seed_percent"]) == (0, 100)
    assert joint["sound_energy_percent"] == 100 and joint["wrong_forces_percent"] == 50
    assert absent == {"method": "aimnet2", "reason": "no environment"}
