"""Adaptation that is done again when the label-free loss rises along a trajectory.

A model adapted to a few geometries of a molecule is asked now and then what its prior head says where the dynamics have
come to. How far that is from the prior, one prior call per geometry, is the loss that test-time training (Kreiman &
Krishnapriyan 2026, section 3.2) minimises; where it is large again, these geometries are adapted on as well, from the
trained model on. No reference label is involved.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from mlipshift.base.errors import UserError
from mlipshift.base.frames import Frames, Labels
from mlipshift.base.log import log
from mlipshift.catalogue.adaptation import Settings
from mlipshift.learn import networks
from mlipshift.learn.potential import Potential
from mlipshift.mitigate.adaptation import adapt_potential

# (numbers [n], positions [n, 3] Å, charge, multiplicity) -> energy (eV), forces [n, 3] (eV/Å); see prior.engines
Prior = Callable[[np.ndarray, np.ndarray, int, int], tuple[float, np.ndarray]]


class OnTheFly:
    """A model, what it has been adapted to, and the loss above which it is adapted again.

    trained: model before any adaptation; frames, labels: geometries of one molecule with prior labels that it is
    adapted to at first; settings: of every adaptation; prior: asked at every look; rise: share of the way from the loss
    after the first adaptation back to that before it, at which it is done again; most: geometries at most that are
    adapted on, those that were given and the latest of the others.

    potential: the model as it is now; limit: that loss (eV/Å); prior_calls, adaptations: since the first one. Raises
    UserError as adapt_potential, and for labels that are all missing.
    """

    def __init__(
        self,
        trained: Potential,
        frames: Frames,
        labels: Labels,
        settings: Settings,
        prior: Prior,
        rise: float = 0.5,
        most: int = 32,
    ):
        self.trained, self.settings, self.prior, self.rise, self.most = trained, settings, prior, rise, most
        self.given, self.frames, self.labels = len(frames), frames, labels
        self.potential = adapt_potential(trained, frames, labels, settings)
        before, *_, after = self.potential.card["adapted"][-1]["loss_eV_per_A"]
        self.limit = after + rise * (before - after)
        self.prior_calls = self.adaptations = 0

    def look(self, geometries: Sequence[np.ndarray]) -> bool:
        """Whether the model was adapted again, for one of these positions [n, 3] Å or several was beyond the limit."""
        numbers, _, charge, multiplicity = self.frames[0]
        said = networks.predict(self.potential.network, [(numbers, x) for x in geometries], head="prior")
        new, forces = [], []
        for x, (_, own) in zip(geometries, said):
            self.prior_calls += 1
            try:
                label = self.prior(numbers, x, charge, multiplicity)
            except (UserError, ValueError, RuntimeError):
                continue  # where the prior has no answer there is nothing to adapt to
            if np.linalg.norm(label[1] - own, axis=1).mean() > self.limit:
                new.append(x)
                forces.append(label)
        if new:
            self._adapt(new, forces)
        return bool(new)

    def _adapt(self, geometries, labels):
        first = self.frames.take([0])
        rows = [
            replace(first, ids=np.array([f"visited/{self.prior_calls}/{k}"], dtype=object), positions=x)
            for k, x in enumerate(geometries)
        ]
        frames = Frames.concatenate([self.frames, *rows])
        found = Labels.build(Frames.concatenate(rows), labels, self.labels.level)
        kept = [*range(self.given), *range(self.given, len(frames))[-max(0, self.most - self.given) :]]
        self.frames = frames.take(kept)
        self.labels = Labels.concatenate([self.labels, found]).take(kept)
        self.adaptations += 1
        self.potential = adapt_potential(self.trained, self.frames, self.labels, self.settings)
        log.info("adapted again, to %d geometries, after %d prior calls", len(self.frames), self.prior_calls)

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """(weights and geometries that were added, counts), for `restore`."""
        arrays = {f"weights/{n}": p.detach().cpu().numpy() for n, p in self.potential.network.named_parameters()}
        added = self.frames.take(range(self.given, len(self.frames)))
        labels = self.labels.take(range(self.given, len(self.frames)))
        arrays |= {"added/positions": added.positions, "added/forces": labels.forces, "added/energy": labels.energy}
        counts = {"prior_calls": self.prior_calls, "adaptations": self.adaptations, "ids": [*map(str, added.ids)]}
        return arrays, counts

    def restore(self, arrays: Mapping[str, np.ndarray], notes: Mapping[str, Any]) -> None:
        """Be what gave this state."""
        first, ids = self.frames.take([0]), notes["ids"]
        positions = arrays["added/positions"].reshape(len(ids), *first.positions.shape)
        forces = arrays["added/forces"].reshape(positions.shape)
        rows = [replace(first, ids=np.array([i], dtype=object), positions=x) for i, x in zip(ids, positions)]
        self.frames = Frames.concatenate([self.frames.take(range(self.given)), *rows])
        if rows:
            found = Labels.build(Frames.concatenate(rows), zip(arrays["added/energy"], forces), self.labels.level)
            self.labels = Labels.concatenate([self.labels.take(range(self.given)), found])
        weights = {
            n.removeprefix("weights/"): torch.as_tensor(v) for n, v in arrays.items() if n.startswith("weights/")
        }
        self.potential = self.potential.with_parameters(weights, {})
        self.prior_calls, self.adaptations = notes["prior_calls"], notes["adaptations"]
