"""Where the groups lie, in words: one sentence for each from the table of the shares outside, and what is not known.

Every word follows from the numbers that it is said with. A share says something beside that of the training structures
themselves alone, of which some lie outside of any limit.
"""

from typing import Any

import numpy as np
import pandas as pd

from mlipshift.base.rounding import rounding
from mlipshift.base.text import count, listed, several
from mlipshift.catalogue.criteria import CRITERIA
from mlipshift.catalogue.groups import GROUPS, group, ordered
from mlipshift.show.criteria import label
from mlipshift.show.report.format import share

# one measure each: the first of them that was made
ASPECTS = {
    "elements": ("unseen_element_fraction",),
    "size": ("n_atoms",),
    "composition": ("composition_distance",),
    "forces": ("prior_force_norm_eV_per_A", "reference_force_norm_eV_per_A", "predicted_force_norm_eV_per_A"),
    "connectivity": ("spectrum_wasserstein_nearest",),
}
ELEMENTS = ASPECTS["elements"]  # of which no training structure has any
MORE = 0.1  # share of structures outside, beyond that of training, from which a group is said to lie outside
FEW = 10  # structures, below which a share is rough

Rows = dict[tuple[str, str], dict[str, Any]]  # of the summary, by criterion and group


def _rows(summary: pd.DataFrame) -> tuple[Rows, dict[str, str], list[str]]:
    """(rows, {aspect: criterion}, groups but training) of the table of the shares outside."""
    rows = {(row["criterion"], row["group"]): row for row in summary.to_dict("records")}
    made = {name for name, _ in rows}
    found = {aspect: next((n for n in names if n in made), None) for aspect, names in ASPECTS.items()}
    groups = [g for g in ordered(summary.group, GROUPS) if g != "train"]
    return rows, {aspect: name for aspect, name in found.items() if name}, groups


def sentences(summary: pd.DataFrame) -> list[dict[str, str]]:
    """[{title, key, text}] of the groups."""
    rows, made, groups = _rows(summary)
    found = []
    for g in groups:
        own = {aspect: rows[name, g] for aspect, name in made.items() if (name, g) in rows}
        number = max((row["n_structures"] for row in own.values()), default=0)
        words = listed(_seen(own))
        text = f"{several(count(number), 'structure')}, {words}."
        if "train" in set(summary.group):
            text += f" {_outside(own, rows)}"
        found.append({"title": group(g), "key": g, "text": text})
    return found


def _seen(own):
    """What sets a group apart, in words: size, elements, forces."""
    words = []
    if "size" in own:
        words.append(_compared(own["size"], ("larger", "smaller", "as large as"), "atoms"))
    if "elements" in own:
        # a mean over structures, of which a part has such atoms
        new = own["elements"]["mean"] > rounding(0.0)
        words.append("with elements that training does not have" if new else "no unseen elements")
    if "forces" in own:
        names, kind = ("larger forces", "smaller forces", "forces as"), own["forces"]["criterion"].split("_")[0]
        words.append(_compared(own["forces"], names, f"eV/Å in {kind} forces"))
    return words or ["of which nothing was measured"]


def _compared(row, words, unit):
    """'larger than in training (mean 24 atoms; training 9.1 ± 3)', of a group of which most are outside."""
    mean, known, spread = (row[k] for k in ("mean", "training_mean", "training_standard_deviation"))
    if not np.isfinite(mean):
        return f"{words[2].split()[0]} not known"
    if not np.isfinite(known):
        return f"mean {mean:.3g} {unit}"
    if not row["fraction_outside"] > 0.5:
        return f"{words[2]} in training"
    # far on both sides, the mean is that of training
    both = abs(mean - known) < spread / 2
    word = " or ".join(words[:2]) if both else words[0] if mean > known else words[1]
    return f"{word} than in training (mean {mean:.3g} {unit}; training {known:.3g} ± {spread:.2g})"


def _sides(own: dict[str, dict[str, Any]], rows: Rows) -> tuple[list[tuple[str, float, float]], list[str]]:
    """([(aspect, share, that of training)] of what is outside more often than training structures, other aspects)."""
    far: list[tuple[str, float, float]] = []
    near: list[str] = []
    for aspect, row in own.items():
        outside = row["fraction_outside"]
        if not np.isfinite(outside):
            continue
        usual = rows[row["criterion"], "train"]["fraction_outside"]
        usual = usual if np.isfinite(usual) else 0.0
        if outside > usual + MORE:
            far.append((aspect, outside, usual))
        else:
            near.append(aspect)
    return far, near


def _outside(own, rows):
    """The shares outside that are more than those of training structures, and what is like training."""
    far, near = _sides(own, rows)
    if not far and not near:
        return "How many lie outside the training distribution is not known."
    if not far:
        return f"By {listed(near)} they lie outside no more often than training structures themselves."
    each = (
        f"{share(s)} by {aspect}" + (f" (training: {share(usual)})" if usual > 0 else "") for aspect, s, usual in far
    )
    text = f"Outside the training distribution: {listed(each)}"
    return text + (f"; by {listed(near)} as training structures themselves." if near else ".")


def briefly(summary: pd.DataFrame) -> list[dict[str, Any]]:
    """[{title, key, number, far}] of the groups beside training: structures, and [(aspect, share, that of training)].

    far: of what lies outside more often than training structures do, the most telling first; None where that is not
    known of any measure. No row without training structures.
    """
    rows, made, groups = _rows(summary)
    if "train" not in set(summary.group):
        return []
    found = []
    for g in groups:
        own = {aspect: rows[name, g] for aspect, name in made.items() if (name, g) in rows}
        far, near = _sides(own, rows)
        far.sort(key=lambda one: one[2] - one[1])
        number = max((row["n_structures"] for row in own.values()), default=0)
        found.append({"title": group(g), "key": g, "number": number, "far": far if far or near else None})
    return found


def unsaid(summary: pd.DataFrame) -> list[str]:
    """Sentences on what the shares do not say, and why."""
    rows, made, groups = _rows(summary)
    found = []
    if "train" not in set(summary.group):
        found.append(
            "No training data given: neither how far structures lie from them can be said, nor which elements are"
            " unseen, only how the groups differ from each other. Give data.files.train, or their statistics"
            " (data.training_statistics)."
        )
    if "forces" not in made:
        found.append("Nothing is said of forces: shifts.labels names no labels, or there are none.")
    known = {name: rows[name, "train"] for name, g in rows if g == "train"}
    size = max((row["n_structures"] for row in known.values()), default=0)
    if known and size < FEW:
        found.append(f"Training has {several(count(size), 'structure')} alone: its mean and its spread are rough.")
    flat = [n for n in ordered(known, CRITERIA) if known[n]["training_standard_deviation"] == 0 and n not in ELEMENTS]
    if flat:
        names = listed(f"“{label(name)}”" for name in flat)
        found.append(f"All training structures have the same value of {names}: any other counts as outside.")
    few = {g: max(row["n_structures"] for (_, own), row in rows.items() if own == g) for g in groups}
    rough = [f"{group(g)} ({count(n)})" for g, n in few.items() if n < FEW]
    if rough:
        found.append(f"Shares of fewer than {FEW} structures are rough: {listed(rough)}.")
    for name in ordered({name for name, _ in rows}, CRITERIA):
        for g in (["train"] if known else []) + groups:
            number, whole = rows[name, g]["n_structures"], size if g == "train" else few[g]
            if number < whole:
                missing = f"{count(whole - number)} of {count(whole)} structures of {group(g)}"
                found.append(f"“{label(name)}” is not known of {missing}, which count neither as inside nor outside.")
    return found
