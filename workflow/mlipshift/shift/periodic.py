"""Radius graphs of crystals and slabs, and the spectra of their normalised Laplacians.

An atom's neighbours are all atoms and images of atoms within the cutoff, its own images too. In the cell this is a
multigraph: A_ij counts the edges from i to images of j, A_ii those to images of i itself (a translation and its
opposite are two), and the degree of an atom is its number of neighbours, whichever cell is used to describe the
crystal. The two variants of spectra.py are then

case                     published                                       robust
spectrum                 of this multigraph in the cell, n eigenvalues;  of the infinite graph, by Bloch's theorem at
                         another cell of the same crystal has others     wavevectors k: n eigenvalues at each, the same
                                                                         distribution for every cell of a crystal
own images               no edge: self loops, which PyG removes          count, with the phase of their translation
more than CAP            the nearest CAP send an edge                    all count
neighbours

The Laplacian at k is L(k) = I - D^-1/2 A(k) D^-1/2 with A_ij(k) = sum of exp(2 pi i k.S) over the edges from i to the
image of j that is S cells away; all eigenvalues lie in [0, 2]. The released code looks for neighbours without images,
so that an atom at a face of the cell seems to have lost half of them; neither variant does that.

Of a cell with more atoms than quadrature.LARGEST_DENSE the distribution of the same eigenvalues is had from sparse
matrices, see there.
"""

import numpy as np
from scipy.sparse import csr_array

from mlipshift.base.geometry import edges, thickness
from mlipshift.shift import quadrature
from mlipshift.shift.laplacians import spectrum_of

# Å; the wavevectors are those of a supercell that is at least so thick along every periodic direction. Spectra of fcc
# copper in different cells then differ by a Wasserstein distance of 0.01, those in cells with the same grid by nothing
SPAN = 36.0
CELLS = 2**19  # entries of the matrices that are in memory at a time


def wavevectors(cell: np.ndarray, pbc: np.ndarray, span: float = SPAN) -> np.ndarray:
    """Wavevectors [K, 3] of the grid through zero, in reciprocal lattice vectors: those of a supercell of `span` Å."""
    counts = np.maximum(1, np.ceil(span / thickness(cell, pbc) - 1e-9)).astype(int)
    return np.stack(np.meshgrid(*(np.arange(n) / n for n in counts), indexing="ij"), axis=-1).reshape(-1, 3)


def spectrum(
    positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray, cutoff: float, variant: str, cap: int | None
) -> np.ndarray:
    """Ascending eigenvalues of the Laplacian of a periodic structure at one cutoff (Å), see the table above.

    Arguments as `edges`; variant: "published" or "robust"; cap: neighbours per atom in the published variant, None for
    no limit. n of them in the published variant, fewer when the last atoms have no neighbour but themselves; n at every
    wavevector in the robust one.
    """
    graph = edges(positions, cell, pbc, cutoff)
    n = len(positions)
    return _in_cell(n, graph, cap) if variant == "published" else _infinite(n, graph, wavevectors(cell, pbc))


def _in_cell(n, graph, cap):
    i, j, _, distance = graph
    if cap is not None:
        kept = quadrature.heard(i, j, distance, cap)
        i, j = i[kept], j[kept]
    i, j = i[i != j], j[i != j]
    if n > quadrature.LARGEST_DENSE:
        return quadrature.of_edges(i, j, n, published=True)
    return spectrum_of(np.bincount(i * n + j, minlength=n * n).reshape(n, n))


def _infinite(n, graph, points):
    if n > quadrature.LARGEST_DENSE:
        return _infinite_of_many(n, graph, points)
    i, j, shift, _ = graph
    degree = np.bincount(i, minlength=n)
    scale = 1 / np.sqrt(np.maximum(degree, 1))
    # sums the phases of the edges of each pair
    pairs = csr_array((scale[i] * scale[j], (i * n + j, np.arange(len(i)))), shape=(n * n, len(i)))
    diagonal = np.diag((degree > 0).astype(float))
    values, step = [], max(1, CELLS // max(n * n, len(i)))
    for start in range(0, len(points), step):
        phases = np.exp(2j * np.pi * (shift @ points[start : start + step].T))
        bloch = (pairs @ phases).T.reshape(-1, n, n)
        values.append(np.linalg.eigvalsh(diagonal - bloch).ravel())
    return np.sort(np.concatenate(values)).clip(0.0, 2.0)


def _infinite_of_many(n, graph, points):
    """As `_infinite`, by one sparse matrix after the other."""
    i, j, shift, _ = graph
    values = []
    for point in points:
        phases = np.exp(2j * np.pi * (shift @ point)) if point.any() else 1.0
        matrix, degree = quadrature.normalised(i, j, n, phases)
        values.append(quadrature.eigenvalues(matrix, degree, 0.0, share=len(points)))
    return np.sort(np.concatenate(values))
