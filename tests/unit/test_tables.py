"""Tables: fixed columns and formats, with and without rows."""

import numpy as np
import pandas as pd
import pytest

from mlipshift.base.tables import read_table, write_table

ROWS = [{"id": "a", "error_meV_per_A": 1 / 3, "ok": True}, {"id": None, "error_meV_per_A": np.nan, "ok": np.False_}]
TEXT = "id,error_meV_per_A,ok\na,0.33333333,true\n,,false\n"


@pytest.mark.parametrize("rows", [ROWS, pd.DataFrame(ROWS)], ids=["dicts", "data frame"])
def test_columns_and_cells(tmp_path, rows):
    write_table(tmp_path / "t.csv", rows)
    assert (tmp_path / "t.csv").read_text() == TEXT
    assert read_table(tmp_path / "t.csv").columns.tolist() == ["id", "error_meV_per_A", "ok"]
    write_table(tmp_path / "t.csv", (row for row in ROWS), ["ok", "more"])
    assert (tmp_path / "t.csv").read_text() == "ok,more\ntrue,\nfalse,\n"


def test_names_that_look_like_numbers_stay_as_they_are(tmp_path):
    names = ["0007", "7", "1e5", "nan", "None", "1.0"]
    write_table(tmp_path / "t.csv", [{"id": name, "molecule": "12", "n": k} for k, name in enumerate(names)])
    table = read_table(tmp_path / "t.csv")
    assert list(table.id) == names and set(table.molecule) == {"12"} and table.n.sum() == 15


@pytest.mark.parametrize("rows", [[], pd.DataFrame()], ids=["list", "data frame"])
def test_a_table_without_rows_has_its_columns_all_the_same(tmp_path, rows):
    write_table(tmp_path / "t.csv", rows, ["id", "reason"])
    assert (tmp_path / "t.csv").read_text() == "id,reason\n" and read_table(tmp_path / "t.csv").empty
    with pytest.raises(ValueError, match="other.csv: a table without rows needs columns"):
        write_table(tmp_path / "other.csv", rows)
    assert not (tmp_path / "other.csv").exists()
