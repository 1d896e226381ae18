"""What was left out is counted per group, stage and kind of reason, whatever names structures have."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from mlipshift.base.frames import Frames
from mlipshift.base.tables import FAILURES, read_table, write_table
from mlipshift.base.text import kind, reasons
from mlipshift.data.census import CENSUS
from mlipshift.data.duplicates import COUNTS
from mlipshift.evaluate.left_out import counted
from mlipshift.prior.agreement import COLUMNS
from mlipshift.show.report import left_out

ROOT = Path(__file__).parents[2]
SIZES = [{"group": "train", "n_read": 3, "n_used": 2}, {"group": "ood_x", "n_read": 2, "n_used": 0}]


@pytest.mark.parametrize(
    ("reason", "found"),
    [
        ("atoms 1 (H) and 2 (C) are on each other, 0.2 Å apart", "atoms … (H) and … (C) are on each other"),
        ("charge 11 and multiplicity 1 do not fit -1 electrons", "charge … and multiplicity … do not fit … electrons"),
        ("id 'a 7' was already used in run-2/md.traj, frame 3", "id … was already used in run-2/md.traj"),
        ("GFN2-xTB net force of 1.2e-03 eV/Å is not zero", "GFN2-xTB net force of … eV/Å is not zero"),
        ("element H, C and N unknown to the model", "element H, C and N unknown to the model"),
    ],
)  # fmt: skip
def test_reasons_of_a_kind_count_together(reason, found):
    assert kind(reason) == found


def test_many_kinds_of_reasons_stay_one_line():
    assert reasons({"a": 1, "b": 3}) == "b (3), a (1)"
    assert reasons(dict(zip("abcde", (5, 4, 3, 2, 1)))) == "a (5), b (4), c (3), other reasons (3)"


def collected(folder, failures):
    """Tables that the script makes of failures, by its name."""
    rows = {"numbers": [8, 1, 1], "positions": [[0, 0, 0], [1, 0, 0], [0, 1, 0]], "charge": 0, "multiplicity": 1}
    for name, ids in (("train", ["7", "0007"]), ("test", ["1e5"])):
        group = "train" if name == "train" else "ood_x"
        Frames.build({"id": i, "group": group, "molecule": "w", **rows} for i in ids).save(folder / f"{name}.h5")
    write_table(folder / "census.csv", SIZES)
    write_table(folder / "failed.csv", failures, FAILURES)
    write_table(folder / "check.csv", [{"group": "train", "verdict": "plausible"}], COLUMNS)
    made = {"output": "failures", "left-out": "left_out", "label-check": "label_check"}
    command = [sys.executable, ROOT / "workflow/scripts/collect_failures.py", "--failures", folder / "failed.csv"]
    command += ["--frames", folder / "train.h5", folder / "test.h5", "--census", folder / "census.csv"]
    command += ["--label-checks", folder / "check.csv"]
    command += [word for option, name in made.items() for word in (f"--{option}", folder / f"{name}.csv")]
    done = subprocess.run(command, capture_output=True, text=True, env={"PYTHONPATH": str(ROOT / "workflow")})
    assert done.returncode == 0, done.stderr
    return {name: read_table(folder / f"{name}.csv") for name in made.values()}


def test_failures_of_all_stages_have_their_group_and_their_copies_apart(tmp_path):
    prior = {"stage": "prior", "reason": "GFN2-xTB failed: no convergence in 250 cycles"}
    tables = collected(
        tmp_path,
        [
            {"id": "lost", "group": "ood_x", "stage": "curate", "reason": "has no atom"},
            {"id": "0007", **prior},
            *({"id": f"0007~rattled{k}", **prior} for k in range(1, 3)),
            {"id": "1e5", **prior},
        ],
    )
    assert list(tables["failures"].id) == ["lost", "0007", "0007", "0007", "1e5"]
    assert list(tables["failures"].group) == ["ood_x", "train", "train", "train", "ood_x"]
    found = {(r.group, r.stage): (r.n_structures, r.n_of) for r in tables["left_out"].itertuples()}
    assert found[("ood_x", "curate")] == (1, 2) and found[("train", "prior")] == (1, 2)
    assert found[("train", "prior, rattled copies")][0] == 2 and found[("ood_x", "prior")] == (1, 0)


def test_nothing_left_out_is_a_table_without_rows(tmp_path):
    tables = collected(tmp_path, [])
    assert tables["failures"].empty and tables["left_out"].empty and len(tables["label_check"]) == 1


def test_the_pages_have_what_models_lack_and_no_table_that_says_nothing(tmp_path):
    write_table(tmp_path / "errors.csv", [{"id": "0007", "group": "train"}, {"id": "7", "group": "ood_x"}])
    write_table(tmp_path / "m.csv", [{"id": "7", "stage": "m", "reason": "energy is not finite"}], FAILURES)
    later = left_out.of_models([tmp_path / "errors.csv"], [tmp_path / "m.csv"])
    census = pd.DataFrame(SIZES).reindex(columns=CENSUS).fillna(0)
    given = {"census": census, "left_out": pd.DataFrame(columns=["group"])}
    given |= {"label_check": pd.DataFrame(columns=COLUMNS), "duplicate_counts": pd.DataFrame(columns=COUNTS)}
    shown = {table["id"]: table["content"] for table in left_out.tables(given, later)}
    assert list(shown) == ["census", "left_out"]
    (row,) = shown["left_out"]["rows"]
    assert [cell["text"] for cell in row] == ["Held out: x", "m", "energy is not finite", "1", "0"]
    assert counted(later, pd.DataFrame(SIZES)[:1])[0]["n_of"] is None
