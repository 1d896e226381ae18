"""What the help for models gives, group by group, and which sign tells where a model errs.

Every difference is paired and has an interval over molecules. Choices were made on validation groups; what is
reported is of held-out ones.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mlipshift.catalogue.groups import VALIDATION
from mlipshift.evaluate import statistics
from mlipshift.evaluate.errors import POOLED, Errors
from mlipshift.evaluate.statistics import INTERVAL, Bootstrap

SEVERE = "ood_severe"  # all held-out structures but ordinary ones
ORDINARY = ("val_ordinary", "ood_ordinary")
FEW = 10  # structures, below which no sign is judged

HELP = ["group", "method", "model", "n_structures", "n_molecules", *statistics.MEAN, "median_meV_per_A"]
AGAINST = {"model": "model", "single": "best_single", "prior": "prior"}
HELP += [f"{name}_{column}" for name in AGAINST for column in ("difference_meV_per_A", *INTERVAL)]
HELP += ["best_single", "fraction_improved"]


def groups_of(errors: Errors) -> dict[str, np.ndarray]:
    """{group: boolean [S]}, with all validation structures, all held-out ones, and those but the ordinary ones."""
    found = errors.groups()
    severe = found[POOLED] & ~np.isin(errors.frames.group.astype(str), ORDINARY)
    return found | {SEVERE: severe, VALIDATION: errors.frames.of_kind("val_")}


def best_single(errors: Errors, models: list[str]) -> str:
    """The model with the least mean error on the validation structures that it takes, which is most of them.

    One that takes fewer than half is no model for all of them.
    """
    validation = errors.frames.of_kind("val_")
    means = {}
    for name in models:
        known = validation & np.isfinite(errors.mean(name))
        if known.sum() > 0.5 * validation.sum():
            means[name] = errors.mean(name)[known].mean()
    return min(means, key=lambda n: means[n]) if means else models[0]


def owner(method: str, models: Sequence[str]) -> str:
    """The model that a strategy helps, empty for a committee and for the prior."""
    return next((m for m in sorted(models, key=len, reverse=True) if method == m or method.startswith(f"{m}_")), "")


def table(errors: Errors, models: list[str]) -> list[dict[str, Any]]:
    """Rows of HELP: every group and method, against the model that is helped, the best single one and the prior.

    A difference is over the structures that both sides predict.
    """
    single, rows = best_single(errors, models), []
    for group, chosen in groups_of(errors).items():
        for method in errors.final:
            values = errors.mean(method)
            if method == "zero" or (found := errors.summarise(values, chosen)) is None:
                continue
            row: dict[str, Any] = {
                "group": group,
                "method": method,
                "model": owner(method, models),
                "best_single": single,
            }
            row |= {key: found[key] for key in HELP if key in found}
            others = {"model": row["model"], "single": single, "prior": "prior"}
            for name, other in others.items():
                if not other or other == method:
                    continue
                pair = errors.compare(values, errors.mean(other), chosen)
                if pair is None:
                    continue
                row |= {f"{name}_{column}": pair[column] for column in ("difference_meV_per_A", *INTERVAL)}
                if name == "model":
                    row["fraction_improved"] = pair["fraction_improved"]
            rows.append(row)
    return rows


SIGNS = ["model", "sign", "group", "recommended", "n_structures", "n_molecules", "spearman", "ci_low", "ci_high"]
SIGNS += ["auroc", "auroc_ci_low", "auroc_ci_high", "kept_half_relative", "kept_half_ci_low", "kept_half_ci_high"]


def _kept(values, errors, clusters, resamples, seed):
    """(mean error of the half with the smaller values over that of all, low, high)."""
    bootstrap = Bootstrap(clusters, resamples, seed)
    kept = (values <= np.median(values)).astype(float)
    ratio = lambda w: (w * kept) @ errors / max((w * kept).sum(), 1e-12) / ((w @ errors) / w.sum())
    found = np.array([ratio(counts[bootstrap.owner]) for counts in bootstrap.weights])
    ends = np.quantile(found, [0.025, 0.975]) if bootstrap.clusters > 1 else (np.nan, np.nan)
    return ratio(np.ones(len(values))), *map(float, ends)


def signs(errors: Errors, found: Mapping[str, Mapping[str, np.ndarray]]) -> list[dict[str, Any]]:
    """Rows of SIGNS: how well every sign finds the errors of its model, and which one validation recommends.

    found {model: {sign: [S]}}. The recommended sign has the largest mean of rank correlation and AUROC on all
    validation structures.
    """
    rows = []
    for model, of_model in found.items():
        values, best = errors.mean(model), ("", -np.inf)
        own = []
        for sign, numbers in of_model.items():
            for group, chosen in groups_of(errors).items():
                use = chosen & np.isfinite(numbers) & np.isfinite(values)
                if use.sum() < FEW:
                    continue
                clusters = statistics.resampled(errors.frames.molecule[use], errors.frames.ids[use])[1]
                side = (numbers[use], values[use], clusters, errors.resamples, errors.seed)
                row: dict[str, Any] = {"model": model, "sign": sign, "group": group, "n_structures": int(use.sum())}
                row["n_molecules"] = len(set(errors.frames.molecule[use]))
                cells = (*statistics.spearman(*side), *statistics.auroc(*side), *_kept(*side))
                row |= dict(zip(SIGNS[6:], cells))
                score = np.nan_to_num(row["spearman"] + row["auroc"], nan=-2)
                if group == VALIDATION and score > best[1]:
                    best = sign, score
                own.append(row)
        rows += [row | {"recommended": row["sign"] == best[0]} for row in own]
    return rows


PAYOFF = ["run", "id", "group", "molecule", "method", "model", "model_error_meV_per_A", "prior_error_meV_per_A"]
PAYOFF += ["after_meV_per_A", "error_ratio", "gain_ratio", "expected_ratio"]


def payoff(errors: Errors, models: list[str], expected: Mapping[str, Mapping[str, np.ndarray]]) -> list[dict[str, Any]]:
    """Rows of PAYOFF: error before over that of the prior, and after over before, of every structure and strategy.

    The run is empty where it is this one.

    expected {model: {"model": [S], "prior": [S]}}: errors that are expected without a label, eV/Å.
    """
    f, prior, rows = errors.frames, errors.mean("prior"), []
    for method in errors.final:
        model = owner(method, models)
        if not model or method == model:
            continue
        before, after = errors.mean(model), errors.mean(method)
        known = np.isfinite(before) & np.isfinite(after) & np.isfinite(prior)
        hope = expected.get(model, {})
        ratio = hope["model"] / hope["prior"] if {"model", "prior"} <= set(hope) else np.full(len(f), np.nan)
        for k in np.flatnonzero(known):
            cells = ("", f.ids[k], f.group[k], f.molecule[k], method, model, before[k], prior[k], after[k])
            last = (before[k] / max(prior[k], statistics.TIE), after[k] / max(before[k], statistics.TIE), ratio[k])
            rows.append(dict(zip(PAYOFF, (*cells, *last))))
    return rows


CROSSING = ["run", "method", "model", "side", "n_structures", "n_molecules", "improved", "median_gain_ratio"]
CROSSING += ["mean_before_meV_per_A", "mean_after_meV_per_A"]
SIDES = {
    "error ratio above 1": lambda r: r["error_ratio"] > 1,
    "error ratio below 1": lambda r: r["error_ratio"] <= 1,
    "expected ratio above 1": lambda r: r["expected_ratio"] > 1,
    "expected ratio below 1": lambda r: r["expected_ratio"] <= 1,
}


def crossing(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of CROSSING: held-out structures on either side of the crossover, by the true and by the expected ratio."""
    out = []
    held_out = [r for r in rows if r["group"].startswith("ood_")]
    for run, method in dict.fromkeys((r["run"], r["method"]) for r in held_out):
        own = [r for r in held_out if (r["run"], r["method"]) == (run, method)]
        for side, on_it in SIDES.items():
            part = [r for r in own if on_it(r)]
            if not part:
                continue
            before, after = (np.array([r[key] for r in part]) for key in ("model_error_meV_per_A", "after_meV_per_A"))
            out.append(
                {
                    "run": run,
                    "method": method,
                    "model": part[0]["model"],
                    "side": side,
                    "n_structures": len(part),
                    "n_molecules": len({r["molecule"] for r in part}),
                    "improved": float((after < before - statistics.TIE).mean()),
                    "median_gain_ratio": float(np.median([r["gain_ratio"] for r in part])),
                    "mean_before_meV_per_A": float(before.mean()),
                    "mean_after_meV_per_A": float(after.mean()),
                }
            )
    return out
