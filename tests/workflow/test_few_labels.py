"""Section finetuning and the fitted prior: what is asked for is planned, and what cannot be made is one line."""

import json

import pytest

from clone import ROOT, SMOKE, copy_repository, snakemake
from mlipshift.base.frames import Frames
from mlipshift.base.tables import read_table
from reruns import planned

FILES = {
    "train": ["resources/benchmark/train.extxyz"],
    "id_test": ["resources/benchmark/id_test.extxyz"],
    "ood_larger": ["resources/benchmark/ood_larger.extxyz"],
    "labelled_larger": ["resources/benchmark/val_larger.extxyz"],
}
TUNED = {"groups": ["ood_larger"], "counts": [0, 4], "fractions": [0.5], "steps": 6, "geometries": 1}
SMALL = {"training": {"strategies": ["joint", "delta", "supervised"]}, "prior": {"unlabelled_groups": []}}


def asked(**sections):
    given = {"data": {"files": FILES}, "finetuning": TUNED} | SMALL | sections
    return ["--config", *(f"{name}={json.dumps(value)}" for name, value in given.items())]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Folder of a run that fine-tunes, as far as its tables."""
    folder = copy_repository(tmp_path_factory.mktemp("finetuning"))
    snakemake(folder, "results/tables/labels_needed.csv", *SMOKE, *asked())
    return folder


def test_every_start_is_tuned_on_every_amount(run):
    table = read_table(run / "results/tables/finetuning.csv")
    assert set(table.start) == {"joint", "joint_ttt", "delta"} and set(table.amount.astype(str)) == {"0", "4", "50pct"}
    assert len(table) == 3 * (3 + 2), "no label is no label, with replay or without"
    assert (table.n_labels[table.amount.astype(str) == "50pct"] == 4).all(), "half of eight"
    curves = read_table(run / "results/tables/learning_curves.csv")
    assert set(curves.group) == {"ood_larger", "all"} and (curves.n_known > 0).all()
    assert (
        set(curves.prior_calls[curves.start == "joint_ttt"]) != {0} == set(curves.prior_calls[curves.start == "delta"])
    )


def test_no_labelled_structure_is_tested(run):
    tested, known = (Frames.load(run / f"results/frames/{name}.h5") for name in ("test", "labelled"))
    assert not {*tested.ids} & {*known.ids} and len(known)
    assert set(known.group) == {"labelled_larger"} and "labelled_larger" not in set(tested.group)
    # the rule that learns has no reference label of a test structure among its inputs
    rules = (ROOT / "workflow/rules/finetune.smk").read_text(encoding="utf-8")
    assert "test_reference" not in rules.split("rule evaluate_finetuning")[0]


def test_nothing_is_tuned_unless_asked_for(run):
    jobs = planned(snakemake(run, "-n", "--forceall", *SMOKE))
    assert not {"finetune", "evaluate_finetuning", "fit_prior"} & set(jobs)


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"finetuning": TUNED | {"groups": ["ood_other"]}}, "data.files.labelled_other"),
        ({"finetuning": TUNED | {"starts": ["pretrain"]}}, "pretrain is no scheme"),
        ({"prior": {"method": "sGDML"}}, "prior.labels is 0"),
        ({"prior": {"labels": 50}}, "other priors need 0"),
        ({"ablations": {"points": {"mine": {"prior": "sGDML"}}}}, "ablations.points.mine.prior"),
        ({"data": {"files": FILES, "select": {"train": {}}}}, "data.select.train"),
    ],
)
def test_what_cannot_be_made_is_one_line(sections, said):
    done = snakemake(ROOT, "-n", *SMOKE, *asked(**sections), check=False)
    errors = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("error:")]
    assert done.returncode and len(errors) == 1 and said in errors[0], done.stderr
