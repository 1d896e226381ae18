"""Spectra of large graphs from sparse matrices: memory grows with the number of edges.

A graph falls into its connected components. Those of at most LARGEST_DENSE atoms are diagonalised, so that copies of a
molecule have its eigenvalues. Of larger ones the distribution of eigenvalues is had by stochastic Lanczos quadrature
(Lin, Saad and Yang 2016, doi:10.1137/130934283; Ubaru, Chen and Saad 2017, doi:10.1137/16M1104974): the mean over
random vectors of the Gauss quadrature of their spectral measures. It is given as n values of equal weight, quantiles
of the distribution, as if they were the eigenvalues. The eigenvalue 0 of the component, and mean and variance of all,
are exact. Of 1,000 to 2,000 atoms of liquids, crystals, chains and gases, where both could be had, the Wasserstein
distance to the exact spectrum is below 0.005 and the fraction in [0.9, 1.1] right to 0.01.

A directed graph, whose eigenvalues lose their imaginary part, is taken for the symmetric part of its matrix, stretched
so that the variance is that of the real parts: a distance below 0.012 and a fraction right to 0.03.

Random vectors belong to atoms in an order that the graph tells, so that the result is the same to the last bit for the
same structure turned and in another order, unless atoms are too alike (see _order).
"""

import numpy as np
from scipy.linalg import eigh_tridiagonal
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from mlipshift.base.geometry import pairs

# atoms of the largest graph that is diagonalised as a whole: 0.3 s and 50 MB, 1.5 s where it is directed. 10,000 atoms
# would be minutes and 2.4 GB, hours where they are directed
LARGEST_DENSE = 1024
STEPS = 128  # of Lanczos; the error of the random vectors is larger than what more of them mend
SAMPLES = 2**16  # random numbers, atoms times vectors: the error falls with their root
VECTORS = 8  # at least, of one graph
ENTRIES = 2**20  # of the dense matrices that are in memory at a time
SEED = 0
SINGLED_OUT = 8  # atoms at most that get a colour of their own, see _order
EXHAUSTED = 1e-10  # a residual this small has ended a Krylov space
CONVERGED = 1e-3  # a Ritz value with such a residual is within 1e-6 of an eigenvalue
SHARP = 1e-9  # half width of the step of the distribution there


def heard(i: np.ndarray, j: np.ndarray, distance: np.ndarray, cap: int) -> np.ndarray:
    """Mask [E] of the directed edges from i to j by which every atom j hears its `cap` nearest ones.

    distance [E] Å; of equal ones, those to atoms of lower index come first.
    """
    order = np.lexsort((i, distance, j))
    rank = np.empty(len(j), dtype=np.intp)
    rank[order] = np.arange(len(j)) - np.searchsorted(j[order], j[order])
    return rank < cap


def normalised(i: np.ndarray, j: np.ndarray, n: int, weights: np.ndarray | float = 1.0) -> tuple[csr_array, np.ndarray]:
    """(D^-1/2 A D^-1/2, degrees [n]) of n atoms and edges from i to j [E] with real or complex weights.

    Weights of several edges add up; degrees count the edges of sources.
    """
    degree = np.bincount(i, minlength=n)
    scale = 1 / np.sqrt(np.maximum(degree, 1))
    matrix = csr_array((weights * scale[i] * scale[j], (i, j)), shape=(n, n))
    matrix.sum_duplicates()
    return matrix, degree


def of_molecule(
    positions: np.ndarray, cutoff: float, published: bool, cap: int | None, loops: bool = False
) -> np.ndarray:
    """Ascending spectrum of the radius graph of positions [n, 3] at a cutoff (Å), as `of_edges`.

    cap: neighbours that an atom hears at most, None for no limit; loops: whether it hears itself, too.
    """
    i, j = pairs(positions, cutoff)
    if cap is not None and np.bincount(i, minlength=1).max() > cap:
        kept = heard(i, j, np.linalg.norm(positions[i] - positions[j], axis=1), cap)
        i, j = i[kept], j[kept]
    if loops:
        i, j = (np.concatenate([ends, np.arange(len(positions))]) for ends in (i, j))
    return of_edges(i, j, len(positions), published)


def of_edges(i: np.ndarray, j: np.ndarray, n: int, published: bool) -> np.ndarray:
    """Ascending spectrum of a graph of n atoms with edges from i to j [E], in both variants of spectra.py.

    n eigenvalues, fewer in the published variant when the last atoms are isolated.
    """
    if published:
        n = int(max(i.max(initial=-1), j.max(initial=-1))) + 1
    return eigenvalues(*normalised(i, j, n), isolated=float(published))


def eigenvalues(matrix: csr_array, degree: np.ndarray, isolated: float, share: int = 1) -> np.ndarray:
    """Ascending eigenvalues [n] of I - matrix, a normalised adjacency [n, n]; real parts if it is directed.

    degree [n]; isolated: the eigenvalue of an atom without edges; share: of how many matrices, with random vectors
    of their own, the eigenvalues are put together. Exact for components of at most LARGEST_DENSE atoms.
    """
    hermitian = np.iscomplexobj(matrix.data) or not (matrix != matrix.T).nnz
    pattern = csr_array((np.ones(matrix.nnz, dtype=np.uint64), matrix.indices, matrix.indptr), shape=matrix.shape)
    _, label = connected_components(pattern, directed=True, connection="weak")
    size = np.bincount(label)[label] if len(label) else label
    values = [np.empty(0)]
    for rows in np.unique(size):
        atoms = np.flatnonzero(size == rows)
        atoms = atoms[np.argsort(label[atoms], kind="stable")]
        if rows <= LARGEST_DENSE:
            values += _dense(matrix[atoms][:, atoms], np.where(degree > 0, 1.0, isolated)[atoms], rows, hermitian)
            continue
        for part in atoms.reshape(-1, rows):
            part = part[_order(pattern[part][:, part])]
            ordered = matrix[part][:, part]
            ordered.sort_indices()
            values.append(_quadrature(ordered, degree[part], hermitian, share))
    return np.sort(np.concatenate(values)).clip(0.0, 2.0)


