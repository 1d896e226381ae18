"""Which recorded step every unit of an adaptation stops at, decided from prior labels alone."""

import numpy as np
import torch

from mlipshift.catalogue.adaptation import Settings


class Stopping:
    """Rule `settings.stop` and the threshold `settings.skip_below_eV_per_A` for a number of units R."""

    def __init__(self, settings: Settings, units: int):
        self.settings, self.units = settings, units
        self.seen: list[np.ndarray] = []

    def look(self, loss: torch.Tensor) -> None:
        """Take the watched loss [R] (eV/Å) of the next recorded step."""
        self.seen.append(loss.double().cpu().numpy())

    def skipped(self) -> np.ndarray:
        """Which units [R] are not adapted at all."""
        if not self.seen:
            return np.zeros(self.units, dtype=bool)
        return self.seen[0] < self.settings.skip_below_eV_per_A

    def chosen(self, times: int) -> np.ndarray:
        """Index [R, T] of the recorded step whose parameters are those of the unit after each recorded step."""
        skipped = self.skipped()
        if skipped.all():  # they were left at once, and no later step was seen
            return np.zeros((self.units, times), dtype=int)
        index = self._stopped(times)
        index[skipped] = 0
        return index

    def _stopped(self, times):
        index = np.tile(np.arange(times), (self.units, 1))
        if self.settings.stop == "none" or not self.seen:
            return index
        seen = np.stack(self.seen, axis=1)
        for t in range(1, times):
            if self.settings.stop == "drop":
                reached = seen[:, t - 1] <= self.settings.stop_fraction * seen[:, 0]
                index[:, t] = np.where(reached | (index[:, t - 1] < t - 1), index[:, t - 1], t)
            else:
                best = np.take_along_axis(seen, index[:, t - 1 : t], axis=1)[:, 0]
                index[:, t] = np.where(seen[:, t] < best, t, index[:, t - 1])
        return index
