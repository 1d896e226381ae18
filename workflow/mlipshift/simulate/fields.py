"""Force fields of many replicas of one molecule: what a model says, with its prior calls where it needs them.

A field is called with the positions of some replicas and gives their energies and forces in one evaluation of the
network. The neighbour list of a small molecule has all its atoms and is made once: a longer list changes nothing, since
the envelope is zero beyond the cutoff (a contract of every backbone).
"""

from collections.abc import Sequence
from copy import deepcopy
from functools import partial
from typing import Any

import numpy as np
import torch

from mlipshift.base.errors import UserError
from mlipshift.catalogue.strategies import HEADS
from mlipshift.learn import batches
from mlipshift.learn.potential import Potential
from mlipshift.learn.recorded import Recorded
from mlipshift.mitigate.on_the_fly import OnTheFly
from mlipshift.prior.engines import Singlepoint
from mlipshift.shift import graphs

COMPLETE = 32  # atoms up to which the list of all pairs costs no more than looking for the near ones at every step
PRECISIONS = {"float32": torch.float32, "float64": torch.float64}
Answer = tuple[np.ndarray, np.ndarray]  # energy [R] eV, forces [R, n, 3] eV/Å


class Field:
    """Energies and forces of replicas; prior_calls: how often the prior has been asked so far."""

    prior_calls = 0

    def __call__(self, positions: np.ndarray) -> Answer:
        """(energy [R] eV, forces [R, n, 3] eV/Å) of positions [R, n, 3] Å; not finite where there is no answer."""
        raise NotImplementedError

    def look(self, positions: np.ndarray) -> bool:
        """See where the replicas are, now and then: positions [R, n, 3] Å; whether the field is another one now."""
        return False

    def keep(self, still: np.ndarray) -> None:
        """Of the replicas that were asked for last [R], those that are asked for from now on; one has ended."""

    def rest(self) -> None:
        """Nothing is asked for a while: a process of the prior ends, so that its time is known."""

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """What `restore` needs: arrays by name, and what JSON can hold."""
        return {}, {"prior_calls": self.prior_calls}

    def restore(self, arrays: dict[str, np.ndarray], notes: dict[str, Any]) -> None:
        """Be as the field was that gave this state."""
        self.prior_calls = notes["prior_calls"]


class PriorField(Field):
    """The prior itself, one replica after the other; molecule: (numbers [n], charge, multiplicity)."""

    def __init__(self, singlepoint: Singlepoint, molecule: tuple[np.ndarray, int, int]):
        self.singlepoint, self.molecule = singlepoint, molecule

    def __call__(self, positions: np.ndarray) -> Answer:
        numbers, charge, multiplicity = self.molecule
        energy, forces = np.full(len(positions), np.nan), np.full(positions.shape, np.nan)
        for k, x in enumerate(positions):
            self.prior_calls += 1
            try:
                energy[k], forces[k] = self.singlepoint(numbers, x, charge, multiplicity)
            except (UserError, ValueError, RuntimeError):
                # a molecule that has come apart has no self-consistent solution: the end of this replica
                continue
        return energy, forces

    def rest(self) -> None:
        _close(self.singlepoint)


