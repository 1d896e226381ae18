"""Errors of all methods on the test structures, and which of them are pooled.

An error is the force MAE of a structure in meV/Å, averaged over seeds unless a column says otherwise.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from mlipshift.base.errors import UserError
from mlipshift.base.frames import Frames, Labels
from mlipshift.base.predictions import Predictions
from mlipshift.evaluate import statistics

POOLED = "ood_all"


class Errors:
    """Errors of all methods on S test structures.

    final: {method: [seeds, S]} meV/Å after the last step, NaN where missing; seeds: {method: list}, absent for
    methods without a seed; trace: {method: (steps [T], errors [seeds, T, S], prior loss [seeds, T, S])} of the
    adapted methods. frames, reference, prior: Frames and Labels of the test structures; paths: files of
    Predictions; resamples, seed: of the bootstrap. Raises UserError without held-out structures.
    """

    def __init__(
        self, frames: Frames, reference: Labels, prior: Labels, paths: Iterable[Path], resamples: int, seed: int
    ) -> None:
        if not frames.of_kind("ood_").any():
            raise UserError("no structure in a held-out shift group; give one or more files in data.files.ood_*")
        self.frames, self.resamples, self.seed = frames, resamples, seed
        self.final, self.trace, self.seeds = {}, {}, {}
        mae = lambda forces: statistics.force_mae(forces, reference.forces, frames.offsets)
        self.final["zero"] = mae(np.zeros_like(reference.forces))[None]
        self.final["prior"] = mae(prior.forces)[None]
        gather: dict[str, list[Predictions]] = {}
        for path in paths:
            p = Predictions.load(path, frames)
            gather.setdefault(p.method, []).append(p)
        for method, parts in sorted(gather.items()):
            parts.sort(key=lambda p: p.seed)
            errors = np.stack([mae(p.forces) for p in parts])
            self.final[method] = errors[:, -1]
            self.seeds[method] = [p.seed for p in parts]
            if len(parts[0].steps) > 1:
                self.trace[method] = (parts[0].steps, errors, 1000 * np.stack([p.loss for p in parts]))

    def mean(self, method: str) -> np.ndarray:
        """Error per structure [S], averaged over seeds; NaN where the method has none."""
        return self.final[method].mean(0)

    def known(self, pairs: dict[str, str]) -> list[tuple[str, str]]:
        """Those pairs {method: baseline} of which both have errors."""
        return [(m, b) for m, b in pairs.items() if m in self.final and b in self.final]

    def groups(self) -> dict[str, np.ndarray]:
        """{group: boolean [S]}, the pooled held-out shift groups last."""
        out = {g: self.frames.group == g for g in dict.fromkeys(self.frames.group)}
        return out | {POOLED: self.frames.of_kind("ood_")}

    def common(self, chosen: np.ndarray, methods: Iterable[str] | None = None) -> np.ndarray:
        """Those of the structures `chosen` [S] that every method predicts which predicts any of them.

        A method that fails where it is hardest has a low mean of what is left; so all have the mean of the same
        structures. methods: keys of `final`, by default all of them.
        """
        known = (chosen & np.isfinite(self.mean(m)) for m in (self.final if methods is None else methods))
        return np.logical_and.reduce([chosen, *(found for found in known if found.any())])

    def missing(self) -> list[str]:
        """A line per group and method that has left structures out of the comparison."""
        lines = []
        for group, chosen in self.groups().items():
            known = {m: chosen & np.isfinite(self.mean(m)) for m in self.final}
            most = np.logical_or.reduce(list(known.values()))
            lines += [
                f"{group}: {most.sum() - found.sum()} of {most.sum()} structures are in no comparison, since {method}"
                " has no result for them"
                for method, found in known.items()
                if found.any() and found.sum() < most.sum()
            ]
        return lines

    def summarise(self, values: np.ndarray, chosen: np.ndarray) -> dict[str, float] | None:
        """statistics.summary of the structures `chosen` [S] that have a value, None if there are none."""
        keep = chosen & np.isfinite(values)
        if not keep.any():
            return None
        return statistics.summary(values[keep], *self._units(keep))

    def compare(self, method: np.ndarray, baseline: np.ndarray, chosen: np.ndarray) -> dict[str, float] | None:
        """statistics.paired of the structures `chosen` [S] that both values [S] have, None if there are none."""
        keep = chosen & np.isfinite(method) & np.isfinite(baseline)
        if not keep.any():
            return None
        return statistics.paired(method[keep], baseline[keep], *self._units(keep))

    def _units(self, keep):
        return self.frames.molecule[keep], self.frames.ids[keep], self.resamples, self.seed
