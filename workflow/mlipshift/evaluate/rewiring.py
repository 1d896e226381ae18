"""What radius refinement does, by rule, network and group, beside the best radius that labels would have chosen.

Everything is a look at scans: errors at every candidate radius. Rules that look at spectra, or at the loss of the prior
head, know no reference label; the best radius knows them all and is an upper bound. The rule that is recommended is
chosen on validation groups alone.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mlipshift.base.frames import Frames
from mlipshift.base.rounding import places
from mlipshift.catalogue.groups import POOLED, VALIDATION
from mlipshift.evaluate.bins import bin_edges
from mlipshift.evaluate.statistics import INTERVAL, TIE, Bootstrap, paired, resampled
from mlipshift.mitigate.radius import least_loss

ABOUT = ["network", "strategy", "envelope"]
CURVE = [*ABOUT, "group", "radius_A", "trained", "n_structures", "n_molecules", "n_seeds", "mean_meV_per_A"]
CURVE += ["difference_meV_per_A", *INTERVAL, "fraction_changed"]
RULES = [*ABOUT, "group", "rule", "n_structures", "n_molecules", "n_seeds", "n_refined", "trained_meV_per_A"]
RULES += ["chosen_meV_per_A", "difference_meV_per_A", *INTERVAL, "relative_change", "fraction_improved"]
RULES += ["fraction_worsened", "fraction_unchanged", "best_difference_meV_per_A", "share_of_best", "recommended"]
RADII = [*ABOUT, "id", "group", "molecule", "n_atoms", "rule", "trained_A", "chosen_A", "best_A"]
RADII += ["trained_meV_per_A", "chosen_meV_per_A", "best_meV_per_A"]
ADAPTED = [*ABOUT, "group", "rule", "n_structures", "n_molecules", "n_seeds", "trained_meV_per_A", "refined_meV_per_A"]
ADAPTED += ["adapted_meV_per_A", "both_meV_per_A", "both_to_adapted_meV_per_A", *INTERVAL]
BINS = [*ABOUT, "rule", "bin_left", "bin_right", "bin_mean", "n_structures", "n_molecules", "n_seeds"]
BINS += ["trained_meV_per_A", "chosen_meV_per_A", "best_meV_per_A", "difference_meV_per_A", *INTERVAL]
BEST, NOTHING = "best", "nothing"
ONE_DEVIATION = 0.6827  # level of an interval of one standard error to either side


@dataclass(frozen=True)
class Scanned:
    """Errors of a network at T radii for S structures: the trained radius first.

    network, strategy, envelope: what it is; radii [T] Å; errors [seeds, T, S] meV/Å; losses [seeds, T, S] eV/Å of the
    prior head, NaN without one.
    """

    network: str
    strategy: str
    envelope: str
    radii: np.ndarray
    errors: np.ndarray
    losses: np.ndarray

    @property
    def about(self) -> dict[str, str]:
        """Columns ABOUT."""
        return {name: getattr(self, name) for name in ABOUT}

    @property
    def known(self) -> np.ndarray:
        """Structures [S] with an error at every radius."""
        return np.isfinite(self.errors).all(axis=(0, 1))

    @property
    def best(self) -> np.ndarray:
        """Number of the radius [S] with the least error, averaged over seeds; of equal ones the first."""
        mean = self.errors.mean(0)
        least = np.where(np.isfinite(mean), mean, np.inf)
        # what is within rounding of the trained radius is no better
        return np.where(least.min(0) < least[0] - TIE, least.argmin(0), 0)

    def picks(self, chosen: Mapping[str, np.ndarray], margins: Iterable[float]) -> dict[str, np.ndarray]:
        """{rule: numbers of the radii [seeds, S]}.

        chosen: {rule: radii [S] Å} of those that look at spectra; margins: of mitigate.radius.least_loss.
        """
        seeds = len(self.errors)
        found = {name: np.tile(self.places(radii), (seeds, 1)) for name, radii in chosen.items()}
        if np.isfinite(self.losses).any():
            for margin in margins:
                found[prior_rule(margin)] = np.stack([least_loss(loss, margin) for loss in self.losses])
        return found | {BEST: np.tile(self.best, (seeds, 1))}

    def places(self, radii: np.ndarray) -> np.ndarray:
        """Numbers [S] of radii [S] (Å) among those of the scan."""
        return np.abs(self.radii[:, None] - radii).argmin(0)

    def at(self, picks: np.ndarray) -> np.ndarray:
        """Errors [S] (meV/Å) with numbers of radii [seeds, S], averaged over seeds."""
        return np.take_along_axis(self.errors, picks[:, None], axis=1)[:, 0].mean(0)


def prior_rule(margin: float) -> str:
    """Name of the rule by the loss of the prior head."""
    return f"prior_{margin:g}"


def groups_of(frames: Frames, known: np.ndarray) -> dict[str, np.ndarray]:
    """{group: numbers of its structures that are known}, all validation and all held-out groups together at the end."""
    groups = {str(g): np.flatnonzero((frames.group == g) & known) for g in dict.fromkeys(frames.group)}
    groups |= {VALIDATION: np.flatnonzero(frames.of_kind("val_") & known)}
    groups |= {POOLED: np.flatnonzero(frames.of_kind("ood_") & known)}
    return {name: rows for name, rows in groups.items() if len(rows)}


def curve(scanned: Scanned, frames: Frames, resamples: int, seed: int) -> list[dict]:
    """Rows of CURVE: the error at every radius, and its difference to that at the trained one."""
    rows, mean = [], scanned.errors.mean(0)
    moved = (np.abs(scanned.errors - scanned.errors[:, :1]) > TIE).any(0)
    for group, own in groups_of(frames, scanned.known).items():
        for t in np.argsort(scanned.radii[1:], kind="stable") + 1:
            found = paired(mean[t, own], mean[0, own], frames.molecule[own], frames.ids[own], resamples, seed)
            rows.append(
                {
                    **scanned.about,
                    "group": group,
                    "radius_A": scanned.radii[t],
                    "trained": bool(np.isclose(scanned.radii[t], scanned.radii[0])),
                    "n_seeds": len(scanned.errors),
                    "mean_meV_per_A": found["method_mean_meV_per_A"],
                    "fraction_changed": moved[t, own].mean(),
                    **{key: found[key] for key in ("n_structures", "n_molecules", "difference_meV_per_A", *INTERVAL)},
                }
            )
    return rows


def rules(
    scanned: Scanned, frames: Frames, picks: Mapping[str, np.ndarray], resamples: int, seed: int
) -> tuple[list[dict], str]:
    """(rows of RULES, the rule that is recommended, NOTHING where none is better on the validation groups)."""
    trained = scanned.errors[:, 0].mean(0)
    errors = {name: scanned.at(numbers) for name, numbers in picks.items()}
    groups = groups_of(frames, scanned.known)
    advised = _recommended(errors, trained, frames, groups.get(VALIDATION, np.empty(0, dtype=int)), resamples, seed)
    rows = []
    for group, own in groups.items():
        ceiling = (errors[BEST] - trained)[own].mean()
        for name, error in errors.items():
            found = paired(error[own], trained[own], frames.molecule[own], frames.ids[own], resamples, seed)
            difference = found["difference_meV_per_A"]
            rows.append(
                {
                    **scanned.about,
                    "group": group,
                    "rule": name,
                    "n_seeds": len(scanned.errors),
                    "n_refined": int((picks[name][:, own] != 0).any(0).sum()),
                    "trained_meV_per_A": found["baseline_mean_meV_per_A"],
                    "chosen_meV_per_A": found["method_mean_meV_per_A"],
                    "relative_change": difference / found["baseline_mean_meV_per_A"],
                    "fraction_unchanged": 1 - found["fraction_improved"] - found["fraction_worsened"],
                    "best_difference_meV_per_A": ceiling,
                    "share_of_best": difference / ceiling if ceiling < -TIE else np.nan,
                    "recommended": name == advised,
                    **{key: found[key] for key in RULES if key in found and key != "recommended"},
                }
            )
    return rows, advised


def _recommended(errors, trained, frames, own, resamples, seed):
    """The rule with the least error on the validation structures, if that is more than its standard error better."""
    candidates = [name for name in errors if name != BEST]
    if not len(own) or not candidates:
        return NOTHING
    name = min(candidates, key=lambda rule: errors[rule][own].mean())
    gain = (errors[name] - trained)[own]
    clusters = resampled(frames.molecule[own], frames.ids[own])[1]
    high = Bootstrap(clusters, resamples, seed).mean_interval(gain, ONE_DEVIATION)[1]
    return name if high < 0 else NOTHING


def radii(scanned: Scanned, frames: Frames, picks: Mapping[str, np.ndarray], shown: Sequence[str]) -> list[dict]:
    """Rows of RADII of the rules `shown`: chosen radius and the best one of every structure, by the first seed."""
    trained, rows = scanned.errors[:, 0].mean(0), []
    least = scanned.at(picks[BEST])
    for name in shown:
        error = scanned.at(picks[name])
        for k in np.flatnonzero(scanned.known):
            rows.append(
                {
                    **scanned.about,
                    "id": frames.ids[k],
                    "group": frames.group[k],
                    "molecule": frames.molecule[k],
                    "n_atoms": int(frames.sizes[k]),
                    "rule": name,
                    "trained_A": scanned.radii[0],
                    "chosen_A": scanned.radii[picks[name][0, k]],
                    "best_A": scanned.radii[picks[BEST][0, k]],
                    "trained_meV_per_A": trained[k],
                    "chosen_meV_per_A": error[k],
                    "best_meV_per_A": least[k],
                }
            )
    return rows


def bins(
    scanned: Scanned,
    frames: Frames,
    picks: Mapping[str, np.ndarray],
    shown: Sequence[str],
    connectivity: np.ndarray,
    resamples: int,
    seed: int,
) -> list[dict]:
    """Rows of BINS of the rules `shown`: the paper's figure 6, in and out of distribution, without validation groups.

    connectivity [S]: fraction of the eigenvalues in (0.9, 1.1) at the trained radius.
    """
    own = np.flatnonzero(scanned.known & ~frames.of_kind("val_"))
    if not len(own):
        return []
    edges, rows = bin_edges(connectivity[own]), []
    place = places(connectivity[own], edges)
    trained, least = scanned.errors[:, 0].mean(0), scanned.at(picks[BEST])
    for name in shown:
        error = scanned.at(picks[name])
        for k in np.unique(place):
            part = own[place == k]
            found = paired(error[part], trained[part], frames.molecule[part], frames.ids[part], resamples, seed)
            rows.append(
                {
                    **scanned.about,
                    "rule": name,
                    "bin_left": edges[k],
                    "bin_right": edges[k + 1],
                    "bin_mean": connectivity[part].mean(),
                    "n_seeds": len(scanned.errors),
                    "trained_meV_per_A": found["baseline_mean_meV_per_A"],
                    "chosen_meV_per_A": found["method_mean_meV_per_A"],
                    "best_meV_per_A": least[part].mean(),
                    **{key: found[key] for key in ("n_structures", "n_molecules", "difference_meV_per_A", *INTERVAL)},
                }
            )
    return rows


def adapted(
    scanned: Scanned,
    frames: Frames,
    picks: Mapping[str, np.ndarray],
    errors: Mapping[str, np.ndarray],
    resamples: int,
    seed: int,
) -> list[dict]:
    """Rows of ADAPTED: test-time training on graphs that are refined, and on those that are not.

    errors: {rule: errors [S] (meV/Å) after adaptation on its graphs, averaged over seeds}, NOTHING among them.
    """
    rows, trained = [], scanned.errors[:, 0].mean(0)
    known = scanned.known & np.isfinite(list(errors.values())).all(axis=0)
    for group, own in groups_of(frames, known).items():
        for rule in (name for name in errors if name != NOTHING):
            found = paired(
                errors[rule][own], errors[NOTHING][own], frames.molecule[own], frames.ids[own], resamples, seed
            )
            rows.append(
                {
                    **scanned.about,
                    "group": group,
                    "rule": rule,
                    "n_seeds": len(scanned.errors),
                    "trained_meV_per_A": trained[own].mean(),
                    "refined_meV_per_A": scanned.at(picks[rule])[own].mean(),
                    "adapted_meV_per_A": found["baseline_mean_meV_per_A"],
                    "both_meV_per_A": found["method_mean_meV_per_A"],
                    "both_to_adapted_meV_per_A": found["difference_meV_per_A"],
                    **{key: found[key] for key in ("n_structures", "n_molecules", *INTERVAL)},
                }
            )
    return rows
