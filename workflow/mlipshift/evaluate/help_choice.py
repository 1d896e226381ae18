"""What the signs of an error are good for: what to leave out, and where to help; and the gains of other runs.

A choice that was made on validation groups is reported on held-out ones.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mlipshift.base.tables import read_table
from mlipshift.catalogue.groups import VALIDATION
from mlipshift.evaluate import statistics
from mlipshift.evaluate.errors import Errors
from mlipshift.evaluate.helped import FEW, groups_of
from mlipshift.evaluate.statistics import INTERVAL, MEAN

Row = Mapping[str, Any]
SHARES = tuple(round(0.1 * k, 1) for k in range(1, 11))
KEPT = ["model", "sign", "recommended", "share", "n_structures", "n_molecules", *MEAN, "oracle_meV_per_A"]


def kept(
    errors: Errors, found: Mapping[str, Mapping[str, np.ndarray]], recommended: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Rows of KEPT: mean error of the share of the held-out structures that has the smallest values of a sign.

    found {model: {sign: [S]}}; recommended {model: sign}. The oracle leaves out those of the largest errors.
    """
    rows = []
    held_out = errors.frames.of_kind("ood_")
    for model, of_model in found.items():
        values = errors.mean(model)
        for sign, numbers in of_model.items():
            use = np.flatnonzero(held_out & np.isfinite(numbers) & np.isfinite(values))
            if len(use) < FEW:
                continue
            by_sign, by_error = (use[np.argsort(v[use], kind="stable")] for v in (numbers, values))
            for share in SHARES:
                size = int(np.ceil(round(share * len(use), 6)))
                chosen = np.zeros(len(values), dtype=bool)
                chosen[by_sign[:size]] = True
                summary = errors.summarise(values, chosen)
                assert summary is not None
                row = {"model": model, "sign": sign, "recommended": recommended.get(model) == sign, "share": share}
                row |= {key: summary[key] for key in ("n_structures", "n_molecules", *MEAN)}
                rows.append(row | {"oracle_meV_per_A": values[by_error[:size]].mean()})
    return rows


DECISION = ["method", "model", "group", "threshold", "n_structures", "n_molecules", "fraction_helped"]
DECISION += [f"{name}_meV_per_A" for name in ("never", "always", "decided", "best")]
# paired differences of the decision: to the best choice of every structure, to help always, to help never
BESIDE = {"regret": "best", "always": "always", "never": "never"}
DECISION += [f"{name}_{column}" for name in BESIDE for column in ("difference_meV_per_A", *INTERVAL)]


def threshold(ratios: np.ndarray, before: np.ndarray, after: np.ndarray) -> float:
    """Expected ratio [S] above which help has the least mean error of S validation structures; inf where never.

    before, after [S] meV/Å, all finite. Of equal ones the largest, which leaves most structures as they are.
    """
    order = np.argsort(-ratios, kind="stable")
    total = before.sum() + np.append(0, np.cumsum((after - before)[order]))
    sizes = np.arange(len(ratios) + 1)
    sorted_ratios = np.append(ratios[order], -np.inf)
    # structures of equal ratio go together
    possible = np.append(True, sorted_ratios[1:] < sorted_ratios[:-1])
    size = int(sizes[possible][np.argmin(np.round(total[possible], 9))])
    if size == 0:
        return np.inf
    if size == len(ratios):
        return 0.0
    return float(np.sqrt(sorted_ratios[size - 1] * sorted_ratios[size]))


def decision(errors: Errors, rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Rows of DECISION, of every strategy with an expected ratio and of every held-out group and all of them.

    rows: of helped.payoff. A structure is helped where the expected ratio of the errors of model and prior is above a
    threshold, chosen on the validation groups. Regret is the mean error beyond that of the best choice per structure.
    """
    place = {name: k for k, name in enumerate(errors.frames.ids.astype(str))}
    groups, out = groups_of(errors), []
    for method, own in _by_method(rows).items():
        columns = ("expected_ratio", "model_error_meV_per_A", "after_meV_per_A")
        ratio, before, after = (np.full(len(place), np.nan) for _ in columns)
        for row in own:
            k = place[str(row["id"])]
            ratio[k], before[k], after[k] = (row[c] for c in columns)
        known = np.isfinite(ratio) & np.isfinite(before) & np.isfinite(after)
        tried = groups[VALIDATION] & known
        if tried.sum() < FEW:
            continue
        limit = threshold(ratio[tried], before[tried], after[tried])
        decided, best = np.where(ratio > limit, after, before), np.minimum(before, after)
        sides = {"best": best, "always": after, "never": before}
        for group, chosen in groups.items():
            use = chosen & known
            if not group.startswith("ood_") or not use.any():
                continue
            mean = lambda v, use=use: float(v[use].mean())
            row = {"method": method, "model": own[0]["model"], "group": group, "threshold": limit}
            row |= {"n_structures": int(use.sum()), "n_molecules": len(set(errors.frames.molecule[use]))}
            row |= {"fraction_helped": mean(ratio > limit), "decided_meV_per_A": mean(decided)}
            row |= {f"{name}_meV_per_A": mean(v) for name, v in sides.items()}
            for name, side in BESIDE.items():
                pair = errors.compare(decided, sides[side], use)
                assert pair is not None
                row |= {f"{name}_{column}": pair[column] for column in ("difference_meV_per_A", *INTERVAL)}
            out.append(row)
    return out


def _by_method(rows):
    """{method: its rows} of this run."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        if not row["run"]:
            found.setdefault(row["method"], []).append(row)
    return found


ADAPTED, BASE = "joint_ttt", "joint"  # what other runs say of the two-head model of this workflow


def of_other_runs(paths: Iterable[Path]) -> list[dict[str, Any]]:
    """Rows of helped.PAYOFF from the tables gains.csv of other runs; a run is named by the folder of its results."""
    rows = []
    for path in paths:
        table = read_table(path)
        for row in table[table.method == ADAPTED].to_dict("records") if len(table) else ():
            before, after, prior = (row[f"{name}_meV_per_A"] for name in ("before", "after", "prior_error"))
            if not np.isfinite([before, after, prior]).all():
                continue
            cells = {"run": path.parent.parent.name, "method": ADAPTED, "model": BASE}
            cells |= {key: row[key] for key in ("id", "group", "molecule")}
            cells |= {"model_error_meV_per_A": before, "prior_error_meV_per_A": prior, "after_meV_per_A": after}
            ratios = before / max(prior, statistics.TIE), after / max(before, statistics.TIE)
            rows.append(cells | dict(zip(("error_ratio", "gain_ratio", "expected_ratio"), (*ratios, np.nan))))
    return rows
