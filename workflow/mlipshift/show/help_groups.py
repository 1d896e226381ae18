"""Names of the groups and methods of the help for models, in the order in which they are shown."""

from collections.abc import Iterable, Mapping

import pandas as pd

from mlipshift.base.text import count

# of the stress set; groups of other files come after them
ORDER = ("ordinary", "floppy", "elements", "ions", "compressed", "hot", "strained", "stretched", "radicals")
POOLED = ("ood_all", "ood_severe")
WAYS = {
    "mixed": "mixed with the prior",
    "corrected": "corrected",
    "rescued": "rescued",
    "ttt": "after TTT",
    "placebo": "after placebo TTT",
    "distilled": "distilled",
    "mean": "mean",
    "arbiter": "nearest to the prior",
    "weighted": "weighted",
}
LABELLED = {
    "full": "fine-tuned",
    "low_rank": "low-rank updates",
    "correction": "small correction",
    "delta": "Δ on the prior",
}
SIGNS = {
    "spread": "spread of the ensemble",
    "residual": "residual of the prior head",
    "prior": "difference to the prior",
    "disagreement": "difference to the other models",
    "expected": "expected error",
    "feature_distance": "distance in features",
}
SHORT = {
    "spread": "ensemble's spread",
    "residual": "head's residual",
    "prior": "difference to prior",
    "disagreement": "other models",
    "expected": "expected error",
    "feature_distance": "distance in features",
}
# estimates that rescued forces rest on
TRUSTED = {"model": "the model", "corrected": "the corrected model", "prior": "GFN2-xTB"}
OUTSIDE = 2.0  # times the expected error on ordinary validation structures, beyond which a structure is outside
VALIDATION = "val_ordinary"  # the group that says what error a model has where it was trained


def usual(structures: pd.DataFrame, model: str, columns: Mapping[str, str]) -> dict[str, float]:
    """{"expected": of the error, sign: of its values} medians (meV/Å) of a model on ordinary validation structures.

    structures: the table of rescue_models; columns {sign: column}. On all validation structures if none are ordinary.
    """
    own = structures[structures.strategy == f"{model}_rescued"]
    ordinary = own[own.group == VALIDATION]
    known = ordinary if len(ordinary) else own[own.group.astype(str).str.startswith("val_")]
    asked = {"expected": "expected_model_meV_per_A", **columns}
    return {name: float(known[column].median()) for name, column in asked.items()}


def held_out(groups: Iterable[str]) -> list[str]:
    """Held-out groups but the pooled ones, in ORDER."""
    found = {g for g in groups if g.startswith("ood_") and g not in POOLED}
    place = {f"ood_{name}": k for k, name in enumerate(ORDER)}
    return sorted(found, key=lambda g: (place.get(g, len(place)), g))


def title(group: str) -> str:
    """Display name of a group without its kind."""
    if group in POOLED:
        return "All" if group == "ood_all" else "All but ordinary"
    name = group.partition("_")[2].replace("_", " ")
    return f"{name[:1].upper()}{name[1:]}"


def model(name: str, titles: Mapping[str, str]) -> str:
    """Display name of a model: its title up to a comma, or to the second one where another model begins with it."""
    short = titles[name].partition(",")[0]
    others = {title.partition(",")[0].partition(" ")[0] for key, title in titles.items() if key != name}
    return " ".join(titles[name].split(", ")[:2]) if short in others else short


def method(name: str, titles: Mapping[str, str]) -> str:
    """Display name of a model, the prior or a strategy; titles {model: title}."""
    if name == "prior":
        return "GFN2-xTB"
    if name in titles:
        return model(name, titles)
    owner = next((m for m in sorted(titles, key=len, reverse=True) if name.startswith(f"{m}_")), "")
    base = model(owner, titles) if owner else "Committee"
    way = name.removeprefix(owner or "committee").strip("_")
    if way in WAYS:
        return f"{base}, {WAYS[way]}"
    kind, _, labels = way.rpartition("_")
    return f"{base}, {LABELLED.get(kind, way)}" + (f", {count(float(labels))} labels" if kind in LABELLED else "")
