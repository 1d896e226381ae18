"""Published values beside those of a run."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlipshift.base.errors import UserError
from mlipshift.evaluate import published

FILE = Path(__file__).resolve().parents[2] / "resources" / "published.csv"


def summary(**means):
    """Means of methods by group, groups of structures half of which are below 25 meV/Å."""
    return pd.DataFrame(
        [
            {"group": g, "method": m, "mean_meV_per_A": v, "below_25_meV_per_A": 0.5}
            for g, methods in means.items()
            for m, v in methods.items()
        ]
    )


def test_ratios_means_and_shares_are_those_of_the_summary():
    table = summary(
        id_test={"supervised": 20.0, "freeze": 10.0},
        ood_force_norm={"supervised": 80.0},
        ood_all={"freeze": 30.0},
    )
    rows = pd.DataFrame(published.beside(pd.read_csv(FILE), table)).set_index(["quantity", "model"])
    assert rows.loc[("Force MAE in distribution", "MACE-OFF"), "ours"] == 20
    ratio = rows.loc[("Error out of over in distribution, force norm", "MACE-OFF")]
    assert ratio.ours == 4 and ratio.published == 11
    assert rows.loc[("Share below 25 meV/Å before TTT, semi-empirical prior", "GemNet-T"), "ours"] == 50
    # methods and groups that the run does not have, and quantities that this workflow does not make
    assert np.isnan(rows.loc[("Error out of over in distribution, connectivity", "JMP"), "ours"])
    assert np.isnan(rows.loc[("h(r) error of toluene with TTT", "GemNet-dT"), "ours"])


def test_every_published_value_says_where_it_stands_and_how_it_was_read():
    table = pd.read_csv(FILE)
    assert table.place.notna().all() and set(table.reading) <= {"printed", "printed change", "digitised"}
    assert set(table.statistic) <= {*published.STATISTICS, *published.OF_DYNAMICS}
    made = table[table.statistic != "none"]
    assert made[["group", "method"]].notna().all(axis=None)


def test_an_unknown_statistic_is_one_line():
    table = pd.read_csv(FILE)
    table.loc[2, "statistic"] = "median"
    with pytest.raises(UserError, match="line 4: statistic 'median' is unknown"):
        published.beside(table, summary(id_test={"supervised": 1.0}))