def _dense(matrix, diagonal, rows, hermitian):
    """List of the eigenvalues of the blocks of `rows` rows along the diagonal of diag(diagonal) - matrix."""
    values, step = [], max(1, ENTRIES // rows**2) * rows
    for start in range(0, len(diagonal), step):
        part = matrix[start : start + step].tocoo()
        blocks = np.zeros((part.shape[0] // rows, rows, rows), dtype=matrix.dtype)
        blocks[part.row // rows, part.row % rows, part.col % rows] = -part.data
        blocks[:, np.arange(rows), np.arange(rows)] += diagonal[start : start + step].reshape(-1, rows)
        solved = np.linalg.eigvalsh(blocks) if hermitian else np.linalg.eigvals(blocks).real
        values.append(solved.ravel())
    return values


def _order(pattern):
    """Order [n] of the atoms of a graph that does not depend on the one they are in, as far as can be had.

    pattern: uint64 matrix of ones where there are edges. Atoms are told apart by their neighbours, the neighbours of
    those and so on (colour refinement). Where that leaves atoms of one colour, as in a crystal, one of the most
    frequent colour gets a colour of its own, and those around it differ by it.
    """
    both = pattern + pattern.T
    colour = np.bincount(pattern.indices, minlength=pattern.shape[0]).astype(np.uint64)
    for _ in range(SINGLED_OUT):
        colour, first, count = _refined(both, colour)
        if len(count) == len(colour):
            break
        colour[first[count.argmax()]] = ~colour[first[count.argmax()]]
    return np.argsort(_refined(both, colour)[0], kind="stable")


def _refined(both, colour):
    """Colours [n] that tell apart what neighbours can, the first atom and the number of atoms of each."""
    found = 0
    while True:
        _, first, count = np.unique(colour, return_index=True, return_counts=True)
        if len(count) <= found:
            return colour, first, count
        found = len(count)
        mixed = (colour ^ (colour >> np.uint64(31))) * np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed ^= mixed >> np.uint64(32)
        colour = both @ mixed + np.uint64(3) * mixed


def _quadrature(matrix, degree, hermitian, share):
    """Eigenvalues [n] of I - matrix, quantiles of their distribution by stochastic Lanczos quadrature."""
    n = len(degree)
    first, second = matrix.trace().real, matrix.multiply(matrix.T).sum().real
    if not hermitian:
        matrix = ((matrix + matrix.T) / 2).tocsr()
    vectors = -(-max(VECTORS, SAMPLES // n) // share)
    start = np.random.default_rng(SEED).choice([-1.0, 1.0], size=(n, vectors))
    fixed = np.sqrt(degree / degree.sum())
    known = int(np.linalg.norm(matrix @ fixed - fixed) < EXHAUSTED)  # the eigenvalue 1 of `matrix`, not of a wave
    if known:
        start -= np.outer(fixed, fixed @ start)
    values = _quantiles(*_lanczos(matrix, start), n - known)
    # trace and variance of the rest are known
    mean = (first - known) / len(values)
    spread = np.sqrt(max((second - known) / len(values) - mean**2, 0.0))
    values = mean + (values - values.mean()) * (spread / values.std() if values.std() > SHARP else 1.0)
    return np.append(np.zeros(known), 1.0 - values)


def _lanczos(matrix, vectors):
    """Diagonals and off-diagonals [STEPS, V] of the tridiagonal matrices of V start vectors [n, V] side by side.

    Without orthogonalisation: copies of converged values share the weight of the value.
    """
    diagonal, beside = np.zeros((2, STEPS, vectors.shape[1]))
    before, now = np.zeros_like(vectors), vectors / np.linalg.norm(vectors, axis=0)
    length = np.zeros(vectors.shape[1])
    for k in range(STEPS):
        then = matrix @ now - length * before
        diagonal[k] = np.einsum("nv,nv->v", now.conj(), then).real
        then -= diagonal[k] * now
        length = np.linalg.norm(then, axis=0)
        length[length < EXHAUSTED] = 0.0
        beside[k] = length
        before, now = now, np.where(length, then / np.where(length, length, 1.0), 0.0)
    return diagonal, beside


def _quantiles(diagonal, beside, n):
    """n quantiles of the mean of the spectral measures of tridiagonal matrices.

    Between Ritz values the distribution is linear, as half the weight of a Ritz value lies on either side of it;
    where one has converged the distribution has a step.
    """
    knots, heights = [], []
    for d, e in zip(diagonal.T, beside.T):
        ritz, vectors = eigh_tridiagonal(d, e[:-1])
        weight = vectors[0] ** 2
        below = np.cumsum(weight) - weight
        sharp = e[-1] * np.abs(vectors[-1]) < CONVERGED
        x = ritz[:, None] + np.where(sharp, SHARP, 0.0)[:, None] * [-1, 1]
        y = below[:, None] + weight[:, None] * np.where(sharp[:, None], [0.0, 1.0], 0.5)
        knots.append(np.maximum.accumulate(x.ravel()))
        heights.append(y.ravel())
    every = np.sort(np.concatenate(knots))
    height = np.mean([np.interp(every, x, y, left=0.0, right=1.0) for x, y in zip(knots, heights)], axis=0)
    return np.interp((np.arange(n) + 0.5) / n, height, every)
