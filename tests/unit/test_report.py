"""The report: what it says follows from the tables."""

import base64
import io
import json
import re
import subprocess
import sys
from html import unescape
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from result_tables import MEANS, make_tables

from mlipshift.base.tables import read_table
from mlipshift.catalogue.captions import filled
from mlipshift.catalogue.figures import FIGURES, reported
from mlipshift.show import drawing, style
from mlipshift.show.report import answer, messages
from mlipshift.show.report.format import number
from mlipshift.show.report.results import Results
from mlipshift.show.report.sentences import sentences

ROOT = Path(__file__).resolve().parents[2]


def script(name, *words):
    command = [sys.executable, str(ROOT / "workflow" / "scripts" / f"{name}.py"), *map(str, words)]
    environment = {"PYTHONPATH": str(ROOT / "workflow"), "OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin"}
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def build(folder, figures=None):
    """HTML of the report of the run in `folder`; figures: folder of its figures, made up if not given."""
    if figures is None:
        figures = folder / "figures"
        figures.mkdir()
        for name in reported():
            (figures / f"{name}.svg").write_text("<svg/>")
            (figures / f"{name}.txt").write_text("Nothing is drawn.")
    done = script(
        "make_report", "--tables", folder / "tables", "--timings", folder / "timings", "--figures", figures,
        "--run-info", folder / "run_info.json", "--output", folder / "report.html", "--log", folder / "log",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return (folder / "report.html").read_text(encoding="utf-8")


def words(page):
    """Text of the page without tags."""
    page = re.sub(r"<(style|script).*?</\1>", "", page.replace("</td>", " "), flags=re.S)
    return " ".join(unescape(re.sub(r"<[^>]+>", "", page)).split())


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Folder of a finished run with its figures, and the captions {name: text}."""
    folder = tmp_path_factory.mktemp("run")
    paths, captions = make_tables(folder), {}
    (folder / "figures").mkdir()
    for name in reported():
        figure, facts = drawing.draw(name, paths, FIGURES[name].title)
        captions[name] = filled(FIGURES[name].caption, facts)
        style.save(figure, folder / "figures" / f"{name}.svg")
        (folder / "figures" / f"{name}.txt").write_text(captions[name], encoding="utf-8")
    return folder, captions


@pytest.fixture(scope="module")
def page(run):
    return build(run[0], run[0] / "figures")


def test_report_needs_nothing_from_outside(page):
    resources = re.findall(r"<(?:script|link|img|iframe|source|object)\b[^>]*?(?:src|href|data)\s*=\s*\"([^\"]*)", page)
    assert len(resources) == len(reported())
    assert all(r.startswith("data:image/svg+xml;base64,") for r in resources)
    assert not re.search(r"@import|url\(", page)
    for source in resources:
        drawing = base64.b64decode(source.split(",", 1)[1]).decode()
        assert not re.search(r"(?:href|src)\s*=\s*\"(?:https?:)?//", drawing)


def test_report_holds_every_figure_caption_and_table(page, run):
    text = words(page)
    for name, caption in run[1].items():
        assert f'id="{name}"' in page
        assert caption in text
    for part in ("9.8.7", "ttt.steps", "77", "a processor", "1.5 h", "ood_larger/x/00", "10.1039/D5DD00260E"):
        assert part in text
    for part in (
        "Eigenvalues in [0.9, 1.1] 12 % 88 %",
        "Joint All held-out shifts 37 5.00 4.32 61 % 29 % 4.3 %",
        "joint published Joint 91.5 110.0 −18.5 [−25.0, −12.0] 70 % 30 % 37",
        "Joint + distillation 4 20 75.0 [67.0, 83.0] −35.0 [−43.0, −27.0] −45.0 −85.0 +10.0 +20.0 37",
        "Δ-learning 55.0 0.011 s to 60 s 12 of 18 Joint + distillation (4) 60.0 0.002 s 4 of 18",
        "1 prediction 100 to 1,000 predictions any 0.01 s to 60 s Δ-learning Δ-learning"
        " 0.1 s 0.01 s Δ-learning Δ-learning 0.1 s 0.1 s to 60 s none is that cheap Joint + distillation (4)",
    ):
        assert part in text
    assert 'title="joint_ttt: ' in page and "Joint + TTT" in text
    assert "&lt;SCF&gt; in 250 cycles" in page and "&lt;b&gt;&amp;" in page


def test_report_states_the_numbers_of_the_tables(page):
    text = words(page)
    assert (
        "TTT lowers the force MAE of the Joint model on the held-out shift groups: from 110.0 to 70.0 meV/Å"
        " (paired difference −40.0, 95 % interval [−48.0, −32.0]; 37 structures of 11 molecules, 3 seeds)"
    ) in text
    assert "Joint + TTT is less accurate than Δ-learning (paired difference +15.0 meV/Å [+7.0, +23.0])" in text
    assert "Prior gives 160.0 meV/Å [152.0, 168.0], Joint + correction gives 65.0 meV/Å [57.0, 73.0]" in text
    assert (
        "Joint + correction (65.0 meV/Å [57.0, 73.0]) costs one prior call per prediction and no gradient step; it"
        " cannot be told apart from Joint + TTT, paired difference −5.0 [−13.0, +3.0] meV/Å."
    ) in text
    assert (
        "lacks to the prior label lowers the force MAE of the Joint model on the held-out shift groups: from 110.0"
        in text
    )
    assert "“Mean of correction and Δ” cannot be told apart from Δ-learning" in text
    assert "On the validation groups no other weight of Joint + correction is better than 1." in text
    assert "65.0 ●" in text and "The correction by the same foreign labels raises it: from 110.0 to 170.0" in text
    assert "The gain of TTT therefore needs the prior labels of the structure itself" in text
    assert "The lowest mean force MAE on the held-out shift groups has Mean of correction and Δ (52.0 meV/Å" in text
    assert (
        "Adapted on 1 geometry, Joint + TTT lowers the force MAE: from 110.0 to 82.0 meV/Å (paired difference −28.0"
    ) in text
    assert "On 4 geometries the best scheme is Joint + TTT, from 110.0 to 70.0 meV/Å" in text
    assert "Error ratio" in text and "2.75" in text and "3.4" in text
    assert "10 % are below 25 meV/Å before and 20 % after" in text


def test_the_answer_comes_first_with_its_numbers(page):
    text = words(page)
    heads = ("What shifted", "What it cost", "What to do", "<details", "<img")
    assert [page.index(head) for head in heads] == sorted(page.index(head) for head in heads)
    assert "4 groups of structures held out of training" in text, "no measure that the sentences use was made"
    assert "2.5 times the force error" in text and "Like training: 48.0 meV/Å [40.0, 56.0]; 37 structures" in text
    assert "Mean of correction and Δ: 52.0 meV/Å" in text
    assert "It cannot be told apart from Δ-learning." in text
    assert "lowers the error of Joint, from 110.0 to 70.0 meV/Å (−40.0 [−48.0, −32.0])." in text
    assert "TTT beside Prior: more accurate, −90.0 [−98.0, −82.0]." in text
    assert "TTT beside Δ-learning: less accurate, +15.0 [+7.0, +23.0]." in text
    assert "TTT beside Joint + correction: cannot be told apart, +5.0 [−3.0, +13.0]." in text
    assert "Without a prior call: Joint, 110.0 meV/Å" in text and "43 meV/Å is reached by no method" in text


def test_what_shifted_is_what_the_shares_say(run):
    tables = {name: read_table(path) for name, path in make_tables(run[0] / "shifted").items()}
    rows = [
        ("prior_force_norm_eV_per_A", g, share)
        for g, share in (("train", 0.2), ("id_test", 0.25), ("ood_force_norm", 0.9), ("ood_larger", 0.1))
    ] + [("n_atoms", "train", 0.4), ("n_atoms", "ood_force_norm", 0.6), ("n_atoms", "ood_larger", 0.45)]
    found = pd.DataFrame(rows, columns=["criterion", "group", "fraction_outside"])
    tables["shift_summary"] = found.assign(
        n_structures=37, mean=1.0, training_mean=1.0, training_standard_deviation=1.0
    )
    block = answer.blocks(Results(tables))[0]
    assert block["headline"] == "1 of 2 held-out groups lie outside the training data"
    assert [(line["term"], line["text"]) for line in block["lines"]][:3] == [
        ("Force norm (37)", "90 % by forces and 60 % by size"),
        ("Larger molecules (37)", "no further out than training itself"),
        ("Like training (37)", "no further out than training itself"),
    ]
    assert "of training itself: up to 40 %" in block["lines"][3]["text"]


def test_every_figure_has_one_message_that_its_tables_allow(run):
    results = Results({name: read_table(path) for name, path in make_tables(run[0] / "again").items()})
    said = {name: messages.message(name, results) for name in reported()}
    assert said["fig_ttt_steps"].startswith("Its steps take the error of Joint from 110.0 to 70.0 meV/Å; Δ-learning")
    assert said["fig_prior_gain"].startswith("After test-time training the model is better than the prior")
    assert said["fig_frontier"].endswith("none: 110.0 (Joint)")
    worse = make_tables(run[0] / "worse", MEANS | {"joint_ttt": 180.0})
    said = {n: messages.message(n, Results({k: read_table(p) for k, p in worse.items()})) for n in reported()}
    assert said["fig_prior_gain"].startswith("After test-time training the model is worse than the prior")
    assert "raises the error of the group held out by force norm" in said["fig_force_norm"]
    bare = Results({n: t.iloc[:0] for n, t in results.tables.items()})
    assert [messages.message(name, bare) for name in reported()] == [f.title for f in reported().values()]


def test_what_is_shown_can_be_downloaded_in_every_digit(page, run):
    found = re.findall(r'download="([^"]*)" href="data:text/csv;charset=utf-8;base64,([^"]*)"', page)
    assert {"summary.csv", "paired.csv", "decision_methods.csv", "failures.csv"} <= {name for name, _ in found}
    for name, code in found:
        path = next(p for p in run[0].glob(f"*/{name}"))
        text = io.StringIO(base64.b64decode(code).decode())
        pd.testing.assert_frame_equal(pd.read_csv(text), pd.read_csv(path))


def test_a_negative_result_is_reported_as_one(tmp_path):
    make_tables(tmp_path, MEANS | {"joint_ttt": 130.0, "freeze_ttt": 152.0})
    text = words(build(tmp_path))
    assert "TTT raises the force MAE of the Joint model on the held-out shift groups: from 110.0 to 130.0" in text
    assert "TTT does not measurably change the force MAE of the Freeze model" in text
    assert "TTT lowers the force MAE" not in text
    assert "gain of TTT" not in text
    assert "lowers the error in 0 of 4 shift groups, raises it in 4" in text
    assert "Joint + TTT is less accurate than Δ-learning" in text
    assert "Test-time training (TTT): raises the error of Joint, from 110.0 to 130.0 meV/Å" in text


def summary(paths):
    """All sentences of the summary of the tables at `paths`."""
    results = Results({name: read_table(path) for name, path in paths.items()})
    return " ".join(s["text"] for s in sentences(results))


def test_no_claim_where_the_interval_holds_zero(tmp_path):
    text = summary(make_tables(tmp_path, half=500.0))
    assert "does not measurably change" in text and "cannot be told apart from" in text
    assert not re.search(r"TTT (lowers|raises) the force|is (more|less) accurate than|gain of TTT", text)


def test_noise_of_the_summation_is_no_result(tmp_path):
    means = MEANS | {"supervised_rr": MEANS["supervised"] - 1e-5}
    text = summary(make_tables(tmp_path, means, half=1e-6))
    assert "Radius refinement leaves the force MAE as it is for Supervised as published" in text
    assert not re.search(r"Radius refinement \S+ (lowers|raises)", text)


def test_a_tie_goes_to_the_plainer_method(tmp_path):
    means = {"supervised": 120.0, "supervised_rr": 119.99999, "prior": 160.0}
    tables = {name: read_table(path) for name, path in make_tables(tmp_path).items()}
    rows = tables["frontier"]
    tables["frontier"] = rows[rows.method.isin(means)].assign(mean_meV_per_A=lambda t: t.method.map(means))
    choice = next(s for s in sentences(Results(tables)) if s["title"] == "Which to use")
    assert "has Supervised (120.0" in choice["text"] and "RR" not in choice["text"]


def test_a_placebo_that_helps_is_not_hidden(tmp_path):
    text = summary(make_tables(tmp_path, MEANS | {"joint_placebo": 90.0}))
    assert "The placebo reaches 50 % of the gain of TTT" in text
    assert "needs the prior labels of the structure itself" not in text


ROUNDED = [
    (131.04, False, "131.0"),
    (-4.25, True, "−4.2"),
    (0.04, True, "0.0"),
    (-0.04, True, "0.0"),
    (2.0, True, "+2.0"),
    (1234.6, False, "1,235"),
    (float("nan"), False, "–"),
    (None, False, "–"),
]


@pytest.mark.parametrize(("value", "sign", "text"), ROUNDED)
def test_numbers_are_rounded_with_a_true_minus_sign(value, sign, text):
    assert number(value, sign) == text


def test_a_missing_figure_or_table_is_one_line(tmp_path):
    paths = make_tables(tmp_path)
    common = ("--tables", tmp_path / "tables", "--timings", tmp_path / "timings", "--log", tmp_path / "log")
    report = ("--run-info", tmp_path / "run_info.json", "--output", tmp_path / "r.html")
    wrong = script("make_report", *common, "--figures", tmp_path / "none", *report)
    assert wrong.returncode == 1 and "fig_shift_axes.svg" in wrong.stderr
    paths["paired"].unlink()
    wrong = script("make_report", *common, "--figures", tmp_path / "none", *report)
    assert wrong.returncode == 1 and "the report needs paired.csv" in wrong.stderr
    assert not (tmp_path / "r.html").exists()


def test_run_information_and_durations(tmp_path):
    benchmarks = tmp_path / "benchmarks"
    head = "s\th:m:s\tmax_rss\n"
    for name, line in {
        "train/joint_0.tsv": "10.5\t0:00:10\t100.0\n",
        "train/joint_1.tsv": "4.5\t0:00:04\t250.5\n",
        "evaluate.tsv": "0.1\t0:00:00\tNA\n",
        "label_reference_3.tsv": "2.0\t0:00:02\t-\n",
        "augment_pool.tsv": "1.0\t0:00:01\t50.0\n",
    }.items():
        (benchmarks / name).parent.mkdir(parents=True, exist_ok=True)
        (benchmarks / name).write_text(head + line)
    output, durations = tmp_path / "run_info.json", tmp_path / "durations.csv"
    words = ("--benchmarks", benchmarks, "--seeds", 4, 5, "--output", output, "--durations", durations)
    done = script("collect_run_info", *words, "--config-json", '{"a": {"b": 1}}', "--log", tmp_path / "log")
    assert done.returncode == 0, done.stderr
    table = read_table(durations).set_index("rule")
    assert list(table.index) == ["augment_pool", "evaluate", "label_reference", "train"]
    assert tuple(table.loc["train"]) == (2, 15.0, 250.5)
    assert table.max_rss_MB["evaluate"] == 0
    info = json.loads(output.read_text())
    assert info["seeds"] == [4, 5] and info["config"] == {"a": {"b": 1}}
    assert info["versions"]["numpy"] == np.__version__
    assert {"python", "platform", "cpu", "cores", "git_commit", "date_utc"} <= set(info)
    (benchmarks / "evaluate.tsv").write_text("nothing\n")
    wrong = script("collect_run_info", *words, "--config-json", "{}", "--log", tmp_path / "log")
    assert wrong.returncode == 1 and "evaluate.tsv" in wrong.stderr
