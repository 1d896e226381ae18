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
other number of atoms    zeros are appended to the ascending spectrum    Wasserstein distance, see wasserstein.py
                         (`padded_distance`), in both variants
larger than training     the released code crashes; here the average     Wasserstein distance
                         spectrum is padded too

A third one, `written`, is what the paper writes: L of A + I, where every atom has a self loop that counts in its
degree. An isolated atom contributes 0 then and none vanishes; all else is as published.

With more than CAP neighbours, the released code keeps those that its neighbour search happens to meet first, which
differs between versions and devices of that library; the nearest ones are the defined choice here.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from mlipshift.base.errors import UserError
from mlipshift.base.geometry import within
from mlipshift.base.log import progress
from mlipshift.shift import quadrature
from mlipshift.shift.eigenvalues import eigenvalues
from mlipshift.shift.laplacians import merged, spectrum_of

VARIANTS = ("published", "robust", "written")
CAP = 50  # neighbours per atom in the released code
WINDOW = 0.1  # half width of the interval [0.9, 1.1], strict inequality as in the released code
ROUNDING = 1e-9  # eigenvalues this close to an end of the interval lie on it
ENTRIES = 2**21  # entries of the matrices that are in memory at a time


def spectra(
    positions: np.ndarray, cutoffs: Sequence[float], variant: str = "published", cap: int | None = CAP
) -> list[np.ndarray]:
    """Ascending spectra of one structure at k cutoffs (Å): list of k arrays; see `spectra_of_many`."""
    return spectra_of_many([positions], cutoffs, variant, cap)[0]


def spectra_of_many(
    structures: Iterable[np.ndarray], cutoffs: Sequence[float], variant: str = "published", cap: int | None = CAP
) -> list[list[np.ndarray]]:
    """Ascending spectra of S structures, positions [n, 3] each, at k cutoffs (Å): S lists of k arrays.

    Each array has n eigenvalues, fewer in the published variant when the last atoms are isolated.
    cap: neighbours per atom in the published variant and as written, None for no limit. Raises UserError for an unknown
    variant.

    Exact, and faster than one diagonalisation per graph: atoms that have the same neighbours and each other are merged,
    see `laplacians.merged`, equal graphs of a structure share one matrix, and many matrices are diagonalised at once.
    Of more than quadrature.LARGEST_DENSE atoms they are quantiles of the distribution of eigenvalues, see quadrature.
    """
    if variant not in VARIANTS:
        raise UserError(f"spectrum variant {variant!r} is unknown; use one of {', '.join(VARIANTS)}")
    cutoffs = np.asarray(cutoffs, dtype=float)
    structures = [np.asarray(positions, dtype=float).reshape(-1, 3) for positions in structures]
    capped = variant != "robust"
    dense = [positions for positions in structures if len(positions) <= quadrature.LARGEST_DENSE]
    most = max(map(len, dense), default=0) if cap is None or not capped else cap
    found = []
    for block in _blocks([len(positions) for positions in dense], len(cutoffs)):
        found += _spectra_of_graphs(dense, cutoffs, block, variant, most)
    rows = (found[k * len(cutoffs) : (k + 1) * len(cutoffs)] for k in range(len(dense)))
    large = [positions for positions in structures if len(positions) > quadrature.LARGEST_DENSE]
    sparse = iter(_spectra_of_large(large, cutoffs, variant, cap if capped else None))
    return [next(sparse if len(p) > quadrature.LARGEST_DENSE else rows) for p in structures]


def _spectra_of_large(structures, cutoffs, variant, cap):
    """Spectra of large structures at all cutoffs, a list of lists, with lines of progress."""
    following = progress(structures, len(structures), f"spectra above {quadrature.LARGEST_DENSE} atoms")
    published, loops = variant == "published", variant == "written"
    return [[quadrature.of_molecule(positions, r, published, cap, loops) for r in cutoffs] for positions in following]


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


def _spectra_of_graphs(structures, cutoffs, graphs, variant, cap):
    """List of the spectra of graphs (structure, radius), structure after structure."""
    structure, radius = np.array(graphs, dtype=np.intp).T
    members = structures[structure[0] : structure[-1] + 1]
    sizes = np.array([len(positions) for positions in members], dtype=np.intp)
    atoms = np.ascontiguousarray(np.concatenate(members).T)
    begin, size = (a[structure - structure[0]] for a in (np.cumsum(sizes) - sizes, sizes))
    squared = np.square(within(cutoffs))[radius]
    published, loops = variant == "published", variant == "written"
    values, count, earlier, directed, rows, triangles = merged(atoms, begin, size, squared, published, loops, cap)
    solved = eigenvalues(triangles, rows)
    found, place, done = [], 0, 0
    for k, (n, length, same, classes) in enumerate(zip(*(a.tolist() for a in (size, count, earlier, rows)))):
        own = values[place : place + length]
        place += n
        if same < k:
            own[:] = found[same]
        elif directed[k]:
            own[:] = _directed(structures[structure[k]], cutoffs[radius[k]], loops, cap)
        else:
            own[:classes] = solved[done : done + classes]
            done += classes
            own.sort()
            np.clip(own, 0.0, 2.0, out=own)
        found.append(own)
    return found


def _directed(positions, cutoff, loops, cap):
    """Spectrum of the graph in which every atom hears its `cap` nearest neighbours, ties resolved by index.

    loops: whether it hears itself, too.
    """
    squared = 0.0
    for x in positions.T:  # one component after the other is faster than a sum over the last axis
        squared = squared + np.square(x[:, None] - x)
    np.fill_diagonal(squared, np.inf)
    graph = squared < within(cutoff) ** 2
    rank = np.argsort(np.argsort(np.where(graph, squared, np.inf), axis=0, kind="stable"), axis=0)
    return spectrum_of((graph & (rank < cap)) + loops * np.eye(len(positions)))


def padded(many: Sequence[np.ndarray], length: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(table [S, L], sizes [S]) of S spectra, zeros at the end; L is the longest of them or `length` if larger."""
    sizes = np.array([len(v) for v in many], dtype=np.intp)
    table = np.zeros((len(many), max(length, sizes.max(initial=0))))
    table[np.arange(table.shape[1]) < sizes[:, None]] = np.concatenate([np.empty(0), *many])
    return table, sizes


def window_fraction(many: Sequence[np.ndarray], width: float = WINDOW) -> np.ndarray:
    """Fraction [S] of eigenvalues in (1 - width, 1 + width), 0 for an empty spectrum.

    (0.9, 1.1) is the first measure of the paper.
    A complete graph of 11 atoms has the eigenvalue 1.1 ten times, which rounding would put on either side.
    """
    table, sizes = padded(many)
    return (np.abs(table - 1.0) < width - ROUNDING).sum(1) / np.maximum(sizes, 1)


def mean_spectrum(many: Sequence[np.ndarray]) -> np.ndarray:
    """Average [L] of zero-padded ascending spectra, the reference of the published distance."""
    return padded(many)[0].mean(0)


def padded_distance(many: Sequence[np.ndarray], reference: np.ndarray) -> np.ndarray:
    """Published distance [S]: squared Euclidean distance of the zero-padded ascending spectra to `reference`.

    Where the released code crashes (test spectrum longer than the reference) the reference is padded.
    """
    table, _ = padded(many, len(reference))
    return np.square(table - np.pad(reference, (0, table.shape[1] - len(reference)))).sum(1)
