"""The whole pipeline on its smallest setting: outputs, no label leak, minimal re-runs (determinism: test_kills)."""

import os
import re
import shutil

import h5py
import pandas as pd
from ase.io import read, write

from clone import ROOT, SMOKE, copy_repository, snakemake

TARGETS = [
    "all",
    "diagnose",
    "prior",
    "train",
    "refine",
    "adapt",
    "figures",
    "report",
    "fig_shift_axes",
    "fig_force_norm",
    "fig_connectivity",
    "fig_error_bins",
    "fig_ttt_steps",
    "fig_prior_gain",
    "fig_conformers",
    "fig_frontier",
    "variants",
]


# --until stops at a rule even where another one that it names needs its output: label_pseudo comes with the last
PREDICT = ["predict", "refine_radius", "adapt_model", "adapt_conformers"]


def planned(process):
    """{rule: count} of a dry run."""
    table = re.search(r"job\s+count\n-+\s+-+\n(.*?)\n\n", process.stdout + process.stderr, re.S)
    return {} if table is None else {r.split()[0]: int(r.split()[1]) for r in table.group(1).splitlines()}


def test_outputs(smoke_run):
    results = smoke_run / "results"
    assert (results / "report.html").stat().st_size > 50_000
    assert len(list((results / "figures").glob("*.svg"))) == 8
    summary = pd.read_csv(results / "tables/summary.csv")
    assert {"zero", "prior", "supervised", "delta", "freeze", "freeze_ttt", "joint", "joint_ttt"} <= set(
        summary["method"]
    )
    assert {"id_test", "ood_all", "ood_new_elements", "ood_connectivity", "ood_force_norm", "ood_larger"} <= set(
        summary["group"]
    )
    assert summary["mean_meV_per_A"].notna().all()


def test_named_targets(smoke_run):
    done = snakemake(smoke_run, "-n", *(t for t in TARGETS if t != "diagnose"), *SMOKE)
    assert "Nothing to be done" in done.stdout
    # the report of the diagnosis and the ablations are no part of the default run
    jobs = planned(snakemake(smoke_run, "-n", "--forceall", *TARGETS, "ablations", "tune", "relabel", *SMOKE))
    assert {"report_diagnosis", "ablate", "tune_adaptation", "assemble_benchmark", *TARGETS} - {"all"} <= set(jobs)


def test_second_run_does_nothing(smoke_run):
    assert planned(snakemake(smoke_run, "-n", *SMOKE)) == {}


def test_a_ttt_parameter_reruns_only_adaptation_and_what_follows(smoke_run):
    jobs = planned(snakemake(smoke_run, "-n", *SMOKE, "--config", 'ttt={"learning_rate":0.0011}'))
    assert set(jobs) == {
        "adapt_model",
        "adapt_conformers",
        "evaluate",
        "evaluate_variants",
        "compare_published",
        "summarise_timings",
        "collect_run_info",
        "plot_figure",
        "write_caption",
        "make_report",
        "all",
        "total",
    }


# what is edited -> rules that run again, and how many figures are drawn
DRAWN = {"plot_figure", "write_caption", "make_report"}
EVALUATED = {"evaluate", "summarise_timings", "compare_published", "collect_run_info"}
EDITS = {
    "show/figures/fig_frontier.py": (DRAWN, 1),
    "show/style.py": (DRAWN, 8),
    "show/report/sentences.py": ({"make_report"}, 0),
    "mitigate/radius.py": ({"refine_radius", *EVALUATED, *DRAWN}, 7),
    "learn/backbones/gemnet.py": (set(), 0),
    "prior/engines/morse.py": (set(), 0),
    "external/families/chgnet.py": (set(), 0),
    "run/console.py": (set(), 0),
}


def test_an_edit_reruns_only_what_uses_the_module(smoke_run, tmp_path):
    twin = tmp_path / "twin"
    shutil.copytree(smoke_run, twin, symlinks=True)

    def again(name, edit=lambda text: text + "\n# edited\n"):
        path = twin / "workflow/mlipshift" / name
        text, times = path.read_text(), path.stat()
        path.write_text(edit(text))
        jobs = planned(snakemake(twin, "-n", *SMOKE))
        path.write_text(text)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        return {rule: n for rule, n in jobs.items() if rule not in ("all", "total")}

    for name, (expected, figures) in EDITS.items():
        jobs = again(name)
        assert set(jobs) == expected and jobs.get("plot_figure", 0) == figures, name
    # a caption draws nothing; a colour draws, and compares nothing again; a reader is asked for every file
    caption = again("catalogue/figures.py", lambda text: text.replace("Number of structures of all", "Count of all", 1))
    assert caption == {"write_caption": 1, "make_report": 1}
    colour = again("catalogue/methods.py", lambda text: text.replace("#009E73", "#009E74", 1))
    assert set(colour) == DRAWN
    reader = again("data/readers/oc20.py")
    assert {"curate", "train_model", "label_prior", "evaluate"} <= set(reader)
    backbone = again("learn/backbones/painn.py")
    assert "train_model" in backbone and not set(backbone) & {"curate", "augment", "label_prior", "diagnose_shifts"}


def test_reference_labels_of_test_structures_change_no_prediction(smoke_run, tmp_path):
    """Delete every reference label of the test groups and predict, refine and adapt again."""
    twin = copy_repository(tmp_path / "unlabelled")
    for path in (twin / "resources/benchmark").glob("*.extxyz"):
        if path.name == "train.extxyz":
            continue
        frames = read(path, index=":")
        for atoms in frames:
            atoms.calc = None
            atoms.info.pop("REF_energy")
            atoms.arrays.pop("REF_forces")
        write(path, frames, format="extxyz")
    snakemake(twin, *SMOKE, "--config", 'data={"checksums":null}', "--until", *PREDICT)
    with h5py.File(twin / "results/reference/test.h5") as handle:
        assert not handle["ok"][:].any()
    compared = 0
    for kind in ("predictions", "refine", "adapt", "pseudo", "conformers"):
        for path in sorted((smoke_run / "results" / kind).rglob("*.h5")):
            other = twin / path.relative_to(smoke_run)
            assert other.read_bytes() == path.read_bytes(), path.name
            compared += 1
    assert compared >= 13


def test_no_rule_that_predicts_gets_a_reference_label_of_a_test_structure():
    """Only what compares may name the store with the reference labels of the test structures."""
    blocks = {}
    for path in (ROOT / "workflow/rules").glob("*.smk"):
        for block in re.split(r"\n(?=\S)", path.read_text()):
            name = re.match(r"(?:rule|use rule \w+ as) (\w+)|(\w+) = ", block)
            if name:
                blocks[name[1] or name[2]] = block
    names = ["curate.output.test_reference", "<results>/reference/test.h5"]
    users = {name for name, block in blocks.items() if any(text in block for text in names)}
    # variables that hold it
    users |= {n for n, b in blocks.items() for user in users if user.isupper() and re.search(rf"\b{user}\b", b)}
    assert {n for n in users if not n.isupper()} == {
        "curate",
        "evaluate",
        "evaluate_variants",
        "evaluate_ablations",
        "diagnose_shifts",
        "diagnose_model",
    }
    compares = [f"{n}.output" for n in users if not n.isupper() and n != "curate"]
    predicts = ["train_model", "label_prior", "predict_model", "train_mace", "adapt_variant", "label_pseudo", "ablate"]
    predicts += PREDICT
    assert not [name for name in predicts for text in compares if text in blocks[name]]
