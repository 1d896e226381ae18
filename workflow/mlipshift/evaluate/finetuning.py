"""Fine-tuning on a few labels: error against their number, on what they are of and on what was known before.

Errors are force MAE per structure in meV/Å. Seeds differ in the model and in which structures are labelled; they are
averaged per structure before intervals are taken.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlipshift.base.frames import Frames, Labels
from mlipshift.base.predictions import Predictions
from mlipshift.evaluate.statistics import MEAN, Bootstrap, force_mae, resampled

ALL = "all"  # groups together
KNOWN = ["known_meV_per_A", "known_ci_low_meV_per_A", "known_ci_high_meV_per_A"]
FORGOTTEN = ["forgotten_meV_per_A", "forgotten_ci_low_meV_per_A", "forgotten_ci_high_meV_per_A"]
_RUN = ["group", "start", "replay", "amount", "n_labels"]
FINETUNING = [*_RUN, "seed", "steps", "learning_rate", "new_meV_per_A", "n_new", "known_meV_per_A", "n_known"]
CALLS = ["prior_calls", "prior_calls_per_prediction"]
CURVES = [*_RUN, *CALLS, "n_seeds", "n_structures", "n_molecules", *MEAN, "n_known", *KNOWN, *FORGOTTEN]
NEEDED = ["group", "start", "replay", "target_meV_per_A", "n_labels_needed", "best_meV_per_A", "n_labels_most"]


@dataclass(frozen=True)
class Run:
    """One fine-tuned model: errors [S] meV/Å of the test structures, NaN where not predicted; what: columns of it.

    what: group, start, replay, amount, n_labels, seed, steps, learning_rate, prior_calls, prior_calls_per_prediction.
    """

    what: Mapping[str, Any]
    errors: np.ndarray

    @property
    def key(self) -> tuple:
        """Group, start, whether with replay, amount."""
        return tuple(self.what[c] for c in ("group", "start", "replay", "amount"))


def run_of(report: Mapping[str, Any], name: str, predictions: Predictions, frames: Frames, reference: Labels) -> Run:
    """Run of predictions; report: what rule finetune wrote; name: of the run in it, such as replay_20."""
    kind, _, amount = name.partition("_")
    what = {c: report[c] for c in ("group", "start", "seed", *CALLS)} | report["runs"][name]
    what |= {"replay": kind == "replay", "amount": amount}
    return Run(what, force_mae(predictions.forces[-1], reference.forces, frames.offsets))


def _parts(run_group: str, frames: Frames) -> tuple[np.ndarray, np.ndarray]:
    """Which structures [S] are new and which known."""
    return frames.group == run_group, frames.of_kind("id_")


def rows(runs: Iterable[Run], frames: Frames) -> list[dict]:
    """Rows of FINETUNING, one per run."""
    out = []
    for run in runs:
        row = {c: run.what[c] for c in FINETUNING if c in run.what}
        for name, part in zip(("new", "known"), _parts(run.what["group"], frames)):
            found = run.errors[part & np.isfinite(run.errors)]
            row |= {f"{name}_meV_per_A": found.mean() if len(found) else np.nan, f"n_{name}": len(found)}
        out.append(row)
    return out


def curves(runs: Iterable[Run], frames: Frames, resamples: int, seed: int) -> list[dict]:
    """Rows of CURVES: means over seeds and structures, of every group and of ALL.

    Forgotten is the error on known structures minus that of the same start with no label.
    """
    by_key: dict[tuple, list[Run]] = {}
    for run in runs:
        by_key.setdefault(run.key, []).append(run)
    found = {key: np.mean([r.errors for r in of], axis=0) for key, of in by_key.items()}
    out = []
    for key, of in by_key.items():
        new, known = _parts(key[0], frames)
        row = _row(of) | _of_new(frames, new & np.isfinite(found[key]), found[key], resamples, seed)
        before = found.get((key[0], key[1], False, "0"))
        out.append(row | _of_known(frames, known, found[key], before, resamples, seed))
    groups = list(dict.fromkeys(key[0] for key in by_key))
    for rest in dict.fromkeys(key[1:] for key in by_key):
        parts = [(g, *rest) for g in groups]
        if all(key in by_key for key in parts):
            out.append(_of_all(frames, parts, by_key, found, resamples, seed))
    return out


def _row(runs):
    """Columns that all seeds share; the number of labels is that of the first."""
    first = runs[0].what
    return {c: first[c] for c in (*_RUN, *CALLS)} | {"n_seeds": len(runs)}


def _of_new(frames, chosen, values, resamples, seed):
    molecules, ids = frames.molecule[chosen], frames.ids[chosen]
    row = {"n_structures": int(chosen.sum()), "n_molecules": len(set(molecules))}
    return row | (_mean(MEAN, values[chosen], molecules, ids, resamples, seed) if chosen.any() else {})


def _of_known(frames, known, values, before, resamples, seed):
    chosen = known & np.isfinite(values)
    row: dict[str, Any] = {"n_known": int(chosen.sum())}
    if chosen.any():
        where = frames.molecule[chosen], frames.ids[chosen], resamples, seed
        row |= _mean(KNOWN, values[chosen], *where)
        if before is not None:
            row |= _mean(FORGOTTEN, (values - before)[chosen], *where)
    return row


def _mean(names, values, molecules, ids, resamples, seed):
    interval = Bootstrap(resampled(molecules, ids)[1], resamples, seed).mean_interval(values)
    return dict(zip(names, (values.mean(), *interval)))


def _of_all(frames, parts, by_key, found, resamples, seed):
    """Row of ALL: the new structures of every group, each by the model that was fine-tuned on its group."""
    values = np.full(len(frames), np.nan)
    for key in parts:
        new, _ = _parts(key[0], frames)
        values[new] = found[key][new]
    row = _row(by_key[parts[0]]) | {"group": ALL}
    row["prior_calls"] = sum(by_key[key][0].what["prior_calls"] for key in parts)
    row |= _of_new(frames, np.isfinite(values), values, resamples, seed)
    _, known = _parts(ALL, frames)
    means = np.mean([found[key] for key in parts], axis=0)
    starts = [found.get((key[0], key[1], False, "0")) for key in parts]
    before = None if any(s is None for s in starts) else np.mean(starts, axis=0)
    return row | _of_known(frames, known, means, before, resamples, seed)


def needed(table: Iterable[Mapping[str, Any]], target: float) -> list[dict]:
    """Rows of NEEDED: the smallest number of labels of a curve whose mean error is below `target` (meV/Å), or none.

    table: rows of CURVES. The start as it is belongs to both curves, with replay and without.
    """
    rows, out = [dict(r) for r in table], []
    for key in dict.fromkeys((r["group"], r["start"], r["replay"]) for r in rows):
        group, start, replay = key
        own = [r for r in rows if (r["group"], r["start"]) == (group, start)]
        own = [r for r in own if r["replay"] == replay or r["n_labels"] == 0]
        reached = [r["n_labels"] for r in own if r[MEAN[0]] < target]
        out.append(
            dict(zip(NEEDED, (*key, target, min(reached, default=np.nan))))
            | {"best_meV_per_A": min(r[MEAN[0]] for r in own), "n_labels_most": max(r["n_labels"] for r in own)}
        )
    return out
