"""Published values beside those of a run: resources/published.csv against the summary of the errors.

Data, models and sizes of the published work are others, so values of errors are not comparable; ratios are, with care.
"""

from typing import TYPE_CHECKING

import numpy as np

from mlipshift.base.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

STATISTICS = ("mean", "ratio", "below_25", "none")
# of simulated molecules: statistic -> column of dynamics_summary.csv; the method is a run there
OF_DYNAMICS = {"stable_ps": "stable_ps", "h_of_r": "h_of_r_error"}
# of models that are fine-tuned on a few labels; the method is a start there
OF_LABELS = ("labels_needed", "finetuned")
KNOWN = (*STATISTICS, *OF_DYNAMICS, *OF_LABELS)
OURS = ["quantity", "model", "data", "published", "unit", "reading", "place", "ours", "ours_is", "said"]


def beside(
    published: "pd.DataFrame",
    summary: "pd.DataFrame",
    dynamics: "pd.DataFrame | None" = None,
    curves: "pd.DataFrame | None" = None,
    needed: "pd.DataFrame | None" = None,
) -> list[dict]:
    """Rows of OURS; published: DataFrame of resources/published.csv, summary: DataFrame of summary.csv.

    dynamics: DataFrame of dynamics_summary.csv, for the values of simulated molecules; curves, needed: DataFrames of
    learning_curves.csv and labels_needed.csv, for those of fine-tuning.

    `ours` is empty where the run has no such group or method, or where this workflow does not make the quantity; `said`
    is what stands in its place where a run has tried and not reached it. Raises UserError for a statistic that is not
    one of KNOWN.
    """
    table = summary.set_index(["group", "method"])

    def of(group, method, column="mean_meV_per_A"):
        return table[column].get((group, method), np.nan)

    moved = None if dynamics is None else dynamics.set_index(["molecule", "run"])
    rows = []
    for number, row in enumerate(published.to_dict("records"), 2):
        if row["statistic"] not in KNOWN:
            raise UserError(
                f"published.csv, line {number}: statistic {row['statistic']!r} is unknown; use one of"
                f" {', '.join(KNOWN)}"
            )
        ours, what, said = np.nan, "", ""
        key = (row["group"], row["method"])
        if row["statistic"] == "mean":
            ours, what = of(*key), f"{row['method']} on {row['group']}"
        elif row["statistic"] == "below_25":
            ours, what = 100 * of(*key, "below_25_meV_per_A"), f"{row['method']} on {row['group']}"
        elif row["statistic"] == "ratio":
            other = (row["baseline_group"], row["baseline"])
            ours = of(*key) / of(*other)
            what = f"{row['method']} on {row['group']} over {row['baseline']} on {row['baseline_group']}"
        elif row["statistic"] in OF_DYNAMICS and moved is not None:
            found = moved[OF_DYNAMICS[row["statistic"]]]
            ours, what = found.get(key, np.nan), f"run {row['method']} of {row['group']}"
        elif row["statistic"] == "labels_needed" and needed is not None:
            ours, what, said = _labels_needed(needed, *key)
        elif row["statistic"] == "finetuned":
            ours, what = _finetuned(curves, *key, row["amount"])
        rows.append({name: row[name] for name in OURS[:-3]} | {"ours": ours, "ours_is": what, "said": said})
    return rows


def _labels_needed(needed, group, start):
    """(number of labels, what it is, what is said where the error was not reached) without replay."""
    rows = needed[(needed.group == group) & (needed.start == start) & ~needed.replay.astype(bool)]
    if not len(rows):
        return np.nan, f"{start} of {group}", ""
    row = rows.iloc[0]
    best = f"{row['best_meV_per_A']:.3g} meV/Å"
    what = f"{start} of {group}, {best} at best, with {row['n_labels_most']:.0f} labels at most"
    ours = row["n_labels_needed"]
    return ours, what, "" if np.isfinite(ours) else f"not reached: {best} with {row['n_labels_most']:.0f}"


def _finetuned(curves, group, start, amount):
    """(error after fine-tuning, what it is) without replay; there is none of a run without fine-tuning."""
    if curves is None:
        return np.nan, f"{start} of {group}"
    own = curves[(curves.group == group) & (curves.start == start) & ~curves.replay.astype(bool)]
    found = own[own.amount.astype(str) == str(amount)].mean_meV_per_A
    return (found.iloc[0] if len(found) else np.nan), f"{start} of {group}, {amount} of the labels"
