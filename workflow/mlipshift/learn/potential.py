"""A trained network together with what its strategy adds to a prediction; on disk a directory, weights and card.

The network predicts above the atomic baseline, and Δ-learning adds the prior: what a model promises is put together
here and nowhere else.
"""

import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mlipshift.base.errors import UserError, shortened
from mlipshift.base.files import Sink, replacing
from mlipshift.base.frames import Frames, Labels
from mlipshift.base.predictions import Predictions
from mlipshift.catalogue.strategies import STRATEGIES, Strategy
from mlipshift.learn import batches, networks
from mlipshift.learn.backbones import create
from mlipshift.learn.backbones.base import Backbone
from mlipshift.shift import graphs

FORMAT = "mlipshift-model-1"
# why it learns and predicts no periodic structures, and what to do
MOLECULES_ONLY = (
    "the two-head potential of this workflow takes molecules only; name other models in the setting models, or take"
    " them out of data.files"
)
Row = tuple[Any, np.ndarray]  # energy [...] eV and forces [..., n, 3] eV/Å of a structure of n atoms


@dataclass(frozen=True)
class Potential:
    """network: Backbone; card: what is known of it, `strategy` and `seed` at least; origin: directory it came from."""

    network: Backbone
    card: Mapping[str, Any]
    origin: str | None = None

    @classmethod
    def load(cls, path: Path | str, device: torch.device | str = "cpu") -> "Potential":
        """That of a directory written by `save`, on a device. Raises UserError if it is not one.

        Weights are tensors and nothing else: torch refuses to unpickle any other object.
        """
        path = Path(path)
        try:
            card = json.loads((path / "model.json").read_text())
            if card["format"] != FORMAT:
                raise UserError(f"{path}: holds {card['format']}, expected {FORMAT}")
            if card["strategy"] not in STRATEGIES:
                raise UserError(f"{path}: learnt by {card['strategy']!r}, which is unknown here; train it again")
            network = create(card.get("backbone", networks.DEFAULT), card["architecture"], card["heads"])
            network.load_state_dict(torch.load(path / "weights.pt", map_location="cpu", weights_only=True))
            if not all(p.isfinite().all() for p in network.parameters()):
                raise UserError(f"{path}: weights are not finite; train it again")
        except UserError:
            raise
        except Exception as error:  # a damaged archive raises many kinds
            raise UserError(f"{path}: not a model of this project ({shortened(error)}); train it again") from error
        return cls(network.to(device).eval(), card, str(path))

    def save(self, path: Path | str) -> None:
        """Write weights.pt and model.json (architecture, card) into the directory `path`."""
        path, network = Path(path), self.network
        with replacing(path / "weights.pt") as part, Sink(part) as sink:
            torch.save({name: value.cpu() for name, value in network.state_dict().items()}, sink)
            sink.check()
        counts = network.counts()
        body = {
            **self.card,
            "format": FORMAT,
            "backbone": network.name,
            "architecture": asdict(network.architecture),
            "heads": list(network.names),
            "units": {"energy": "eV", "length": "Å", "forces": "eV/Å"},
            "forces": network.architecture.forces,
            "parameters": counts.pop("all"),
            "parameters_of": counts,
        }
        (path / "model.json").write_text(json.dumps(body, indent=1, sort_keys=True) + "\n")

    @property
    def name(self) -> str:
        """Where it was loaded from, for messages."""
        return self.origin or f"model of {self.card['strategy']}"

    @property
    def strategy(self) -> Strategy:
        """How it was trained, and on what."""
        return STRATEGIES[self.card["strategy"]]

    @property
    def cutoff(self) -> float:
        """Radius of the neighbour list it was trained with (Å)."""
        return self.network.architecture.cutoff

    @property
    def needs_prior(self) -> bool:
        """Whether every prediction needs a prior label (Δ-learning)."""
        return self.strategy.difference

    def complete(self, frames: Frames, rows: Sequence[Row | None], prior: Labels | None = None) -> list[Row | None]:
        """What the network says of S structures, with what belongs to a prediction: atomic baseline, and prior.

        rows: per structure the energies [...] above the baseline (eV) and the forces [..., n, 3], of one prediction or
        of several, or None. prior: labels of `frames`, which Δ-learning alone looks at; None is returned where one is
        missing. Raises UserError without labels that are needed.
        """
        if self.needs_prior and prior is None:
            raise UserError(f"{self.name}: Δ-learning adds the prior to every prediction; give prior labels")
        baseline = self.network.baseline("reference", frames.numbers, frames.sizes)
        prior = prior.select(frames.ids) if prior is not None and self.needs_prior else None
        out = []
        for k, row in enumerate(rows):
            if row is not None:
                row = row[0] + baseline[k], row[1]
                if prior is not None:
                    row = (row[0] + prior.energy[k], row[1] + prior.forces_of(k)) if prior.ok[k] else None
            out.append(row)
        return out

    def predict(
        self,
        frames: Frames,
        prior: Labels | None = None,
        cutoffs: Sequence[float] | None = None,
        envelope: str = "trained",
        batch: int = 64,
    ) -> list[Row | None]:
        """(energy eV, forces [n, 3] eV/Å) of every structure, None where Δ-learning lacks its prior label.

        prior: see `complete`; cutoffs, envelope, batch: see networks.predict. Raises UserError for periodic structures,
        and for a model whose reference head has learnt nothing.
        """
        if "reference" not in self.strategy.learnt:
            raise UserError(
                f"{self.name}: learnt by {self.card['strategy']}, which trains no reference head; take another model"
            )
        structures = [frames[k][:2] for k in range(len(frames.molecules_only(MOLECULES_ONLY)))]
        found = networks.predict(self.network, structures, cutoffs, envelope, batch=batch)
        return self.complete(frames, found, prior)

    def warm_up(self, frames: Frames, prior: Labels | None = None, batch: int = 64) -> None:
        """Predict a first batch for nothing: what torch sets up in its first calls is no cost of a structure."""
        self.predict(frames.take(np.arange(min(batch, len(frames)))), prior, batch=batch)

    def predictions(
        self,
        frames: Frames,
        prior: Labels | None = None,
        cutoffs: Sequence[float] | None = None,
        envelope: str = "trained",
        method: str | None = None,
    ) -> Predictions:
        """`predict` as Predictions of the method `method`, named as the strategy unless given."""
        rows = self.predict(frames, prior, cutoffs, envelope)
        rows = [row and ([row[0]], row[1][None]) for row in rows]
        return self.results(frames, rows, [0], method or self.card["strategy"], cutoffs)

    def results(
        self,
        frames: Frames,
        rows: Sequence[Row | None],
        steps: Sequence[int],
        method: str,
        cutoffs: Sequence[float] | None = None,
        loss: np.ndarray | None = None,
    ) -> Predictions:
        """Predictions of complete rows (energies [T], forces [T, n, 3]) after `steps` [T]; loss [T, S] eV/Å."""
        cutoffs = self.cutoff if cutoffs is None else cutoffs
        return Predictions.build(frames, rows, steps, cutoffs, method, self.card["seed"], loss)

    def features(self, frames: Frames, batch: int = 64) -> np.ndarray:
        """Scalar features of the shared representation, mean over the atoms of every structure [S, F]."""
        return np.array([found.mean(axis=0, dtype=float) for found in self.features_of_atoms(frames, batch)])

    def features_of_atoms(self, frames: Frames, batch: int = 64) -> list[np.ndarray]:
        """Scalar features of the shared representation of the atoms [n, F], for each structure."""
        out, network = [], self.network
        for rows_of in batches.portions(frames.sizes, batch, network.device):
            part = [frames[k][:2] for k in range(rows_of.start, rows_of.stop)]
            rows = [graphs.build(*structure, self.cutoff) for structure in part]
            found = network.features(batches.collate([rows], network.dtype, network.device))[0]
            out += [f.cpu().numpy() for f in found.detach().split([len(numbers) for numbers, _ in part])]
        return out

    def with_parameters(self, parameters: Mapping[str, torch.Tensor], card: Mapping[str, Any]) -> "Potential":
        """A copy with some parameters of the network replaced, {name: values}, and `card` on top of its own."""
        network = deepcopy(self.network)
        network.load_state_dict(dict(parameters), strict=False)
        return Potential(network, {**self.card, **card})
