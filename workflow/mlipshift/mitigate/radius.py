"""Radius refinement (RR): spectral rewiring of the test graph (Kreiman & Krishnapriyan 2026, section 3.1).

For every test structure, pick the candidate radius whose radius graph has the Laplacian spectrum nearest to those of
the training graphs, and run the unchanged model on the neighbour list of that radius. As in the released code only the
neighbour list changes: the envelope of the model keeps the trained cutoff, so radii above it change nothing and radii
below it cut edges abruptly. What is nearest, and to what, is a `Rule`; that of the journal version is the default one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mlipshift.base.errors import UserError
from mlipshift.base.frames import Frames
from mlipshift.base.rounding import rounding
from mlipshift.base.tables import read_table
from mlipshift.mitigate.references import DISTANCES, REFERENCES, Graphs
from mlipshift.shift.distribution import beyond
from mlipshift.shift.spectra import CAP, VARIANTS, WINDOW, spectra_of_many, window_fraction

PER = ("structure", "molecule")


@dataclass(frozen=True)
class Rule:
    """How radii are chosen. Raises UserError for a value that is none.

    distance: of DISTANCES; reference: of REFERENCES; target: fraction of eigenvalues in the window that is aimed at,
    that of the training graphs if None; width: of the window to either side of 1; variant, cap: of shift.spectra; per:
    "molecule" gives all geometries of one the radius of the least mean distance, so that it does not change along a
    trajectory; sigma: refine what is further from the training graphs than their mean distance by so many standard
    deviations and no larger than they are, all else keeps the trained cutoff; None refines everything, as published;
    above: whether a radius above the trained cutoff counts as refined, which it is for a model that can use it;
    radii_A: those of the candidates that it looks at (Å), all if None.
    """

    distance: str = "padded"
    reference: str = "mean"
    target: float | None = None
    width: float = WINDOW
    variant: str = "published"
    cap: int | None = CAP
    per: str = "structure"
    sigma: float | None = None
    above: bool = True
    radii_A: Sequence[float] | None = None

    def __post_init__(self):
        for name, known in (
            ("distance", DISTANCES),
            ("reference", REFERENCES),
            ("variant", VARIANTS),
            ("per", PER),
        ):
            if getattr(self, name) not in known:
                raise UserError(f"rule of radii: {name} is {getattr(self, name)!r}; use one of {', '.join(known)}")
        if self.distance == "window" and self.reference == "nearest":
            raise UserError(
                "rule of radii: the nearest training graph is not told by a fraction of eigenvalues; use mean"
            )
        if self.target is not None and (self.distance != "window" or self.reference != "mean"):
            raise UserError("rule of radii: a target is of the distance window with the reference mean alone")


@dataclass(frozen=True)
class Choice:
    """RR of S structures with k radii.

    nearest, chosen [S] Å: radius of the least distance, and that with the fallback of the rule; distance [S, k];
    at_trained [S]: distance at the trained cutoff; reason [S]: why the fallback kept the trained cutoff, "" where it
    refined.
    """

    radii: np.ndarray
    nearest: np.ndarray
    chosen: np.ndarray
    distance: np.ndarray
    at_trained: np.ndarray
    reason: list[str]


def choose(train: Frames, test: Frames, trained_cutoff: float, radii: Sequence[float], rule: Rule = Rule()) -> Choice:
    """Choice for all structures of `test` against `train`; trained_cutoff and candidate radii in Å.

    The training graphs are those at the trained cutoff. Raises UserError for radii that are not positive.
    """
    return choose_by(train, test, trained_cutoff, radii, {"rule": rule})["rule"]


def choose_by(
    train: Frames, test: Frames, trained_cutoff: float, radii: Sequence[float], rules: Mapping[str, Rule]
) -> dict[str, Choice]:
    """{name: `choose` by this rule}; rules with the same graphs and variant share their spectra."""
    radii = np.asarray(radii, dtype=float)
    if len(radii) == 0 or not (radii > 0).all():
        raise UserError(f"candidate radii are {radii.tolist()}; give one or more positive radii in Å")
    out: dict[str, Choice] = {}
    for variant, cap in dict.fromkeys((rule.variant, rule.cap) for rule in rules.values()):
        alike = {name: rule for name, rule in rules.items() if (rule.variant, rule.cap) == (variant, cap)}
        known = known_graphs(train, trained_cutoff, next(iter(alike.values())))
        found = spectra_of_many(_positions(test), [*radii, trained_cutoff], variant, cap)
        for name, rule in alike.items():
            out[name] = _decided(known, test.sizes, trained_cutoff, radii, found, rule, _molecules(test))
    return {name: out[name] for name in rules}


def choose_of(
    known: Graphs, positions: Sequence[np.ndarray], trained_cutoff: float, radii: np.ndarray, rule: Rule
) -> np.ndarray:
    """Radii [R] (Å) that a rule chooses for single structures [n, 3], each by itself; known: graphs of its variant."""
    found = spectra_of_many(positions, [*radii, trained_cutoff], rule.variant, rule.cap)
    sizes = np.array([len(x) for x in positions])
    return _decided(known, sizes, trained_cutoff, radii, found, rule, np.arange(len(sizes))).chosen


def window_fractions(frames: Frames, cutoff: float) -> np.ndarray:
    """Fraction [S] of the published eigenvalues in (0.9, 1.1) at a cutoff (Å), the connectivity of the paper."""
    return window_fraction([spectrum for (spectrum,) in spectra_of_many(_positions(frames), [cutoff])])


def known_graphs(train: Frames, trained_cutoff: float, rule: Rule) -> Graphs:
    """Training graphs at the trained cutoff (Å), with the spectra of a rule."""
    spectra = spectra_of_many(_positions(train), [trained_cutoff], rule.variant, rule.cap)
    return Graphs(train.sizes, [spectrum for (spectrum,) in spectra])


def chosen_in(path: Path, ids: np.ndarray) -> dict[str, np.ndarray]:
    """{rule: radius [S] (Å)} of the structures `ids` [S] in a table of rule choose_radii.

    Raises UserError if a structure has none.
    """
    found = read_table(path)
    found["id"] = found.id.astype(str)
    wide = found.pivot(index="id", columns="rule", values="chosen_A").reindex(ids.astype(str))
    if wide.isna().any(axis=None):
        raise UserError(f"{path}: some structures have no radius; run the rule that makes it again")
    return {rule: wide[rule].to_numpy() for rule in dict.fromkeys(found.rule)}


def connectivity_in(path: Path, ids: np.ndarray) -> np.ndarray:
    """`window_fractions` [S] of the structures `ids` [S] at the trained radius, in the same table."""
    found = read_table(path)
    first = found.drop_duplicates("id")
    return first.set_index(first.id.astype(str)).window_fraction.reindex(ids.astype(str)).to_numpy()


def least_loss(loss: np.ndarray, margin: float) -> np.ndarray:
    """Number of the radius [S] with the least loss [T, S] of the prior head, the first where that gains too little.

    margin: share of the loss at the first radius that has to be gained. A structure without a loss keeps the first.
    """
    known = np.where(np.isfinite(loss), loss, np.inf)
    best = known.argmin(0)
    gained = np.isfinite(loss[0]) & (known.min(0) < (1 - margin) * known[0])
    return np.where(gained, best, 0)


def _positions(frames: Frames) -> list[np.ndarray]:
    return [frames[k][1] for k in range(len(frames))]


def _decided(
    known: Graphs,
    sizes: np.ndarray,
    cutoff: float,
    radii: np.ndarray,
    found: Sequence,
    rule: Rule,
    molecules: np.ndarray,
) -> Choice:
    """Choice by one rule; found: spectra of every structure at all radii and at the trained cutoff; sizes [S]: atoms.

    molecules [S]: number of the molecule of every structure, whose distances a rule may average.
    """
    settings: dict[str, Any] = {n: getattr(rule, n) for n in ("distance", "reference", "target", "width")}
    distance = known.distances(found, sizes, **settings)
    distance, at_trained = distance[:, :-1], distance[:, -1]
    distance = np.where(_looked_at(rule, radii), distance, np.inf)
    compared = _averaged(distance, molecules) if rule.per == "molecule" else distance
    least = compared.min(1, keepdims=True)
    nearest = radii[(compared <= least + rounding(least)).argmax(1)]  # the first of equal ones
    usable = np.full(len(sizes), rule.above) | (nearest < cutoff)
    if rule.sigma is None:
        reason = ["" if below else _ABOVE for below in usable]
    else:
        usual = known.usual(**settings)
        away = beyond(at_trained, *usual, "upper", rule.sigma)
        compares = rule.distance == "padded" and rule.reference == "mean"
        reason = list(_reasons(sizes if compares else np.zeros(len(sizes)), known.sizes.max(), away, usable))
    chosen = np.where([not r for r in reason], nearest, cutoff)
    return Choice(radii, nearest, chosen, distance, at_trained, reason)


_ABOVE = "chosen radius is not below the trained cutoff"


def _reasons(sizes: np.ndarray, largest: int, away: np.ndarray, usable: np.ndarray) -> Iterable[str]:
    """Why a structure keeps the trained cutoff, "" where it does not."""
    for size, shifted, below in zip(sizes, away, usable):
        if size > largest:
            # zeros at the end of a spectrum compare sizes wrongly
            yield "larger than the largest training structure"
        elif not shifted:
            yield "in distribution at the trained cutoff"
        else:
            yield "" if below else _ABOVE


def _looked_at(rule: Rule, radii: np.ndarray) -> np.ndarray:
    """Candidates [k] that a rule looks at. Raises UserError if there are none."""
    if rule.radii_A is None:
        return np.ones(len(radii), dtype=bool)
    found = np.isclose(radii[:, None], np.asarray(rule.radii_A)).any(1)
    if not found.any():
        raise UserError(f"rule of radii: none of its radii_A {list(rule.radii_A)} is among {radii.tolist()} Å")
    return found


def _molecules(frames: Frames) -> np.ndarray:
    """Number [S] of the molecule of every structure, within its group."""
    return np.unique([f"{g}\n{m}" for g, m in zip(frames.group, frames.molecule)], return_inverse=True)[1]


def _averaged(distance: np.ndarray, molecules: np.ndarray) -> np.ndarray:
    """Distances [S, k], of every structure the mean over its molecule."""
    out = np.empty_like(distance)
    for one in np.unique(molecules):
        out[molecules == one] = distance[molecules == one].mean(0)
    return out
