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
    positions = np.asarray(positions, dtype=float)
    d2 = ((positions[:, None] - positions[None]) ** 2).sum(-1)
    np.fill_diagonal(d2, np.inf)
    return d2[None] < np.asarray(cutoffs, dtype=float)[:, None, None] ** 2


def _laplacian(graph, variant):
    degree = graph.sum(-1)
    scale = np.where(degree > 0, 1 / np.sqrt(np.maximum(degree, 1)), 0.0)
    diagonal = np.ones_like(scale) if variant == "published" else (degree > 0).astype(float)
    laplacian = graph * -scale[..., :, None] * scale[..., None, :]
    n = graph.shape[-1]
    laplacian[..., np.arange(n), np.arange(n)] = diagonal
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
    k, n = graphs.shape[:2]
    edges = graphs.reshape(k, -1).sum(1)
    # graphs of growing radii are nested, so equal edge counts mean equal graphs
    unique, first, inverse = np.unique(edges, return_index=True, return_inverse=True)
    values = np.empty((len(unique), n))
    complete = unique == n * (n - 1)
    values[complete] = np.concatenate([[0.0], np.full(n - 1, n / max(n - 1, 1))])
    if n == 1:
        values[:] = 1.0 if variant == "published" else 0.0
    elif not complete.all():
        values[~complete] = np.linalg.eigvalsh(_laplacian(graphs[first[~complete]], variant))
    out = []
    for row, graph in zip(values[inverse], graphs[first][inverse]):
        if variant == "published":
            row = _drop_trailing(row, graph)
        out.append(np.clip(row, 0.0, 2.0))
    return out


def _drop_trailing(values, graph):
    """Remove one eigenvalue 1 per isolated atom behind the last connected one."""
    connected = np.flatnonzero(graph.any(-1))
    missing = len(graph) - (connected[-1] + 1 if len(connected) else 0)
    if missing == 0:
        return values
    drop = np.argsort(np.abs(values - 1.0), kind="stable")[:missing]
    return np.delete(values, drop)


def window_fraction(values):
    """Fraction of eigenvalues in (0.9, 1.1), the paper's first connectivity measure; 0 for an empty spectrum."""
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
        ((np.pad(values, (0, length - len(values))) - np.pad(reference, (0, length - len(reference)))) ** 2).sum()
    )


def quantiles(values, points=64):
    """Quantile function of a spectrum at `points` midpoints: a description independent of size."""
    if len(values) == 0:
        return np.zeros(points)
    return np.quantile(values, (np.arange(points) + 0.5) / points, method="linear")


def wasserstein(first, second):
    """1-Wasserstein distance of two spectra given by their quantiles [..., points]."""
    return np.abs(first - second).mean(-1)
