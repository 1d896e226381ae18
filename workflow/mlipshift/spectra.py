"""Spectra of the normalised graph Laplacian L = I - D^-1/2 A D^-1/2 of radius graphs, eigenvalues in [0, 2].

Two variants define the cases the paper leaves open:

published   as the released code does: an isolated atom contributes eigenvalue 1, and isolated atoms with
            the highest indices vanish from the spectrum; self loops have no effect.
robust      an isolated atom contributes 0, as every connected component does; every atom counts.
"""

import numpy as np

from mlipshift.errors import UserError

VARIANTS = ("published", "robust")
WINDOW = 0.1  # half width of the interval [0.9, 1.1], strict inequality as in the released code


def adjacency(positions, cutoffs):
    """Boolean adjacency [k, n, n] of the radius graphs of one structure for k cutoffs (Å), no self loops."""
    d2 = 0.0
    for x in np.asarray(positions, dtype=float).T:  # by component, faster than a sum over the last axis
        d = x[:, None] - x
        d2 = d2 + d * d
    np.fill_diagonal(d2, np.inf)
    return d2 < np.square(cutoffs, dtype=float)[:, None, None]


def _laplacian(graphs, variant):
    degree = graphs.sum(-1)
    scale = 1 / np.sqrt(np.maximum(degree, 1))
    laplacian = graphs * -scale[:, :, None]
    laplacian *= scale[:, None, :]
    n = graphs.shape[-1]
    laplacian.reshape(len(graphs), -1)[:, :: n + 1] = 1.0 if variant == "published" else degree > 0
    return laplacian


def spectra(positions, cutoffs, variant="published"):
    """Ascending spectra of one structure at k cutoffs (Å): list of k arrays.

    Each has n eigenvalues, fewer in the published variant when trailing atoms are isolated. Cutoffs
    that give the same graph share one diagonalisation, and complete graphs need none (0 once and
    n/(n-1) otherwise). Raises UserError for an unknown variant.
    """
    if variant not in VARIANTS:
        raise UserError(f"spectrum variant {variant!r} is unknown; use one of {', '.join(VARIANTS)}")
    graphs = adjacency(positions, cutoffs)
    n = graphs.shape[1]
    # graphs of growing radii are nested, so equal edge counts mean equal graphs
    edges = [np.count_nonzero(graph) for graph in graphs]
    distinct = {count: graph for count, graph in zip(edges, graphs)}
    found = {n * (n - 1): np.array([0.0] + [n / (n - 1)] * (n - 1))} if n > 1 else {}
    unsolved = [count for count in distinct if count not in found]
    if unsolved:
        stack = np.stack([distinct[count] for count in unsolved])
        values = np.linalg.eigvalsh(_laplacian(stack, variant)).clip(0.0, 2.0)
        if variant == "published":
            values = [_drop_trailing(row, graph) for row, graph in zip(values, stack)]
        found |= dict(zip(unsolved, values))
    return [found[count].copy() for count in edges]


def _drop_trailing(values, graph):
    """Remove one eigenvalue 1 per isolated atom behind the last connected one."""
    if graph[-1].any():
        return values
    connected = np.flatnonzero(graph.any(-1))
    missing = len(graph) - (connected[-1] + 1 if len(connected) else 0)
    drop = np.argsort(np.abs(values - 1.0), kind="stable")[:missing]
    return np.delete(values, drop)


def window_fraction(values):
    """Fraction of eigenvalues in (0.9, 1.1), the paper's first measure; 0 for an empty spectrum."""
    return float((np.abs(values - 1.0) < WINDOW).mean()) if len(values) else 0.0


def mean_spectrum(many):
    """Average of zero-padded ascending spectra, the reference of the published distance."""
    length = max(len(v) for v in many)
    return np.mean([np.pad(v, (0, length - len(v))) for v in many], axis=0)


def padded_distance(values, reference):
    """Published distance: squared Euclidean distance of the zero-padded ascending spectra.

    Where the released code crashes (test spectrum longer than the reference) the reference is padded.
    """
    length = max(len(values), len(reference))
    return float(
        (
            (np.pad(values, (0, length - len(values))) - np.pad(reference, (0, length - len(reference)))) ** 2
        ).sum()
    )


def quantiles(values, points=64):
    """Quantile function of a spectrum at `points` midpoints: a description independent of size."""
    if len(values) == 0:
        return np.zeros(points)
    return np.quantile(values, (np.arange(points) + 0.5) / points, method="linear")


def wasserstein(first, second):
    """1-Wasserstein distance of two spectra given by their quantiles [..., points]."""
    return np.abs(first - second).mean(-1)
