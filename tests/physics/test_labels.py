"""Prior and reference labels: finite differences, symmetry, refusals, and the shipped data."""

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import yaml
from ase.data import covalent_radii
from ase.io import read
from scipy.spatial.transform import Rotation

from mlipshift.base.tables import read_table
from mlipshift.catalogue.components import TIGHT_BINDING
from mlipshift.labelling import reference, stability
from mlipshift.prior.labels import label

ROOT = Path(__file__).parents[2]
WATER = np.array([8, 1, 1]), np.array([[0.0, 0.02, 0.1], [0.0, 0.78, -0.49], [0.03, -0.74, -0.45]])
TRAINING = read(ROOT / "resources/benchmark/train.extxyz", index=":")
MOLECULE = next(atoms for atoms in TRAINING if atoms.info["molecule"] == "acetylene")
LEVEL = yaml.safe_load((ROOT / "config/config.yaml").read_text())["labelling"]["level"]


@pytest.fixture(scope="module")
def pool():
    """A process of their own for xTB and PySCF, whose OpenMP runtime must not meet that of torch."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as executor:
        yield executor
    os.environ.pop("OMP_NUM_THREADS")
    if before is not None:
        os.environ["OMP_NUM_THREADS"] = before


@pytest.fixture(scope="module")
def prior(pool):
    return lambda *structure: pool.submit(label, *structure).result()


@pytest.fixture(scope="module")
def dft(pool):
    return lambda *structure: pool.submit(reference.label, *structure, LEVEL).result()


def finite_difference(energy, positions, atom, axis, step):
    moved = [positions.copy() for _ in range(2)]
    moved[0][atom, axis] += step
    moved[1][atom, axis] -= step
    return (energy(moved[1]) - energy(moved[0])) / (2 * step)


@pytest.mark.parametrize("method", TIGHT_BINDING)
def test_prior_forces_are_the_gradient_of_the_prior_energy(prior, method):
    numbers, positions = MOLECULE.numbers, MOLECULE.positions
    _, forces = prior(numbers, positions, 0, 1, method)
    for atom, axis in ((0, 0), (1, 2), (2, 1)):
        found = finite_difference(lambda x: prior(numbers, x, 0, 1, method)[0], positions, atom, axis, 1e-3)
        assert found == pytest.approx(forces[atom, axis], abs=1e-4)


def test_prior_labels_turn_with_the_molecule(prior):
    numbers, positions = MOLECULE.numbers, MOLECULE.positions
    matrix = Rotation.random(random_state=1).as_matrix()
    energy, forces = prior(numbers, positions, 0, 1)
    turned_energy, turned = prior(numbers, positions @ matrix.T + 2.0, 0, 1)
    assert turned_energy == pytest.approx(energy, abs=1e-6)
    np.testing.assert_allclose(turned, forces @ matrix.T, atol=1e-5)
    np.testing.assert_allclose(forces.sum(0), 0.0, atol=1e-6)


def test_charge_and_spin_reach_the_prior(prior):
    numbers, positions = np.array([8, 1]), np.array([[0.0, 0, 0], [0, 0, 0.98]])
    neutral, anion = prior(numbers, positions, 0, 2)[0], prior(numbers, positions, -1, 1)[0]
    assert anion != pytest.approx(neutral, abs=0.5)


def test_a_structure_too_large_for_tight_binding_is_not_tried(prior):
    """Nobody waits for hours, and the weakest prior, whose memory grows with the bonds, still labels it."""
    lattice = 4.0 * np.stack(np.meshgrid(*[np.arange(15)] * 3), -1).reshape(-1, 3)
    with pytest.raises(ValueError, match="has 3375 atoms; GFN2-xTB is for up to 2000, Morse for any number"):
        prior(np.full(3375, 2), lattice, 0, 1)
    assert np.abs(prior(np.full(3375, 2), lattice, 0, 1, "Morse")[1]).max() < 1e-6


@pytest.mark.parametrize(
    ("numbers", "positions", "charge", "multiplicity", "reason"),
    [
        (WATER[0], np.full((3, 3), np.nan), 0, 1, "not finite"),
        (WATER[0], WATER[1] * [1, 0.01, 0.01], 0, 1, "apart"),
        (np.array([92, 1, 1]), WATER[1], 0, 1, "outside"),
        (WATER[0], WATER[1], 0, 2, "do not fit"),
        (WATER[0], WATER[1], 1, 1, "do not fit"),
    ],
)
def test_prior_refuses_what_it_cannot_label(prior, numbers, positions, charge, multiplicity, reason):
    with pytest.raises(ValueError, match=reason):
        prior(numbers, positions, charge, multiplicity)


def test_reference_forces_are_converged_and_the_gradient_of_the_energy(pool):
    """As the shipped labels are checked; the grid moves with the atoms, which the analytical gradient leaves out."""
    arguments = (*WATER, 0, 1, LEVEL, [(0, 2), (1, 1)])
    found = pool.submit(reference.quality, *arguments).result()
    assert 0 < found["finite_differences_meV_per_A"] < 5
    assert 0 < found["net_force_meV_per_A"] < 1e3 * reference.MAX_NET_FORCE
    assert 0 < found["finer_grid_meV_per_A"] < 5
    assert found["tighter_convergence_meV_per_A"] < 0.1


def broken_symmetry():
    """State and checks of hydrogen at 2 Å, where the unrestricted determinant is the lower one."""
    structure = np.array([1, 1]), np.array([[0.0, 0, 0], [0, 0, 2.0]]), 0, 1
    field, state = stability.stable(*structure, LEVEL)
    return state, reference.quality(*structure, LEVEL, [(0, 2)], field), reference.quality(*structure, LEVEL, [(0, 2)])


def test_checks_are_of_the_determinant_that_was_followed(pool):
    state, followed, restricted = pool.submit(broken_symmetry).result()
    assert (state["kohn_sham"], state["stability"]) == ("unrestricted", "followed") and state["s2"] > 0.5
    assert followed["finite_differences_meV_per_A"] < 5 and followed["tighter_convergence_meV_per_A"] < 0.5
    assert followed != restricted


def test_shipped_labels_passed_their_checks():
    checks = read_table(ROOT / "resources/benchmark/quality.csv")
    assert len(checks) >= 5 and checks.id.is_unique
    assert checks.finite_differences_meV_per_A.max() < 5
    assert checks.net_force_meV_per_A.max() < 1e3 * reference.MAX_NET_FORCE
    assert checks.finer_grid_meV_per_A.max() < 5
    assert checks.tighter_convergence_meV_per_A.max() < 0.5


def test_open_shells_are_unrestricted(dft):
    numbers, positions = np.array([8, 1]), np.array([[0.0, 0, 0], [0, 0, 0.98]])
    energy, _ = dft(numbers, positions, 0, 2)
    closed, _ = dft(numbers, positions, -1, 1)
    assert abs(energy - closed) < 5.0 and energy != pytest.approx(closed, abs=1e-3)


@pytest.mark.parametrize(("group", "index"), [("train", 2), ("ood_new_elements", 0)])
def test_shipped_labels_are_what_the_rule_computes(dft, group, index):
    atoms = read(ROOT / f"resources/benchmark/{group}.extxyz", index=index)
    energy, forces = dft(atoms.numbers, atoms.positions, atoms.info["charge"], atoms.info["multiplicity"])
    assert energy == pytest.approx(atoms.info["REF_energy"], abs=1e-4)
    np.testing.assert_allclose(forces, atoms.arrays["REF_forces"], atol=1e-4)


def test_shipped_benchmark_is_as_its_data_sheet_says():
    groups = {p.stem: read(p, index=":") for p in (ROOT / "resources/benchmark").glob("*.extxyz")}
    frames = [f for g in groups.values() for f in g]
    assert len(frames) >= 1500 and len({f.info["molecule"] for f in frames}) >= 120
    assert len({f.info["id"] for f in frames}) == len(frames)
    molecules = {g: {f.info["molecule"] for f in v} for g, v in groups.items()}
    elements = {g: {z for f in v for z in f.numbers} for g, v in groups.items()}
    assert elements["train"] == elements["id_test"] == {1, 6, 7, 8}
    held_out = [g for g in groups if g.startswith("ood_")]
    for group in held_out:
        counts = [sum(f.info["molecule"] == m for f in groups[group]) for m in molecules[group]]
        assert min(counts) >= 2, f"{group}: a molecule to adapt on needs another geometry to test on"
        assert len(groups[group]) >= 60 and len(molecules[group]) >= 12
        if group != "ood_force_norm":
            assert not molecules[group] & molecules["train"]
        for other in groups:
            if other.startswith("val_"):
                assert not molecules[group] & molecules[other]
    assert molecules["ood_force_norm"] <= molecules["train"]
    assert elements["ood_new_elements"] - elements["train"] == {16, 17}
    assert not elements["ood_new_elements"] & (elements["val_new_elements"] - elements["train"])
    norm = lambda group: np.array([np.linalg.norm(f.arrays["REF_forces"], axis=1).mean() for f in groups[group]])
    assert np.median(norm("ood_force_norm")) > norm("train").mean() + norm("train").std()
    assert min(len(f) for f in groups["ood_larger"]) > max(len(f) for f in groups["train"])
    for f in frames:
        np.testing.assert_allclose(f.arrays["REF_forces"].sum(0), 0.0, atol=1e-6)
        if len(f) > 1:
            i, j = np.triu_indices(len(f), 1)
            apart = np.linalg.norm(f.positions[i] - f.positions[j], axis=1)
            assert (apart / (covalent_radii[f.numbers[i]] + covalent_radii[f.numbers[j]])).min() > 0.55
