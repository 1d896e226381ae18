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
OURS = ["quantity", "model", "data", "published", "unit", "reading", "place", "ours", "ours_is"]


def beside(published: "pd.DataFrame", summary: "pd.DataFrame", dynamics: "pd.DataFrame | None" = None) -> list[dict]:
    """Rows of OURS; published: DataFrame of resources/published.csv, summary: DataFrame of summary.csv.

    dynamics: DataFrame of dynamics_summary.csv, for the values of simulated molecules.

    `ours` is empty where the run has no such group or method, or where this workflow does not make the quantity.
    Raises UserError for a statistic that is not one of STATISTICS and OF_DYNAMICS.
    """
    table = summary.set_index(["group", "method"])

    def of(group, method, column="mean_meV_per_A"):
        return table[column].get((group, method), np.nan)

    moved = None if dynamics is None else dynamics.set_index(["molecule", "run"])
    rows = []
    for number, row in enumerate(published.to_dict("records"), 2):
        if row["statistic"] not in (*STATISTICS, *OF_DYNAMICS):
            raise UserError(
                f"published.csv, line {number}: statistic {row['statistic']!r} is unknown; use one of"
                f" {', '.join([*STATISTICS, *OF_DYNAMICS])}"
            )
        ours, what = np.nan, ""
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
        rows.append({name: row[name] for name in OURS[:-2]} | {"ours": ours, "ours_is": what})
    return rows
