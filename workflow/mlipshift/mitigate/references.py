"""How far the spectrum of a graph is from those of training graphs: by three distances, to three references.

distance     window       fraction of eigenvalues near 1; (0.9, 1.1) and 0.55 in the first version of the paper
             padded       squared Euclidean distance of the ascending spectra with zeros at the end, the journal version
             wasserstein  area between the quantile functions, which compares graphs of different size rightly
reference    mean         average over all training graphs
             size         average over the training graphs whose numbers of atoms are nearest
             nearest      the nearest training graph, of a sample
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy.spatial.distance import cdist

from mlipshift.shift import wasserstein
from mlipshift.shift.spectra import WINDOW, mean_spectrum, padded, padded_distance, window_fraction

DISTANCES = ("window", "padded", "wasserstein")
REFERENCES = ("mean", "size", "nearest")
ALIKE = 20  # training graphs at least that a reference by size is the average of
SAMPLE = 1000  # training graphs, evenly spaced, that the nearest one is looked for among
Spectra = Sequence[np.ndarray]


@dataclass(frozen=True)
class Graphs:
    """Training graphs at the trained cutoff: sizes [T] atoms, spectra: T ascending arrays."""

    sizes: np.ndarray
    spectra: Spectra
    _usual: dict = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def sample(self) -> np.ndarray:
        """Numbers of the graphs that the nearest one is looked for among."""
        return np.unique(np.linspace(0, len(self.sizes) - 1, min(SAMPLE, len(self.sizes))).astype(int))

    def distances(
        self,
        found: Sequence[Spectra],
        sizes: np.ndarray,
        distance: str,
        reference: str,
        target: float | None = None,
        width: float = WINDOW,
    ) -> np.ndarray:
        """Distances [S, k] of S structures with spectra at k radii; sizes [S]: their atoms.

        target: fraction in the window that is aimed at, that of the training graphs if None; width: of the window to
        either side of 1.
        """
        flat = [values for row in found for values in row]
        radii = len(flat) // max(1, len(found))
        if reference == "size":
            out = np.empty((len(found), radii))
            for size in np.unique(sizes).tolist():
                own = np.flatnonzero(sizes == size).tolist()
                rows = [found[k] for k in own]
                out[own] = self._alike(size).distances(rows, sizes[own], distance, "mean", width=width)
            return out
        skipped = np.full(len(flat), -1, dtype=np.intp)
        return self._to(flat, distance, reference, target, width, skipped).reshape(len(found), radii)

    def usual(
        self, distance: str, reference: str, target: float | None = None, width: float = WINDOW
    ) -> tuple[float, float]:
        """(mean, standard deviation) of the distances of the training graphs themselves, computed once."""
        key = (distance, reference, target, width)
        if key not in self._usual:
            own = self.own_distances(*key)
            self._usual[key] = float(np.nanmean(own)), float(np.nanstd(own))
        return self._usual[key]

    def own_distances(
        self, distance: str, reference: str, target: float | None = None, width: float = WINDOW
    ) -> np.ndarray:
        """The same of the training graphs themselves [T], of the sample for the nearest, which is another one."""
        if reference == "size":
            return self.distances([[s] for s in self.spectra], self.sizes, distance, reference, width=width)[:, 0]
        if reference == "mean":
            none = np.full(len(self.sizes), -1, dtype=np.intp)
            return self._to(self.spectra, distance, reference, target, width, none)
        rows = [self.spectra[k] for k in self.sample]
        return self._to(rows, distance, reference, target, width, np.arange(len(rows)))

    @cached_property
    def _aims(self) -> dict[float, float]:
        return {}

    @cached_property
    def _sizes(self) -> dict[int, "Graphs"]:
        return {}

    def _alike(self, size: int) -> "Graphs":
        """The training graphs of the size, or of the nearest sizes until there are ALIKE."""
        if size not in self._sizes:
            apart = np.abs(self.sizes - size)
            limit = np.sort(apart)[min(ALIKE, len(apart)) - 1]
            chosen = np.flatnonzero(apart <= limit).tolist()
            self._sizes[size] = Graphs(self.sizes[chosen], [self.spectra[k] for k in chosen])
        return self._sizes[size]

    def _aim(self, width: float) -> float:
        """Mean fraction of the eigenvalues in a window, computed once."""
        if width not in self._aims:
            self._aims[width] = float(window_fraction(self.spectra, width).mean())
        return self._aims[width]

    @cached_property
    def _mean(self) -> np.ndarray:
        return mean_spectrum(self.spectra)

    @cached_property
    def _centre(self) -> wasserstein.Centre:
        mean = wasserstein.Mean()
        mean.add(self.spectra)
        return mean.centre()

    @cached_property
    def _known(self) -> wasserstein.Known:
        return wasserstein.Known.of([self.spectra[k] for k in self.sample])

    def _to(
        self, flat: Spectra, distance: str, reference: str, target: float | None, width: float, skipped: np.ndarray
    ) -> np.ndarray:
        """Distances [N] of spectra to the mean or the nearest training graph but skipped [N], -1 for none."""
        if distance == "window":
            return np.abs(window_fraction(flat, width) - (self._aim(width) if target is None else target))
        if reference == "nearest":
            return self._known.nearest(flat, skipped) if distance == "wasserstein" else self._padded(flat, skipped)
        return padded_distance(flat, self._mean) if distance == "padded" else self._centre.distance(flat)

    def _padded(self, flat: Spectra, skipped: np.ndarray) -> np.ndarray:
        """Padded distances [N] to the nearest training graph of the sample."""
        known = [self.spectra[k] for k in self.sample]
        length = max(map(len, [*known, *flat]))
        apart = cdist(padded(flat, length)[0], padded(known, length)[0], "sqeuclidean")
        own = np.flatnonzero(skipped >= 0)
        apart[own, skipped[own]] = np.inf
        return apart.min(1)