class NetworkField(Field):
    """A trained or adapted model.

    prior: field of the prior, for Δ-learning, which adds it, and for the residual correction with `weight`; None for
    models as they are. precision: of the network, PRECISIONS. Raises UserError for Δ-learning without a prior, and for
    a correction of a model that has no prior head.
    """

    def __init__(
        self,
        potential: Potential,
        numbers: np.ndarray,
        precision: str = "float32",
        prior: PriorField | None = None,
        weight: float = 1.0,
    ):
        if potential.needs_prior and prior is None:
            raise UserError(f"{potential.name}: Δ-learning adds the prior to every step; give a prior")
        self.numbers, self.precision, self.prior, self.weight = numbers, precision, prior, weight
        self.heads: Sequence[str] = ("reference",)
        if prior is not None and not potential.needs_prior:
            if not set(HEADS) <= potential.strategy.learnt:
                raise UserError(f"{potential.name}: a residual correction needs two heads; take freeze or joint")
            self.heads = HEADS
        self._batches: dict[int, batches.Batch] = {}
        self._answers: dict[int, Recorded] = {}
        self.take(potential)

    def take(self, potential: Potential) -> None:
        """Go on with another model of the same architecture."""
        self.potential = potential
        self._answers = {}
        self.network = deepcopy(potential.network).to(PRECISIONS[self.precision]).eval()
        count = [len(self.numbers)]
        # of the model itself: atomic energies are in double precision
        self.baseline = {h: float(potential.network.baseline(h, self.numbers, count)[0]) for h in self.heads}

    def __call__(self, positions: np.ndarray) -> Answer:
        with torch.no_grad():
            out = self._ask(positions)
        found = {head: [v.double().cpu().numpy() for v in out[head]] for head in self.heads}
        for said in found.values():
            # there is no net force but by rounding, which would add up over many steps
            said[1] = said[1] - said[1].mean(axis=1, keepdims=True)
        energy, forces = found["reference"][0] + self.baseline["reference"], found["reference"][1]
        if self.prior is None:
            return energy, forces
        known, share = self.prior(positions), 1.0
        if not self.potential.needs_prior:
            own = found["prior"]
            known, share = (known[0] - own[0] - self.baseline["prior"], known[1] - own[1]), self.weight
        return energy + share * known[0], forces + share * known[1]

    @property
    def prior_calls(self) -> int:  # type: ignore[override]
        """Those of its prior."""
        return self.prior.prior_calls if self.prior is not None else 0

    def rest(self) -> None:
        if self.prior is not None:
            self.prior.rest()

    def restore(self, arrays: dict[str, np.ndarray], notes: dict[str, Any]) -> None:
        if self.prior is not None:
            self.prior.restore(arrays, notes)

    def _ask(self, positions):
        """What the network says of the replicas; only the vectors of the complete list change from step to step."""
        network, n = self.network, len(self.numbers)
        if not 1 < n <= COMPLETE:
            return self._say([graphs.build(self.numbers, x, network.architecture.cutoff) for x in positions])
        others = np.arange(n - 1) + (np.arange(n - 1) >= np.arange(n)[:, None])
        vectors = positions[:, others] - positions[:, :, None]
        if len(positions) not in self._batches:
            rows = [[graphs.Graph(np.asarray(self.numbers, dtype=np.int64), others, v)] for v in vectors]
            self._batches[len(positions)] = batches.collate(rows, network.dtype, network.device)
        batch = self._batches[len(positions)]
        batch.vectors.copy_(torch.as_tensor(vectors, dtype=network.dtype))
        if len(positions) not in self._answers:
            ask = partial(network, batch, self.heads)
            self._answers[len(positions)] = Recorded(ask, network.device, network.recordable)
        return self._answers[len(positions)]()

    def _say(self, rows):
        """What the network says of the graphs of the replicas."""
        batch = batches.collate([[row] for row in rows], self.network.dtype, self.network.device)
        return self.network(batch, self.heads)


class AdaptingField(NetworkField):
    """A model that is adapted again where the replicas have left what it was adapted to; see mitigate.on_the_fly."""

    def __init__(self, adapting: OnTheFly, numbers: np.ndarray, precision: str = "float32"):
        super().__init__(adapting.potential, numbers, precision)
        self.adapting = adapting

    @property
    def prior_calls(self) -> int:  # type: ignore[override]
        """Those of the looks; not those of the first adaptation, which came before the dynamics."""
        return self.adapting.prior_calls

    def look(self, positions: np.ndarray) -> bool:
        changed = self.adapting.look(list(positions))
        if changed:
            self.take(self.adapting.potential)
        return changed

    def rest(self) -> None:
        _close(self.adapting.prior)

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        return self.adapting.state()

    def restore(self, arrays: dict[str, np.ndarray], notes: dict[str, Any]) -> None:
        self.adapting.restore(arrays, notes)
        self.take(self.adapting.potential)


def _close(singlepoint):
    """End the process that answers, where there is one."""
    close = getattr(singlepoint, "close", None)
    if close is not None:
        close()
