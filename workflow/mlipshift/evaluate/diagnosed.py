"""One model and everything that its diagnosis is made of: errors, measures of shift, its own representation."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import h5py
import numpy as np

from mlipshift.base.averages import mean_norm
from mlipshift.base.errors import UserError
from mlipshift.base.frames import Frames, Labels
from mlipshift.base.predictions import Predictions
from mlipshift.base.tables import read_table
from mlipshift.catalogue.criteria import CRITERIA
from mlipshift.evaluate import diagnosis, statistics
from mlipshift.shift.measures import nearest

ABOUT = ["id", "group", "molecule"]
ERROR = "force_mae_meV_per_A"
COMPONENTS = ["component_1", "component_2"]


def representation(path: Path | None, frames: Frames) -> np.ndarray | None:
    """Embedding [S, d] of the frames, NaN where a structure has none; None if there is none at all.

    Raises UserError if the file cannot be read or is of other structures.
    """
    if path is None:
        return None
    try:
        with h5py.File(path) as handle:
            embedding, ids = handle["embedding"][()], handle["ids"].asstr()[()]
    except (OSError, KeyError) as error:
        raise UserError(f"{path}: not a readable HDF5 store ({error}); delete it and run again") from error
    if not np.array_equal(ids, frames.ids):
        raise UserError(f"{path}: a representation of other frames (ids differ); re-run the rule that made it")
    return embedding if np.isfinite(embedding).any() else None


def _columns_of(path, train, test):
    """Measures of the table of shift measures, which has to be of these frames.

    Its training structures are those of others where the frames have none: of statistics, or none at all.
    """
    table = read_table(path)
    known = (table.group == "train").to_numpy()
    if list(table.id[~known]) != list(test.ids) or (len(train) and list(table.id[known]) != list(train.ids)):
        raise UserError(f"{path}: shift measures of other frames (ids differ); re-run the rule that made them")
    names = [name for name in CRITERIA if name in table.columns and table[name].notna().any()]
    values = {name: table[name].to_numpy(dtype=float) for name in names}
    return {name: (column[known], column[~known]) for name, column in values.items()}


def distances(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance ([T], [S]) to the nearest training structure but itself, of representations [T, d] and [S, d]."""
    finite = np.isfinite(train).all(axis=1)
    skipped = np.where(finite, np.cumsum(finite) - 1, -1)
    return nearest(train, train[finite], skipped), nearest(test, train[finite], np.full(len(test), -1))


