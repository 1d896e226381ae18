"""Spectra of the graph Laplacian: bounds, agreement with PyTorch Geometric, definitions of the open cases."""

import numpy as np
import pytest
from scipy.sparse.csgraph import connected_components
from scipy.stats import wasserstein_distance

from mlipshift.base.errors import UserError
from mlipshift.base.geometry import pairs
from mlipshift.shift import spectra, wasserstein

RADII = np.linspace(1.5, 9.0, 8)


def cloud(atoms, scale, seed=0):
    return np.random.default_rng(seed).normal(size=(atoms, 3)) * scale


def adjacency(positions, radii):
    """Boolean adjacency [k, n, n] of the radius graphs of one structure, by its definition."""
    apart = np.linalg.norm(positions[:, None] - positions, axis=-1)
    np.fill_diagonal(apart, np.inf)
    return apart < np.reshape(radii, (-1, 1, 1))


CLOUDS = [cloud(n, scale, n) for n in (1, 2, 3, 9, 25) for scale in (0.5, 2.0, 6.0)]


@pytest.mark.parametrize("variant", spectra.VARIANTS)
@pytest.mark.parametrize("positions", CLOUDS, ids=lambda p: f"{len(p)} atoms")
def test_eigenvalues_are_sorted_and_between_0_and_2(positions, variant):
    for values in spectra.spectra(positions, RADII, variant):
        assert (np.diff(values) >= 0).all()
        assert values.min(initial=0) >= 0 and values.max(initial=2) <= 2


def pyg_spectrum(positions, radius, cap=None):
    """Spectrum of one radius graph as the released code computes it; every atom hears its `cap` nearest neighbours."""
    torch = pytest.importorskip("torch")
    utils = pytest.importorskip("torch_geometric.utils")
    distance = np.linalg.norm(positions[:, None] - positions[None], axis=-1)
    edges = [
        (source, centre)
        for centre in range(len(positions))
        for source in [k for k in distance[centre].argsort() if k != centre and distance[centre, k] < radius][:cap]
    ]
    edges = utils.add_remaining_self_loops(torch.as_tensor(edges, dtype=torch.long).reshape(-1, 2).T)[0]
    if edges.numel() == 0:
        return np.empty(0)
    edges, weights = utils.get_laplacian(edges, normalization="sym", dtype=torch.float64)
    return np.sort(np.linalg.eigvals(utils.to_scipy_sparse_matrix(edges, weights).toarray()).real)


@pytest.mark.parametrize(
    "positions",
    [
        cloud(14, 1.5),
        np.concatenate([cloud(3, 1.0), [[50.0, 0, 0]], cloud(6, 1.0, 1)]),  # one isolated atom in the middle
        np.concatenate([cloud(8, 1.0), [[50.0, 0, 0], [90.0, 0, 0]]]),  # two isolated atoms at the end
        np.concatenate([[[50.0, 0, 0]], cloud(8, 1.0), [[90.0, 0, 0]]]),  # one at either end
        np.array([[0.0, 0, 0], [50.0, 0, 0]]),  # no edge at all
    ],
    ids=["connected", "isolated inside", "isolated at the end", "isolated at both ends", "no edge"],
)
def test_published_variant_is_that_of_pytorch_geometric(positions):
    for radius, values in zip(RADII, spectra.spectra(positions, RADII, "published")):
        expected = pyg_spectrum(positions, radius)
        assert len(values) == len(expected)
        np.testing.assert_allclose(values, expected, atol=1e-6)


@pytest.mark.parametrize("far", [False, True], ids=["dense", "with an isolated atom at the end"])
def test_published_variant_keeps_50_neighbours_per_atom(far):
    """In a dense structure the graph is directed then; robust keeps all edges."""
    positions = np.concatenate([cloud(70, 1.5), [[90.0, 0, 0]]]) if far else cloud(70, 1.5)
    graph = adjacency(positions, [5.0])[0]
    assert graph.sum(0).max() > spectra.CAP > graph.sum(0).min()
    capped = spectra.spectra(positions, [5.0], "published")[0]
    np.testing.assert_allclose(capped, pyg_spectrum(positions, 5.0, cap=50), atol=1e-6)
    free = spectra.spectra(positions, [5.0], "published", cap=None)[0]
    np.testing.assert_allclose(free, pyg_spectrum(positions, 5.0), atol=1e-6)
    assert len(capped) == len(free) == 70 and np.abs(capped - free).max() > 1e-3
    robust = spectra.spectra(positions, [5.0], "robust")[0]
    np.testing.assert_allclose(robust, np.sort([0.0, *free]) if far else free, atol=1e-9)


