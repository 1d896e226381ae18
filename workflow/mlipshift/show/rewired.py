"""Names and looks of what the figures of radius refinement show."""

import re

import pandas as pd

from mlipshift.catalogue.methods import METHODS

ENVELOPES = {"trained": "envelope at the trained radius, as published", "rescaled": "envelope moved with the radius"}
RULES = {
    "best": "Best radius (by labels)",
    "published": "Published (padded, mean)",
    "published_fallback": "Published, with fallback",
    "window": "Window, 55 %",
    "window_of_training": "Window, as in training",
    "window_50": "Window, 50 %",
    "window_60": "Window, 60 %",
    "window_narrow": "Window of ±0.05, 55 %",
    "window_wide": "Window of ±0.2, 55 %",
    "cap_20": "Published, cap of 20",
    "coarse": "Published, three radii",
    "written": "As written (self loops)",
    "no_cap": "Published, no cap",
    "padded_size": "Padded, by size",
    "padded_nearest": "Padded, nearest",
    "wasserstein": "Wasserstein, mean",
    "wasserstein_size": "Wasserstein, by size",
    "wasserstein_nearest": "Wasserstein, nearest",
    "wasserstein_fallback": "Wasserstein, with fallback",
    "wasserstein_molecule": "Wasserstein, per molecule",
    "nothing": "None",
}


def rule(name: str) -> str:
    """Display name of a rule of radii."""
    if name.startswith("prior_"):
        share = float(name.removeprefix("prior_"))
        return "Prior loss" + (f", {100 * share:g} % to gain" if share else "")
    return RULES.get(name, name.replace("_", " ").capitalize())


def network(name: str) -> str:
    """Display name of a network; cutoff_3_5 is one of 3.5 Å."""
    found = re.fullmatch(r"cutoff_(\d+)(?:_(\d+))?", name)
    if found:
        return f"Cutoff {'.'.join(part for part in found.groups() if part)} Å"
    return name.replace("_", " ").capitalize()


def strategy(name: str) -> str:
    """Display name of what a network has learned by."""
    return METHODS[name].title if name in METHODS else "Public model as it is"


def shown(table: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """(rows of one strategy, joint if it is there, its name): the others are in the tables."""
    found = dict.fromkeys(table.strategy)
    one = "joint" if "joint" in found else next(iter(found))
    return table[table.strategy == one], strategy(one)