@dataclass(frozen=True)
class Diagnosed:
    """What is known of a model; pairs are of the T training and the S test structures. There may be none of the former.

    frames, labels (reference): pairs; errors: ([T], [S]) meV/Å, NaN without; measures: {criterion: ([K], [S])}, K as T
    but where statistics stand for training structures; maps:
    coordinates ([T, 2], [S, 2]) of the representations, None where the model gives none; explained [2]: their shares
    of the variance.
    """

    frames: tuple[Frames, Frames]
    labels: tuple[Labels, Labels]
    errors: tuple[np.ndarray, np.ndarray]
    measures: diagnosis.Measures
    maps: tuple[np.ndarray, np.ndarray] | None
    explained: np.ndarray

    @classmethod
    def of(
        cls,
        frames: tuple[Frames, Frames],
        labels: tuple[Labels, Labels],
        predictions: tuple[Predictions, Predictions],
        shifts: Path,
        embeddings: tuple[np.ndarray | None, np.ndarray | None] = (None, None),
    ) -> Self:
        """Diagnosed of pairs; shifts: CSV of the measures of shift; embeddings [T, d], [S, d], None if there is none.

        Raises UserError if the table is of other frames.
        """
        measures = _columns_of(shifts, *frames)
        measures["predicted_force_norm_eV_per_A"] = tuple(mean_norm(p.forces[-1], p.offsets) for p in predictions)
        maps, explained = None, np.zeros(2)
        if embeddings[1] is not None and (embeddings[0] is not None or not len(frames[0])):
            known = np.empty((0, embeddings[1].shape[1])) if embeddings[0] is None else embeddings[0]
            if len(known):
                measures["embedding_distance"] = distances(known, embeddings[1])
            first, second, explained = diagnosis.embedding_map(known, embeddings[1])
            maps = first, second
        of_train, of_test = (diagnosis.errors_of(p, known) for p, known in zip(predictions, labels))
        return cls(frames, labels, (of_train, of_test), measures, maps, explained)

    def _joined(self, name):
        return np.concatenate([getattr(f, name) for f in self.frames])

    @property
    def resampled(self) -> tuple[str, np.ndarray]:
        """statistics.resampled of training and test structures together."""
        return statistics.resampled(self._joined("molecule"), self._joined("ids"))

    def tables(self, sigma: float, resamples: int, seed: int) -> dict[str, tuple[list[str], list[dict]]]:
        """{table: (columns, rows)}; outside is beyond `sigma` deviations; resamples, seed: of the bootstrap."""
        train, test = self.frames
        bootstrap: dict[str, Any] = {"resamples": resamples, "seed": seed}
        units = self.resampled[1]
        of_test = bootstrap | {"clusters": units[len(train) :]}
        side = (self.measures, self.errors[1], test.molecule)
        (known, window), errors = self.measures["window_fraction"], np.concatenate(self.errors)
        fraction = np.concatenate([known if len(train) else [], window])
        groups = diagnosis.by_group(
            *(self._joined("group"), self._joined("molecule"), fraction, known, errors, sigma),
            **bootstrap,
            clusters=units,
        )
        structures = [dict(zip(ABOUT, row)) for row in zip(*map(self._joined, ("ids", "group", "molecule")))]
        own = {
            name: np.concatenate(self.measures[name]) for name, c in CRITERIA.items() if c.own and name in self.measures
        }
        points: np.ndarray | list = np.concatenate(self.maps) if self.maps else []
        return {
            "errors": (
                [*ABOUT, ERROR, *own],
                [
                    about | {ERROR: error} | {name: values[k] for name, values in own.items()}
                    for k, (about, error) in enumerate(zip(structures, errors))
                ],
            ),
            "axes": (diagnosis.AXES, diagnosis.in_and_out(*side, sigma, **of_test)),
            "bins": (diagnosis.BINNED, diagnosis.binned(*side, **of_test)),
            "ranks": (diagnosis.RANKS, diagnosis.ranks(*side, **of_test, validation=test.of_kind("val_"))),
            "groups": (diagnosis.GROUPS, groups),
            "embedding": (
                [*ABOUT, *COMPONENTS],
                [about | dict(zip(COMPONENTS, xy)) for about, xy in zip(structures, points)],
            ),
        }

    def missing(self) -> list[str]:
        """Sentences on what could not be diagnosed, and why."""
        (train, test), found = self.frames, []
        labelled = self.labels[1].ok
        unlabelled = int((~labelled).sum())
        unpredicted = int((~np.isfinite(self.errors[1]) & labelled).sum())
        if unlabelled == len(test):
            found.append(
                "No test structure has a reference label: there are no errors, no rank correlations and no figure of"
                " them."
            )
        elif unlabelled:
            found.append(f"{unlabelled} of {len(test)} test structures have no reference label and no error.")
        validation = test.of_kind("val_") & np.isfinite(self.errors[1])
        if labelled.any() and validation.sum() < diagnosis.FEW:
            found.append(
                f"No validation groups (val_NAME) with {diagnosis.FEW} errors or more: nothing says beforehand whether"
                " larger or smaller values of a measure go with larger errors. Number of atoms, force norms and the"
                " fraction of eigenvalues are ranked by their value, with the sign that was found."
            )
        if unpredicted:
            found.append(f"{unpredicted} labelled test structures have no prediction of this model and no error.")
        if not len(train):
            found.append(
                "No training structures given: the error on them is not known, nor how far structures lie from them in"
                " the representation of the model."
            )
        elif not np.isfinite(self.errors[0]).any():
            found.append(
                f"The error on the {len(train)} training structures is not known: no labels or no predictions."
            )
        if self.maps is None:
            found.append("The model gives no representation: there is no embedding map and no distance in it.")
        if "prior_force_norm_eV_per_A" not in self.measures:
            found.append("There are no prior labels: the force norm axis has no measure of the prior.")
        return found

    def summary(self, model: str) -> dict[str, object]:
        """What diagnosis.json says: numbers of structures and errors, what was resampled, what is missing."""
        return {
            "model": model,
            "n_train": len(self.measures["window_fraction"][0]),
            "n_test": len(self.frames[1]),
            "resampled": self.resampled[0],
            "n_errors": int(np.isfinite(self.errors[1]).sum()),
            "explained_variance": [round(float(v), 6) for v in self.explained],
            "missing": self.missing(),
        }
