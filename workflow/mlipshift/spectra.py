"""Spectra of the normalised graph Laplacian L = I - D^-1/2 A D^-1/2 of radius graphs, eigenvalues in [0, 2].

The paper leaves several cases open. Two variants define them, `published` as the released code has it:

case                     published                                       robust
self loops               added, but without effect: PyG's get_laplacian  none
                         removes them
isolated atom            contributes 1, as if it were well connected     contributes 0, as every connected
                                                                         component does
isolated last atoms      vanish from the spectrum                        count as any other
more than CAP            the nearest CAP send an edge; the graph is      all count
neighbours               directed and eigenvalues lose their imaginary
                         part
other number of atoms    zeros are appended to the ascending spectrum    Wasserstein distance, see `wasserstein`
                         (`padded_distance`), in both variants
larger than training     the released code crashes; here the average     Wasserstein distance
                         spectrum is padded too

With more than CAP neighbours, the released code keeps those that its neighbour search happens to meet first, which
differs between versions and devices of that library; the nearest ones are the defined choice here.
"""

from collections import defaultdict
from functools import lru_cache

import numpy as np

from mlipshift.errors import UserError

VARIANTS = ("published", "robust")
CAP = 50  # neighbours per atom in the released code
WINDOW = 0.1  # half width of the interval [0.9, 1.1], strict inequality as in the released code
ROUNDING = 1e-9  # eigenvalues this close to an end of the interval lie on it
POINTS = 64  # quantiles that stand for a spectrum
CELLS = 2**19  # entries of the adjacency matrices that are in memory at a time


def squared_distances(positions):
    """Squared distances [..., n, n] (Å²) of positions [..., n, 3], infinite on the diagonal."""
    positions = np.asarray(positions, dtype=float)
    d2 = 0.0
    for component in range(3):  # one after the other is faster than a sum over the last axis
        x = positions[..., component]
        d = x[..., :, None] - x[..., None, :]
        d2 = d2 + d * d
    n = positions.shape[-2]
    d2.reshape(*d2.shape[:-2], n * n)[..., :: n + 1] = np.inf
    return d2


def adjacency(positions, cutoffs):
    """Boolean adjacency [k, n, n] of the radius graphs of one structure for k cutoffs (Å), no self loops."""
    return squared_distances(positions) < np.square(cutoffs, dtype=float)[:, None, None]


def spectra(positions, cutoffs, variant="published", cap=CAP):
    """Ascending spectra of one structure at k cutoffs (Å): list of k arrays; see `spectra_of_many`."""
    return spectra_of_many([positions], cutoffs, variant, cap)[0]