def test_the_cap_leaves_an_atom_with_50_neighbours_alone():
    positions = cloud(51, 0.3)
    np.testing.assert_allclose(spectra.spectra(positions, [9.0], "published")[0], [0.0, *[51 / 50] * 50], atol=1e-9)


def test_self_loops_have_no_effect():
    """The spectrum of a graph with self loops, taken by its definition, is another one."""
    positions = cloud(9, 1.0)
    graph = adjacency(positions, [2.5])[0]
    looped = graph + np.eye(9)
    looped = np.linalg.eigvalsh(np.eye(9) - looped / np.sqrt(np.outer(looped.sum(0), looped.sum(0))))
    found = spectra.spectra(positions, [2.5], "published")[0]
    assert graph.any(0).all() and np.abs(found - looped).max() > 0.05
    np.testing.assert_allclose(found, pyg_spectrum(positions, 2.5), atol=1e-6)


def plain(graph):
    """Eigenvalues of the robust Laplacian of a connected graph, without any shortcut."""
    degree = graph.sum(0)
    return np.linalg.eigvalsh(np.eye(len(graph)) - graph / np.sqrt(np.outer(degree, degree)))


@pytest.mark.parametrize("atoms", [2, 7, 12, 33, 63, 64, 65, 87, 130])
def test_merging_twins_gives_the_eigenvalues_of_the_whole_matrix(atoms):
    """From sparse to nearly complete, and atoms that lie almost on top of each other."""
    positions = np.repeat(cloud(-(-atoms // 2), 2.0, atoms), 2, axis=0)[:atoms] + cloud(atoms, 0.01)
    radii = np.linspace(3, 12, 10)
    graphs = adjacency(positions, radii)
    assert len(np.unique(graphs[0] | np.eye(atoms, dtype=bool), axis=0)) < atoms
    checked = 0
    for graph, values in zip(graphs, spectra.spectra(positions, radii, "robust"), strict=True):
        if connected_components(graph)[0] == 1:
            np.testing.assert_allclose(values, plain(graph), atol=1e-9)
            checked += 1
    assert checked >= 3


@pytest.mark.parametrize("atoms", [1, 2, 12, 65, 130])
def test_self_loops_as_written_are_those_of_the_whole_matrix(atoms):
    """With isolated atoms, twins, and more neighbours than the cap."""
    positions = np.repeat(cloud(-(-atoms // 2), 2.0, atoms), 2, axis=0)[:atoms] + cloud(atoms, 0.01)
    radii = [0.001, 2.0, 4.0, 12.0]
    graphs = adjacency(positions, radii) | np.eye(atoms, dtype=bool)
    for graph, values in zip(graphs, spectra.spectra(positions, radii, "written", cap=None), strict=True):
        np.testing.assert_allclose(values, plain(graph.astype(float)).clip(0, 2), atol=1e-9)
    capped = spectra.spectra(positions, radii, "written")
    assert [len(values) for values in capped] == [atoms] * len(radii)


@pytest.mark.parametrize("variant", spectra.VARIANTS)
def test_many_structures_at_once_have_the_spectra_of_each(variant):
    """Of several sizes in any order, some of them twice and with isolated atoms."""
    many = [*CLOUDS, *(cloud(9, 1.5, seed) for seed in range(40)), CLOUDS[7], np.r_[CLOUDS[9], [[99.0, 0, 0]]]]
    found = spectra.spectra_of_many(many, RADII, variant)
    assert len(found) == len(many)
    for positions, values in zip(many, found):
        for own, one in zip(spectra.spectra(positions, RADII, variant), values, strict=True):
            np.testing.assert_allclose(one, own, atol=1e-12)
    assert spectra.spectra_of_many([], RADII, variant) == []


def test_a_spectrum_can_be_changed_without_changing_another():
    values = spectra.spectra(cloud(5, 0.1), [8.0, 9.0])
    values[0][:] = 7.0
    assert values[1].max() <= 2


def test_isolated_atoms_count_as_1_published_and_as_0_else():
    positions = np.concatenate([[[50.0, 0, 0]], cloud(6, 0.5), [[90.0, 0, 0]]])
    published, robust, written = (spectra.spectra(positions, [5.0], v)[0] for v in spectra.VARIANTS)
    assert len(published) == 7 and len(robust) == len(written) == 8
    assert (written < 1e-9).sum() == 3
    assert (np.abs(published - 1) < 1e-9).sum() == 1
    assert (robust < 1e-9).sum() == 3
    connected = spectra.spectra(positions[1:7], [5.0])[0]
    np.testing.assert_allclose(np.sort([*connected, 1.0]), published, atol=1e-9)
    np.testing.assert_allclose(np.sort([*connected, 0.0, 0.0]), robust, atol=1e-9)


@pytest.mark.parametrize("positions", CLOUDS, ids=lambda p: f"{len(p)} atoms")
def test_robust_zero_eigenvalues_count_the_connected_components(positions):
    for graph, values in zip(adjacency(positions, RADII), spectra.spectra(positions, RADII, "robust"), strict=True):
        assert len(values) == len(positions)
        assert (values < 1e-8).sum() == connected_components(graph)[0]


def test_complete_graph_has_one_zero_and_n_over_n_minus_1():
    for n in (2, 5, 12):
        values = spectra.spectra(cloud(n, 0.1), [9.0])[0]
        np.testing.assert_allclose(values, [0.0, *[n / (n - 1)] * (n - 1)], atol=1e-12)


def test_spectra_do_not_depend_on_the_order_of_radii_or_on_other_radii():
    positions = cloud(20, 2.0)
    together = spectra.spectra(positions, RADII[::-1])
    for radius, values in zip(RADII[::-1], together):
        np.testing.assert_allclose(values, spectra.spectra(positions, [radius])[0], atol=1e-12)


def test_spectra_are_invariant_under_permutation_translation_and_rotation():
    positions = cloud(17, 2.0)
    turn = np.linalg.qr(cloud(3, 1.0, 5))[0]
    moved = positions[np.random.default_rng(3).permutation(17)] @ turn + 7.0
    for variant in spectra.VARIANTS:
        both = zip(spectra.spectra(positions, [6.0, 9.0], variant), spectra.spectra(moved, [6.0, 9.0], variant))
        for first, second in both:
            np.testing.assert_allclose(first, second, atol=1e-9)


def test_an_atom_at_the_cutoff_is_not_a_neighbour_whatever_rounding_says():
    positions = np.array([[0.0, 0, 0], [3.0, 0, 0]])
    at, above = spectra.spectra(positions, [3.0 + 5e-7, 3.0 + 2e-6], "robust")
    assert at.tolist() == [0, 0] and above == pytest.approx([0, 2])
    # a third of the pairs of a turned lattice come out closer than its constant
    lattice = 3.0 * np.stack(np.meshgrid(*3 * [np.arange(5.0)]), axis=-1).reshape(-1, 3)
    turn, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))
    assert (np.linalg.norm(lattice @ turn - (lattice @ turn)[0], axis=1) < 3.0).sum() > 1
    for variant in spectra.VARIANTS:
        for cutoff, neighbours in ((3.0, 0), (np.sqrt(18), 3)):
            first, second = (spectra.spectra(p, [cutoff], variant)[0] for p in (lattice, lattice @ turn))
            np.testing.assert_allclose(first, second, atol=1e-9)
            assert (pairs(lattice @ turn, cutoff)[0] == 0).sum() == neighbours


def test_unknown_variant_is_a_user_error():
    with pytest.raises(UserError, match="robust"):
        spectra.spectra(cloud(3, 1.0), [5.0], "other")


def test_window_is_open_at_both_ends():
    values = np.array([0.0, 0.85, 0.95, 1.0, 1.05, 1.15])
    found = spectra.window_fraction([values, np.array([0.5, 1.5]), np.empty(0), np.array([1.0])])
    assert found.tolist() == [pytest.approx(0.5), 0, 0, 1]
    eleven = [spectra.spectra(cloud(11, 0.1, seed), [9.0])[0] + shift for seed, shift in enumerate((-1e-14, 0, 1e-14))]
    assert (spectra.window_fraction(eleven) == 0).all()


def test_mean_spectrum_pads_with_zeros_at_the_end():
    np.testing.assert_allclose(
        spectra.mean_spectrum([np.array([0.0, 2.0]), np.array([0.0, 1.0, 1.4])]), [0.0, 1.5, 0.7]
    )


@pytest.mark.parametrize(("short", "long"), [(3, 6), (6, 3), (4, 4), (0, 3)])
def test_padded_distance_is_the_squared_distance_of_the_padded_spectra(short, long):
    rng = np.random.default_rng(1)
    values, reference = np.sort(rng.uniform(0, 2, short)), np.sort(rng.uniform(0, 2, long))
    expected = 0.0
    for k in range(max(short, long)):
        a = values[k] if k < short else 0.0
        b = reference[k] if k < long else 0.0
        expected += (a - b) ** 2
    assert spectra.padded_distance([values], reference) == pytest.approx([expected], rel=1e-12)
    assert spectra.padded_distance([reference], values) == pytest.approx([expected], rel=1e-12)
    assert spectra.padded_distance([values, reference], reference) == pytest.approx([expected, 0], rel=1e-12)


def test_zero_padding_tells_sizes_apart_and_the_wasserstein_distance_does_not():
    """Copies of a molecule far apart have its eigenvalues once more each."""
    one = cloud(8, 1.0)
    single, *copies = (
        spectra.spectra(np.concatenate([one + 99.0 * k for k in range(n)]), [3.0], "robust")[0] for n in (1, 2, 3, 7)
    )
    for n, several in zip((2, 3, 7), copies):
        np.testing.assert_allclose(several, np.repeat(single, n), atol=1e-9)
        assert spectra.padded_distance([several], single)[0] > 1
        assert wasserstein.distance(np.repeat(single, n), single) == 0
        assert wasserstein.distance(several, single) < 1e-12


def ascending(rng, most=60):
    return np.sort(rng.uniform(*np.sort(rng.uniform(0, 2, 2)), rng.integers(1, most)))


def test_the_wasserstein_distance_is_that_of_scipy():
    rng = np.random.default_rng(4)
    for _ in range(1000):
        first, second = ascending(rng), ascending(rng)
        found = wasserstein.distance(first, second)
        assert found == pytest.approx(wasserstein_distance(first, second), abs=1e-13)
        assert found == wasserstein.distance(second, first)
    assert wasserstein.distance(first, first + 0.25) == pytest.approx(0.25)
    assert wasserstein.distance(np.empty(0), np.array([0.0, 1.0])) == 0.5, "no eigenvalue is an isolated atom"


def test_the_nearest_spectrum_is_the_nearest_of_all_but_itself():
    rng = np.random.default_rng(5)
    known, other = ([ascending(rng, 25) for _ in range(n)] for n in (60, 80))
    known[7] = np.repeat(known[3], 2)
    pairs = lambda many: np.array([[wasserstein_distance(a, b) for b in known] for a in many])
    found = wasserstein.Known.of(known)
    np.testing.assert_allclose(found.nearest(other, np.full(80, -1)), pairs(other).min(1), atol=1e-13)
    apart = pairs(known) + np.diag(np.full(60, np.inf))
    np.testing.assert_allclose(found.nearest(known, np.arange(60)), apart.min(1), atol=1e-13)
    assert found.nearest(known, np.arange(60))[[3, 7]].tolist() == [0, 0]
    assert np.isnan(wasserstein.Known.of(known[:1]).nearest(known[:1], np.zeros(1))).all()


def test_the_average_spectrum_is_the_mean_of_the_quantile_functions():
    rng = np.random.default_rng(6)
    many = [ascending(rng, 12) for _ in range(40)] + [np.empty(0)]
    mean = wasserstein.Mean()
    for block in (many[:1], many[1:30], many[30:]):
        mean.add(block)
    fine = np.lcm.reduce(range(1, 12))  # on this grid every quantile function is exact
    grid = np.array([np.repeat(v, fine // len(v)) if len(v) else np.zeros(fine) for v in many])
    expected = np.abs(grid - grid.mean(0)).mean(1)
    np.testing.assert_allclose(mean.centre().distance(many), expected, atol=1e-12)
    same = wasserstein.Mean()
    same.add([many[0], np.repeat(many[0], 3)])
    np.testing.assert_allclose(same.centre().distance([np.repeat(many[0], 2)]), 0, atol=1e-12)
