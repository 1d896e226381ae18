"""Eigenvalues of many matrices at once: those of LAPACK, the same to the last bit in any company."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mlipshift.shift import eigenvalues as module
from mlipshift.shift.eigenvalues import LANES, LARGEST, eigenvalues

LIBRARY = Path(module.__file__).parents[2]


def solve(matrices, **options):
    """Ascending eigenvalues of each matrix."""
    triangles = np.concatenate([np.empty(0), *(m[np.tril_indices(len(m))] for m in matrices)])
    sizes = [len(m) for m in matrices]
    found = np.split(eigenvalues(triangles, sizes, **options), np.cumsum(sizes)[:-1]) if sizes else []
    return [np.sort(values) for values in found]


def check(matrices, **options):
    for matrix, values in zip(matrices, solve(matrices, **options), strict=True):
        tolerance = 1e-13 * max(1.0, np.abs(matrix).max(initial=0) * len(matrix))
        np.testing.assert_allclose(values, np.linalg.eigvalsh(matrix), rtol=0, atol=tolerance)


def random_matrix(n, seed=0):
    matrix = np.random.default_rng([n, seed]).normal(size=(n, n))
    return matrix + matrix.T


def laplacian(graph):
    degree = np.maximum(graph.sum(0), 1)
    return np.eye(len(graph)) - graph / np.sqrt(np.outer(degree, degree))


def graphs(n):
    """Complete, star, path, ring, empty, complete bipartite, random, and disjoint copies of some of them."""
    complete = 1.0 - np.eye(n)
    star = np.zeros((n, n))
    star[0, 1:] = star[1:, 0] = 1
    path = np.eye(n, k=1) + np.eye(n, k=-1)
    ring = path.copy()
    ring[0, -1] = ring[-1, 0] = 1
    half = np.arange(n) < n // 2
    bipartite = (half[:, None] ^ half).astype(float)
    upper = np.triu(np.random.default_rng(n).random((n, n)) < 0.3, 1)
    single = [complete, star, path, ring, np.zeros((n, n)), bipartite, (upper | upper.T).astype(float)]
    return single + [np.kron(np.eye(3), graph) for graph in single[1:4]]


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7, 12, 33, 64, 87, 150])
def test_eigenvalues_of_random_matrices(n):
    check([random_matrix(n, seed) for seed in range(LANES + 3)])


@pytest.mark.parametrize("n", [3, 4, 11, 30, 64])
def test_eigenvalues_of_laplacians(n):
    check([laplacian(graph) for graph in graphs(n)])


def test_matrices_that_are_diagonal_tridiagonal_zero_or_fall_apart():
    rng = np.random.default_rng(5)
    for n in (2, 5, 40):
        d, e = rng.normal(size=n), rng.normal(size=n - 1)
        tridiagonal = np.diag(d) + np.diag(e, 1) + np.diag(e, -1)
        gap = tridiagonal.copy()
        gap[n // 2, n // 2 - 1] = gap[n // 2 - 1, n // 2] = 0
        repeated = np.diag(np.round(d))
        turn = np.linalg.qr(rng.normal(size=(n, n)))[0]
        many = [np.diag(d), tridiagonal, gap, repeated, turn @ repeated @ turn.T, np.zeros((n, n)), np.eye(n)]
        graded = tridiagonal * np.outer(10.0 ** -np.arange(n), 10.0 ** -np.arange(n))
        check([*many, graded, graded[::-1, ::-1], np.full((n, n), 7.0), 1e-40 * random_matrix(n)])


def test_a_shift_that_is_an_eigenvalue():
    """Sweeps with zeros where they divide: the shift of the first sweep is exact."""
    check([np.array([[0.0, 1.0], [1.0, 0.0]]), np.kron(np.eye(4), np.array([[1.0, -1.0], [-1.0, 1.0]]))])
    signs = np.array([[0.0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]])
    check([signs, 1 - signs, signs[:3, :3]])


def test_a_matrix_has_the_same_eigenvalues_in_any_company():
    """To the last bit: alone, in another lane, and beside larger, smaller and harder ones."""
    ours = [random_matrix(n, 1) for n in (2, 9, 30, 31, 87)] + [laplacian(g) for g in graphs(12)]
    alone = [solve([matrix])[0] for matrix in ours]
    others = [random_matrix(n, 2) for n in range(1, 100, 7)] + [laplacian(g) for g in graphs(29)] + [np.zeros((60, 60))]
    rng = np.random.default_rng(0)
    for _ in range(5):
        everything = [*ours, *others]
        order = rng.permutation(len(everything))
        found = dict(zip(order.tolist(), solve([everything[k] for k in order])))
        for k, values in enumerate(alone):
            assert found[k].tobytes() == values.tobytes()


def test_not_a_number_stays_in_its_lane():
    ours = [random_matrix(20, seed) for seed in range(LANES - 1)]
    alone = solve(ours)
    for values, own in zip(solve([np.full((20, 20), np.nan), *ours])[1:], alone):
        assert values.tobytes() == own.tobytes()


def test_lapack_takes_what_does_not_converge_and_what_is_large():
    many = [random_matrix(n) for n in (3, 20, 50)] + [np.diag([1.0, 2.0])]
    for sweeps in (0, 1):  # in the middle of the iteration
        check(many, sweeps=sweeps)
    assert all(a.tobytes() == np.linalg.eigvalsh(m).tobytes() for a, m in zip(solve(many, sweeps=0)[:3], many))
    check([random_matrix(LARGEST), random_matrix(LARGEST + 1), random_matrix(4)])


def test_nothing_and_matrices_without_rows():
    assert len(eigenvalues([], [])) == 0
    assert [len(values) for values in solve([np.empty((0, 0)), random_matrix(3), np.empty((0, 0))])] == [0, 3, 0]


@pytest.mark.slow
def test_processes_that_compile_at_once_share_one_cache_and_none_is_needed(tmp_path):
    """Same bits from two that start together on an empty cache, from one that finds it, and from one without any."""
    code = "from mlipshift.shift.eigenvalues import eigenvalues; print(eigenvalues([0.1, 0.2, 0.3], [2]).tobytes())"

    def start(**settings):
        environment = os.environ | {"PYTHONPATH": str(LIBRARY), **settings}
        command = [sys.executable, "-c", code]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    shared = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    together = [process.communicate() for process in [start(**shared) for _ in range(2)]]
    later = start(**shared).communicate()
    # no other place than NUMBA_CACHE_DIR is tried, and that is not given
    without = start(NUMBA_CACHE_LOCATOR_CLASSES="UserProvidedCacheLocator", NUMBA_CACHE_DIR="").communicate()
    assert len({output for output, _ in [*together, later, without]}) == 1 and together[0][0].startswith("b'")
    assert not any(errors for _, errors in [*together, later, without])
