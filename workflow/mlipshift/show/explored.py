"""The quantities of the explorer in words: measures of shift, errors, gain, disagreement, loss, representation."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from mlipshift.catalogue.criteria import CRITERIA
from mlipshift.catalogue.methods import METHODS, title
from mlipshift.evaluate import explored
from mlipshift.evaluate.explored import disagreement
from mlipshift.show import help_groups
from mlipshift.show.criteria import label
from mlipshift.show.explorer import Arrows, Quantity, Words

REFERENCE = "#1a1a1a"
COLOURS = ("#0072B2", "#D55E00", "#CC79A7", "#8a6d00", "#56B4E9", "#5B2A86", "#00534D", "#882255")  # of models
PRIOR = "#009E73"
MAE = "Mean absolute error per force component"
READ = (
    "Every point is a structure; press one, or name it below, and it is drawn with its forces. What has no value of a"
    " chosen quantity is not on the map. An address of this page, copied, keeps axes, groups, filter and structure."
)
APART = "root mean square over models and atoms of the distance of a force from their mean"


def error_key(name: str) -> str:
    """Key of the force MAE of a method or model."""
    return f"{name}_meV_per_A"


def measures(table: pd.DataFrame, ids: np.ndarray) -> list[Quantity]:
    """Measures of shift of structures, from the table of them."""
    return [
        Quantity(key, label(key), explored.by_id(table, key, ids), "Measure of shift, of the structure alone")
        for key in CRITERIA
        if key in table.columns
    ]


def reference(forces: np.ndarray) -> Arrows:
    """Arrows of the reference forces [N, 3] eV/Å."""
    return Arrows("reference", "Reference", REFERENCE, forces)


def prior(forces: np.ndarray, name: str = "Prior") -> Arrows:
    """Arrows of the prior forces [N, 3] eV/Å."""
    return Arrows("prior", name, PRIOR, forces)


def errors(table: pd.DataFrame, ids: np.ndarray) -> list[Quantity]:
    """Errors of all methods but controls, from the table per_structure, averaged over seeds."""
    found = explored.errors(table, ids)
    return [
        Quantity(error_key(key), f"Force MAE, {title(key)} (meV/Å)", found[key], f"{MAE}, mean over seeds")
        for key, method in METHODS.items()
        if key in found and not method.control
    ]


def gain(known: list[Quantity], before: str, after: str) -> list[Quantity]:
    """How much an adaptation lowers the error; nothing if either is not among the known quantities."""
    values = {q.key: q.values for q in known}
    first, second = (values.get(error_key(name)) for name in (before, after))
    if first is None or second is None:
        return []
    name = f"Gain, {title(before)} to {title(after)} (meV/Å)"
    return [Quantity("gain_meV_per_A", name, first - second, "Error before minus error after; larger is better")]


def seeds_apart(name: str, forces: np.ndarray, offsets: np.ndarray) -> list[Quantity]:
    """Disagreement of the seeds of a method; forces [M, N, 3] eV/Å; nothing of a single one."""
    if len(forces) < 2:
        return []
    about = f"Of {len(forces)} seeds: {APART}; no label is needed"
    values = disagreement(forces, offsets)
    return [Quantity("spread_meV_per_A", f"Spread over seeds, {title(name)} (meV/Å)", values, about)]


def models_apart(forces: np.ndarray, offsets: np.ndarray) -> list[Quantity]:
    """Disagreement of several models; forces [M, N, 3] eV/Å."""
    about = f"Of {len(forces)} models: {APART}; no label is needed"
    return [
        Quantity("disagreement_meV_per_A", "Disagreement of the models (meV/Å)", disagreement(forces, offsets), about)
    ]


def losses(name: str, loss: np.ndarray) -> list[Quantity]:
    """Loss on the prior labels before and after an adaptation; loss [seeds, T, S] eV/Å."""
    about = "Of the prior head on the prior labels of the structure, mean over seeds; no reference label is needed"
    return [
        Quantity(f"prior_loss_{when}_meV_per_A", f"Prior loss {when} {title(name)} (meV/Å)", 1000 * values, about)
        for when, values in (("before", loss[:, 0].mean(0)), ("after", loss[:, -1].mean(0)))
    ]


def of_model(name: str, found: Mapping[str, Any]) -> list[Quantity]:
    """What the diagnosis knows of one model, which bears its short name, as axes have little room.

    found: {"errors", "embedding"}: tables, {"spread"}: [S] meV/Å or None, {"ids"}: [S].
    """
    own = [
        Quantity(
            error_key(name),
            f"Force MAE, {name} (meV/Å)",
            explored.by_id(found["errors"], "force_mae_meV_per_A", found["ids"]),
            MAE,
        )
    ]
    if found["spread"] is not None:
        about = f"Of the members of the ensemble: {APART}; no label is needed"
        own.append(Quantity(f"{name}_spread_meV_per_A", f"Spread, {name} (meV/Å)", found["spread"], about))
    own += [
        Quantity(f"{name}_{key}", f"{label(key)}, {name}", explored.by_id(found["errors"], key, found["ids"]))
        for key, criterion in CRITERIA.items()
        if criterion.own and key in found["errors"].columns
    ]
    about = "Principal component of the representation that the model has of structures"
    return own + [
        Quantity(
            f"{name}_component_{k}",
            f"Representation, component {k}, {name}",
            explored.by_id(found["embedding"], f"component_{k}", found["ids"]),
            about,
        )
        for k in (1, 2)
        if len(found["embedding"])
    ]


RESCUED = {
    "expected_model_meV_per_A": ("Expected error, model (meV/Å)", "Without a label, from the validation groups"),
    "expected_error_meV_per_A": ("Expected error, rescued (meV/Å)", "Without a label, from the validation groups"),
    "spread_meV_per_A": ("Sign: spread of the ensemble (meV/Å)", "A sign of being outside; no label is needed"),
    "prior_residual_meV_per_A": ("Sign: residual of the prior head (meV/Å)", "A sign of being outside"),
    "prior_difference_meV_per_A": ("Sign: distance to the prior (meV/Å)", "A sign of being outside"),
    "disagreement_meV_per_A": ("Sign: disagreement of models (meV/Å)", "A sign of being outside"),
    "trusted_weight": ("Largest weight", "Of what the rescued forces are made of"),
    "true_model_meV_per_A": ("True error, model (meV/Å)", MAE),
    "true_rescued_meV_per_A": ("True error, rescued (meV/Å)", MAE),
    "true_constant_meV_per_A": ("True error, one weight for all (meV/Å)", MAE),
    "true_prior_meV_per_A": ("True error, GFN2-xTB (meV/Å)", MAE),
}


def rescued(table: pd.DataFrame, ids: np.ndarray) -> list[Quantity]:
    """What is known of structures of one's own, from the table of write_rescued with true errors, if any."""
    numbers = [
        Quantity(column, name, explored.by_id(table, column, ids).astype(float), about)
        for column, (name, about) in RESCUED.items()
        if column in table
    ]
    trusted = [help_groups.TRUSTED.get(v, v) for v in explored.by_id(table, "trusted", ids)]
    words = [
        Quantity("trusted", "Rests mainly on", np.array(trusted, dtype=object)),
        Quantity("weights", "Weights of the forces", explored.by_id(table, "weights", ids).astype(object)),
    ]
    return numbers + words


def words(title: str, note: str, back: tuple[str, str]) -> Words:
    """Words of a page; note: on whose forces are drawn and what the numbers are; back: (file, words) of a link."""
    return Words(title, READ, [note], back)
