"""Groups of structures and the kinds of shift that they hold, in display order."""

from collections.abc import Iterable

# key behind ood_ of a held-out group: title
AXES = {
    "new_elements": "New elements",
    "connectivity": "Connectivity",
    "force_norm": "Force norm",
    "larger": "Larger molecules",
}

POOLED = "ood_all"  # all held-out groups together
VALIDATION = "val_all"  # all validation groups together
COMMON = "ood_common"

GROUPS = {
    "train": "Training",
    "id_test": "In distribution",
    **{f"val_{key}": f"{name}, validation" for key, name in AXES.items()},
    **{f"ood_{key}": name for key, name in AXES.items()},
    POOLED: "All held-out shifts",
    COMMON: "Held-out molecules with the most geometries",
}

# groups of the user's own, by the beginning of their key
KINDS = {"id": "In distribution", "val": "Validation", "ood": "Held out"}


def group(key: str) -> str:
    """Display name of a group of structures; that of a group of the user's own comes from its key."""
    kind, _, name = key.partition("_")
    return GROUPS.get(key) or (f"{KINDS[kind]}: {name.replace('_', ' ')}" if name and kind in KINDS else key)


def shift(axis: str) -> str:
    """Display name of a shift, the part of a held-out group's key behind ood_."""
    return AXES.get(axis) or f"{axis[:1].upper()}{axis[1:].replace('_', ' ')}"


def ordered(keys: Iterable[str], names: Iterable[str]) -> list[str]:
    """Distinct keys in the order of `names`, unknown ones last and sorted."""
    keys, names = set(keys), list(names)
    return [k for k in names if k in keys] + sorted(keys - set(names))
