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

import math

import numpy as np

from mlipshift.base.errors import UserError
from mlipshift.shift.eigenvalues import compiled, eigenvalues

VARIANTS = ("published", "robust")
CAP = 50  # neighbours per atom in the released code
WINDOW = 0.1  # half width of the interval [0.9, 1.1], strict inequality as in the released code
ROUNDING = 1e-9  # eigenvalues this close to an end of the interval lie on it
POINTS = 64  # quantiles that stand for a spectrum
ENTRIES = 2**21  # entries of the matrices that are in memory at a time


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

    Exact, and faster than one diagonalisation per graph: atoms that have the same neighbours and each other are merged,
    see `_laplacians`, equal graphs of a structure share one matrix, and many matrices are diagonalised at once.
    """
    if variant not in VARIANTS:
        raise UserError(f"spectrum variant {variant!r} is unknown; use one of {', '.join(VARIANTS)}")
    cutoffs = np.asarray(cutoffs, dtype=float)
    structures = [np.asarray(positions, dtype=float).reshape(-1, 3) for positions in structures]
    published = variant == "published"
    if cap is None or not published:
        cap = max(map(len, structures), default=0)
    found = []
    for block in _blocks([len(positions) for positions in structures], len(cutoffs)):
        found += _spectra_of_graphs(structures, cutoffs, block, published, cap)
    return [found[k * len(cutoffs) : (k + 1) * len(cutoffs)] for k in range(len(structures))]


def _blocks(sizes, radii):
    """Yield lists of graphs (structure, radius), numbers of both, whose matrices are in memory at a time."""
    block, entries = [], 0
    for structure, n in enumerate(sizes):
        for radius in range(radii):
            entries += n * n
            if block and entries > ENTRIES:
                yield block
                block, entries = [], n * n
            block.append((structure, radius))
    if block:
        yield block


def _spectra_of_graphs(structures, cutoffs, graphs, published, cap):
    """List of the spectra of graphs (structure, radius), structure after structure."""
    structure, radius = np.array(graphs, dtype=np.intp).T
    members = structures[structure[0] : structure[-1] + 1]
    sizes = np.array([len(positions) for positions in members], dtype=np.intp)
    atoms = np.ascontiguousarray(np.concatenate(members).T)
    begin, size = (a[structure - structure[0]] for a in (np.cumsum(sizes) - sizes, sizes))
    squared = np.square(cutoffs)[radius]
    values, count, earlier, directed, rows, triangles = _laplacians(atoms, begin, size, squared, published, cap)
    solved = eigenvalues(triangles, rows)
    found, place, done = [], 0, 0
    for k, (n, length, same, merged) in enumerate(zip(*(a.tolist() for a in (size, count, earlier, rows)))):
        own = values[place : place + length]
        place += n
        if same < k:
            own[:] = found[same]
        elif directed[k]:
            own[:] = _directed(structures[structure[k]], cutoffs[radius[k]], cap)
        else:
            own[:merged] = solved[done : done + merged]
            done += merged
            own.sort()
            np.clip(own, 0.0, 2.0, out=own)
        found.append(own)
    return found


def _directed(positions, cutoff, cap):
    """Real parts of the eigenvalues, ascending, of the graph in which every atom hears its `cap` nearest neighbours.

    Ties are resolved by index. Rows of the matrices are sources, and degrees are those of sources, as in PyG. Isolated
    atoms behind the last connected one have no eigenvalue.
    """
    d2 = squared_distances(positions)
    graph = d2 < cutoff**2
    rank = np.argsort(np.argsort(np.where(graph, d2, np.inf), axis=0, kind="stable"), axis=0)
    length = np.flatnonzero(graph.any(0))[-1] + 1
    graph = (graph & (rank < cap))[:length, :length]
    degree = graph.sum(-1)
    scale = np.where(degree > 0, 1 / np.sqrt(np.maximum(degree, 1)), 0.0)
    laplacian = np.eye(length) - scale[:, None] * graph * scale
    return np.sort(np.linalg.eigvals(laplacian).real).clip(0.0, 2.0)


@compiled
def _laplacians(atoms, begin, size, squared, published, cap):
    """Matrices that have the eigenvalues of G undirected graphs, with twins merged.

    Twins are atoms with the same closed neighbourhood: neighbours of each other and of the same others. A class of m
    twins of degree d has m - 1 eigenvectors that vanish elsewhere and sum to zero, with the eigenvalue 1 + 1/d. All
    others are constant on every class, and their eigenvalues are those of a matrix with one row per class:
    1 - (m - 1)/d on the diagonal and -sqrt(m m' / (d d')) between neighbouring classes. The larger the radius, the more
    twins; a complete graph is a single class.

    atoms [3, N] positions (Å) of all; begin, size [G] the atoms of each graph, graphs of one structure side by side;
    squared [G] cutoffs squared (Å²); published: whether an isolated atom has the eigenvalue 1, and none behind the last
    connected atom.
    Returns values (flat), where each graph has room for `size` eigenvalues, those of the matrix first, and those that
    need no diagonalisation are set; and for each graph [G] the number of eigenvalues; the first graph of the structure
    that is equal, which may be itself; whether an atom has more than `cap` neighbours; the rows of the matrix, 0 where
    none is needed; and the lower triangles of the matrices, flat.
    """
    graphs = len(begin)
    room = entries = most = 0
    for n in size:
        room, entries, most = room + n, entries + n * (n + 1) // 2, max(most, n)
    values, triangles = np.empty(room), np.empty(entries)
    integers, directed = np.zeros((4, graphs), np.intp), np.zeros(graphs, np.bool_)
    count, earlier, rows, edges = integers[0], integers[1], integers[2], integers[3]
    closed = np.empty((most, (most + 63) // 64), np.uint64)
    per_atom, scale = np.empty((3, most), np.intp), np.empty(most)
    degree, representative, members = per_atom[0], per_atom[1], per_atom[2]
    place = used = 0
    for g in range(graphs):
        n, first, here = size[g], begin[g], place
        place += n
        # closed neighbourhoods as bits
        words = (n + 63) // 64
        for i in range(n):
            degree[i] = 0
            x, y, z = atoms[0, first + i], atoms[1, first + i], atoms[2, first + i]
            for word in range(words):
                bits, near = np.uint64(0), 0
                for j in range(64 * word, min(n, 64 * word + 64)):
                    dx, dy, dz = x - atoms[0, first + j], y - atoms[1, first + j], z - atoms[2, first + j]
                    neighbour = (dx * dx + dy * dy + dz * dz < squared[g]) & (i != j)
                    bits |= np.uint64(neighbour) << np.uint64(j & 63)
                    near += neighbour
                closed[i, word] = bits
                degree[i] += near
            closed[i, i >> 6] |= np.uint64(1) << np.uint64(i & 63)
            edges[g] += degree[i]
            if degree[i] > 0 or not published:
                count[g] = i + 1
            directed[g] |= degree[i] > cap
        # of two graphs of a structure one contains the other
        earlier[g] = g
        other = g - 1
        while other >= 0 and begin[other] == first and size[other] == n:
            if edges[other] == edges[g]:
                earlier[g] = earlier[other]
                break
            other -= 1
        if earlier[g] < g or directed[g]:
            continue
        # classes of twins
        classes = 0
        for i in range(count[g]):
            c = 0
            while c < classes:
                word = 0
                while word < words and closed[i, word] == closed[representative[c], word]:
                    word += 1
                if word == words:
                    break
                c += 1
            if c == classes:
                representative[c], members[c] = i, 0
                classes += 1
            members[c] += 1
        # the matrix, and the eigenvalues that it lacks
        slot = here + classes
        for c in range(classes):
            a, d, m = representative[c], degree[representative[c]], members[c]
            for _ in range(m - 1):
                values[slot] = 1.0 + 1.0 / d
                slot += 1
            scale[c] = math.sqrt(m / max(d, 1))
            for other in range(c):
                b = representative[other]
                near = (closed[a, b >> 6] >> np.uint64(b & 63)) & np.uint64(1)
                triangles[used + other] = -scale[c] * scale[other] if near else 0.0
            triangles[used + c] = 0.0 if d == 0 and not published else 1.0 - (m - 1.0) / max(d, 1)
            used += c + 1
        if classes == 1:
            used -= 1
            values[here] = triangles[used]
        else:
            rows[g] = classes
    return values, count, earlier, directed, rows, triangles[:used]


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