def spectra_of_many(structures, cutoffs, variant="published", cap=CAP):
    """Ascending spectra of S structures, positions [n, 3] each, at k cutoffs (Å): S lists of k arrays.

    Each array has n eigenvalues, fewer in the published variant when the last atoms are isolated.
    cap: neighbours per atom in the published variant, None for no limit. Raises UserError for an unknown variant.

    Exact, and faster than one diagonalisation per graph: equal graphs share one, of several radii and of several
    structures, and atoms that have the same neighbours and each other are merged, see `_undirected`.
    """
    if variant not in VARIANTS:
        raise UserError(f"spectrum variant {variant!r} is unknown; use one of {', '.join(VARIANTS)}")
    cutoffs = np.asarray(cutoffs, dtype=float)
    of_size = defaultdict(list)
    for k, positions in enumerate(structures):
        of_size[len(positions)].append(k)
    found = [None] * len(structures)
    for n, members in of_size.items():
        step = max(1, CELLS // (n * n * len(cutoffs)))
        for start in range(0, len(members), step):
            block = members[start : start + step]
            positions = np.array([structures[k] for k in block])
            for k, values in zip(block, _equal_sizes(positions, cutoffs, variant, cap)):
                found[k] = values
    return found


def _equal_sizes(positions, cutoffs, variant, cap):
    """Yield the list of k spectra of every structure of positions [S, n, 3]."""
    d2 = squared_distances(positions)
    n = d2.shape[-1]
    graphs = (d2[:, None] < np.square(cutoffs)[:, None, None]).reshape(-1, n, n)
    rows = _packed(graphs)
    directed = ()
    if variant == "published" and cap is not None and n - 1 > cap:
        directed = np.flatnonzero(np.bitwise_count(rows).sum(-1, dtype=np.intp).max(1) > cap)
        for k in directed:
            graphs[k] = _nearest_only(graphs[k], d2[k // len(cutoffs)], cap)
        rows[directed] = _packed(graphs[directed])
    keys = [row.tobytes() for row in rows]
    place = {key: k for k, key in enumerate(keys)}  # equal graphs are one entry
    spectrum_of = {keys[k]: _directed(graphs[k]) for k in directed}
    plain = [k for key, k in place.items() if key not in spectrum_of]
    if plain:
        spectrum_of |= zip((keys[k] for k in plain), _undirected(graphs[plain], rows[plain], variant))
    if variant == "published":
        for key, k in place.items():
            if not (graphs[k, -1].any() or graphs[k, :, -1].any()):
                spectrum_of[key] = _drop_trailing(spectrum_of[key], graphs[k])
    for start in range(0, len(keys), len(cutoffs)):
        yield [spectrum_of[key].copy() for key in keys[start : start + len(cutoffs)]]


def _packed(graphs):
    """Rows [G, n, n] of boolean matrices as bits in words [G, n, ceil(n / 64)]."""
    n = graphs.shape[-1]
    if not n % 64:
        return np.packbits(graphs, axis=-1).view(np.uint64)
    rows = np.zeros((len(graphs), n, -(-n // 64) * 8), dtype=np.uint8)
    rows[..., : -(-n // 8)] = np.packbits(graphs, axis=-1)
    return rows.view(np.uint64)


def _nearest_only(graph, d2, cap):
    """Adjacency [n, n], source by centre, in which every centre keeps its `cap` nearest neighbours; ties by index."""
    rank = np.argsort(np.argsort(np.where(graph, d2, np.inf), axis=0, kind="stable"), axis=0)
    return graph & (rank < cap)


def _directed(graph):
    """Real parts of the eigenvalues [n], ascending, of a directed graph [n, n], degrees by source as in PyG."""
    degree = graph.sum(-1)
    scale = np.where(degree > 0, 1 / np.sqrt(np.maximum(degree, 1)), 0.0)
    laplacian = np.eye(len(graph)) - scale[:, None] * graph * scale
    return np.sort(np.linalg.eigvals(laplacian).real).clip(0.0, 2.0)


def _undirected(graphs, rows, variant):
    """Eigenvalues [G, n], ascending, of undirected graphs [G, n, n]; rows: the same, packed.

    Atoms with the same closed neighbourhood (twins: neighbours of each other and of the same others) are merged.
    A class of m twins of degree d has m - 1 eigenvectors that vanish elsewhere and sum to zero, with the eigenvalue
    1 + 1/d. All others are constant on every class, and their eigenvalues are those of a matrix with one row per
    class: 1 - (m - 1)/d on the diagonal and -sqrt(m m' / (d d')) between neighbouring classes. The larger the radius,
    the more twins; a complete graph is a single class.
    """
    count, n = graphs.shape[:2]
    order, first = _twins(rows)
    degree = np.bitwise_count(rows).sum(-1, dtype=np.intp)[np.arange(count)[:, None], order]
    values = 1.0 + 1.0 / np.maximum(degree, 1)
    # one entry per class, graph after graph
    starts = np.flatnonzero(first)
    members = np.diff(starts, append=count * n)
    atoms, degree = order.reshape(-1)[starts], degree.reshape(-1)[starts]
    scale = np.sqrt(members / np.maximum(degree, 1))
    diagonal = 1.0 - (members - 1.0) / np.maximum(degree, 1)
    if variant == "robust":
        diagonal[degree == 0] = 0.0
    classes = first.sum(1)
    begin = np.cumsum(classes) - classes
    solved = diagonal.copy()
    for size in set(classes.tolist()) - {1}:
        which = np.flatnonzero(classes == size)
        mine = begin[which, None] + np.arange(size)
        here, factor = atoms[mine], scale[mine]
        adjacent = graphs.reshape(-1).take(((which[:, None] * n + here) * n)[:, :, None] + here[:, None, :])
        laplacian = adjacent * -factor[:, :, None]
        laplacian *= factor[:, None, :]
        laplacian.reshape(len(which), -1)[:, :: size + 1] = diagonal[mine]
        solved[mine] = np.linalg.eigvalsh(laplacian)
    values.reshape(-1)[starts] = solved
    values.sort(axis=1)
    return values.clip(0.0, 2.0)


@lru_cache(maxsize=256)
def _identity(n):
    return _packed(np.eye(n, dtype=bool)[None])


def _twins(rows):
    """(order, first), both [G, n], of packed graphs: atoms with twins side by side, and where a new class begins."""
    closed = rows | _identity(rows.shape[1])
    # a sum of the words of a row brings twins together; others that share it are told apart by the comparison
    mixed = closed[..., 0]
    for k in range(1, closed.shape[-1]):
        mixed = mixed * np.uint64(0x9E3779B97F4A7C15) + closed[..., k]
    order = mixed.argsort(axis=1)
    ranked = closed[np.arange(len(rows))[:, None], order]
    first = np.ones(order.shape, dtype=bool)
    first[:, 1:] = (ranked[:, 1:] != ranked[:, :-1]).any(-1)
    return order, first


def _drop_trailing(values, graph):
    """Remove one eigenvalue 1 per isolated atom behind the last connected one."""
    connected = np.flatnonzero(graph.any(-1) | graph.any(-2))
    missing = len(graph) - (connected[-1] + 1 if len(connected) else 0)
    drop = np.argsort(np.abs(values - 1.0), kind="stable")[:missing]
    return np.delete(values, drop)


def padded(many, length=0):
    """(table [S, L], sizes [S]) of S spectra, zeros at the end; L is the longest of them or `length` if larger."""
    sizes = np.array([len(v) for v in many], dtype=np.intp)
    table = np.zeros((len(many), max(length, sizes.max(initial=0))))
    table[np.arange(table.shape[1]) < sizes[:, None]] = np.concatenate([np.empty(0), *many])
    return table, sizes


def window_fraction(many):
    """Fraction [S] of eigenvalues in (0.9, 1.1), the paper's first measure; 0 for an empty spectrum.

    A complete graph of 11 atoms has the eigenvalue 1.1 ten times, which rounding would put on either side.
    """
    table, sizes = padded(many)
    return (np.abs(table - 1.0) < WINDOW - ROUNDING).sum(1) / np.maximum(sizes, 1)


def mean_spectrum(many):
    """Average of zero-padded ascending spectra, the reference of the published distance."""
    return padded(many)[0].mean(0)


def padded_distance(many, reference):
    """Published distance [S]: squared Euclidean distance of the zero-padded ascending spectra to `reference`.

    Where the released code crashes (test spectrum longer than the reference) the reference is padded.
    """
    table, _ = padded(many, len(reference))
    return np.square(table - np.pad(reference, (0, table.shape[1] - len(reference)))).sum(1)


def quantiles(many, points=POINTS):
    """Quantile functions [S, points] of spectra at the midpoints of `points` equal parts, linear in between.

    A description whose length does not depend on the number of atoms; zero for an empty spectrum.
    """
    table, sizes = padded(many, 1)
    place = (np.arange(points) + 0.5) / points * np.maximum(sizes - 1, 0)[:, None]
    below = place.astype(np.intp)
    low = np.take_along_axis(table, below, 1)
    high = np.take_along_axis(table, np.minimum(below + 1, np.maximum(sizes - 1, 0)[:, None]), 1)
    return low + (high - low) * (place - below)


def wasserstein(first, second):
    """1-Wasserstein distance of two spectra given by their quantiles [..., points].

    The least mean shift of eigenvalues that turns one distribution into the other. It compares distributions, not
    eigenvalue by eigenvalue, so that structures of different size can be compared: many copies of one molecule, far
    apart, have the distance 0 from it. It is a metric in the unit of the eigenvalues, needs neither bins nor a
    bandwidth, and grows with how far eigenvalues are shifted, which the overlap of two histograms does not.
    """
    return np.abs(first - second).mean(-1)
