"""Normalised graph Laplacians: the spectrum of one graph by its adjacency, small matrices for those of many at once.

`spectrum_of` is the definition, for any multigraph. `merged` is for many undirected radius graphs and compiled by
numba: it finds the neighbours itself and merges atoms that no eigenvector tells apart.
"""

import math

import numpy as np

from mlipshift.shift.eigenvalues import compiled


def spectrum_of(adjacent: np.ndarray) -> np.ndarray:
    """Published spectrum, ascending, of a graph: adjacent [n, n], the number of edges from every atom to every other.

    Rows are sources, and degrees are those of sources, as in PyG; eigenvalues of a directed graph lose their imaginary
    part. Isolated atoms behind the last connected one have no eigenvalue. With ones on the diagonal it is the spectrum
    with self loops, where every atom has one.
    """
    connected = np.flatnonzero(adjacent.any(0) | adjacent.any(1))
    last = connected[-1] + 1 if len(connected) else 0
    adjacent = adjacent[:last, :last]
    degree = adjacent.sum(1)
    scale = np.where(degree > 0, 1 / np.sqrt(np.maximum(degree, 1)), 0.0)
    laplacian = np.eye(last) - scale[:, None] * adjacent * scale
    symmetric = np.array_equal(adjacent, adjacent.T)
    values = np.linalg.eigvalsh(laplacian) if symmetric else np.sort(np.linalg.eigvals(laplacian).real)
    return values.clip(0.0, 2.0)


@compiled
def _neighbourhoods(atoms, first, n, squared, closed, degree):
    """Set closed neighbourhoods [n, words], as bits, and degrees [n] of the n atoms from `first`; returns the edges."""
    words, edges = (n + 63) // 64, 0
    for i in range(n):
        degree[i] = 0
        x, y, z = atoms[0, first + i], atoms[1, first + i], atoms[2, first + i]
        for word in range(words):
            bits, near = np.uint64(0), 0
            for j in range(64 * word, min(n, 64 * word + 64)):
                dx, dy, dz = x - atoms[0, first + j], y - atoms[1, first + j], z - atoms[2, first + j]
                neighbour = (dx * dx + dy * dy + dz * dz < squared) & (i != j)
                bits |= np.uint64(neighbour) << np.uint64(j & 63)
                near += neighbour
            closed[i, word] = bits
            degree[i] += near
        closed[i, i >> 6] |= np.uint64(1) << np.uint64(i & 63)
        edges += degree[i]
    return edges


@compiled
def _equal_before(g, begin, size, edges, earlier):
    """The first graph of the structure that is equal to graph g, which may be g itself."""
    # of two graphs of a structure one contains the other
    other = g - 1
    while other >= 0 and begin[other] == begin[g] and size[other] == size[g]:
        if edges[other] == edges[g]:
            return earlier[other]
        other -= 1
    return g


@compiled
def _twins(count, words, closed, representative, members):
    """Set one atom and the number of atoms of every class of twins among the first `count`; returns the classes."""
    classes = 0
    for i in range(count):
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
    return classes


@compiled
def _matrix(classes, closed, degree, representative, members, scale, published, loops, triangle, values):
    """Set the lower triangle of the matrix with one row per class, and the `values` that it lacks."""
    used = slot = 0
    for c in range(classes):
        a, d, m = representative[c], degree[representative[c]] + loops, members[c]
        for _ in range(m - 1):
            values[slot] = 1.0 if loops else 1.0 + 1.0 / d
            slot += 1
        scale[c] = math.sqrt(m / max(d, 1))
        for other in range(c):
            b = representative[other]
            near = (closed[a, b >> 6] >> np.uint64(b & 63)) & np.uint64(1)
            triangle[used + other] = -scale[c] * scale[other] if near else 0.0
        triangle[used + c] = 0.0 if d == 0 and not published else 1.0 - (m - 1.0 + loops) / max(d, 1)
        used += c + 1


@compiled
def merged(
    atoms: np.ndarray,
    begin: np.ndarray,
    size: np.ndarray,
    squared: np.ndarray,
    published: bool,
    loops: bool,
    cap: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Matrices that have the eigenvalues of G undirected graphs, with twins merged.

    Twins are atoms with the same closed neighbourhood: neighbours of each other and of the same others. A class of m
    twins of degree d has m - 1 eigenvectors that vanish elsewhere and sum to zero, with the eigenvalue 1 + 1/d. All
    others are constant on every class, and their eigenvalues are those of a matrix with one row per class:
    1 - (m - 1)/d on the diagonal and -sqrt(m m' / (d d')) between neighbouring classes. The larger the radius, the more
    twins; a complete graph is a single class. With self loops a degree counts the atom itself, the m - 1 eigenvalues
    are 1, and 1 - m/d is on the diagonal.

    atoms [3, N] positions (Å) of all; begin, size [G] the atoms of each graph, graphs of one structure side by side;
    squared [G] cutoffs squared (Å²); published: whether an isolated atom has the eigenvalue 1, and none behind the last
    connected atom; loops: whether every atom has an edge to itself, and the eigenvalue 0 without any other.
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
        n, here = size[g], place
        place += n
        edges[g] = _neighbourhoods(atoms, begin[g], n, squared[g], closed, degree)
        for i in range(n):
            if degree[i] > 0 or not published:
                count[g] = i + 1
            directed[g] |= degree[i] > cap
        earlier[g] = _equal_before(g, begin, size, edges, earlier)
        if earlier[g] < g or directed[g]:
            continue
        classes = _twins(count[g], (n + 63) // 64, closed, representative, members)
        triangle, lacking = triangles[used:], values[here + classes :]
        _matrix(classes, closed, degree, representative, members, scale, published, loops, triangle, lacking)
        if classes == 1:
            values[here] = triangle[0]
        else:
            rows[g] = classes
            used += classes * (classes + 1) // 2
    return values, count, earlier, directed, rows, triangles[:used]
