"""Settings of what changes a published model: rates that fit its family, one line for what is no setting."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from mlipshift.base.errors import UserError

T = TypeVar("T")

CLIP = 10.0  # gradient norm, as in mitigate.adaptation
# learning rates of Adam by family, chosen on validation structures; what is well depends on the size of the weights
RATES = {"mace": 4e-3, "aimnet2": 3e-5}
RATE = 1e-3
# the same for a few labels, chosen by cross-validation over the validation molecules of the stress set
FEW_LABELS_RATES = {"mace": 3e-4, "aimnet2": 3e-5}


def with_rate(settings: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    """Settings, with the learning rate of the family of a registry entry where they have none."""
    return {"learning_rate": RATES.get(entry.get("family", ""), RATE), **settings}


def with_rates(settings: Mapping[str, Any], entry: Mapping[str, Any], factor: float = 1.0) -> dict[str, Any]:
    """Settings of few labels, whose `rates` are `factor` times that of the family of a registry entry each."""
    settings = dict(settings)
    unit = factor * FEW_LABELS_RATES.get(entry.get("family", ""), RATE)
    return {"learning_rates": [unit * rate for rate in settings.pop("rates", [1.0])], **settings}


def settings_of(kind: type[T], settings: Mapping[str, Any], what: str) -> T:
    """Settings of the data class `kind`; what: the name of the method. Raises UserError for an unknown one."""
    known = {f.name for f in fields(kind)}  # type: ignore[arg-type]  # a data class
    unknown = sorted(set(settings) - known)
    if unknown:
        raise UserError(f"{unknown[0]!r} is no setting of {what}; known: {', '.join(sorted(known))}")
    return kind(**settings)


def at_least(what: str, **limits: tuple[float, float]) -> None:
    """Raise UserError unless every value is at least its limit: name=(value, limit)."""
    for name, (value, limit) in limits.items():
        if not value >= limit:
            raise UserError(f"{what}: {name} is {value}; give at least {limit}")
