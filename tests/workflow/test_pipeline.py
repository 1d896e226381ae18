"""The whole pipeline on its smallest setting: outputs, no label leak, minimal re-runs (determinism: test_kills)."""

import re
import shutil
from contextlib import ExitStack

import h5py
import pandas as pd
import pytest
from ase.io import read, write

from clone import ROOT, SMOKE, copy_repository, snakemake
from drawn import faults
from mlipshift.base.frames import Frames
from mlipshift.catalogue.figures import reported
from mlipshift.catalogue.schema import read_schema
from mlipshift.show import drawing
from reruns import documented, edited, first, planned

SCHEMA = read_schema(ROOT / "workflow/schemas/config.schema.yaml")

TARGETS = [
    "all",
    "diagnose",
    "prior",
    "train",
    "refine",
    "adapt",
    "correct",
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
# of the labels of the test structures these hand on those of validation groups alone (tests/unit/test_help.py)
CHOOSES = ("weigh_models", "take_validation")
PREDICT = ["predict", "refine_radius", "adapt_model", "correct_residual", "average_methods", "adapt_conformers"]


def test_outputs(smoke_run):
    results = smoke_run / "results"
    assert (results / "report.html").stat().st_size > 50_000
    assert len(list((results / "figures").glob("*.svg"))) == 8
    count = Frames.number(results / "frames/test.h5")
    assert f"All {count} structures are on this page" in (results / "explorer.html").read_text(encoding="utf-8")
    assert 'href="explorer.html#' in (results / "report.html").read_text(encoding="utf-8")
    summary = pd.read_csv(results / "tables/summary.csv")
    assert {"zero", "prior", "supervised", "delta", "freeze", "freeze_ttt", "joint", "joint_ttt"} <= set(
        summary["method"]
    )
    made = {
        f"{name}_{ending}" for name in ("joint", "freeze") for ending in ("corrected", "corrected_delta", "ttt_delta")
    }
    assert made | {"joint_corrected_placebo"} <= set(summary["method"])
    weights = pd.read_csv(results / "tables/correction_weights.csv")
    assert {"joint_corrected", "freeze_corrected"} == set(weights["method"])
    assert (weights[weights["used"]]["weight"] == 1).all() and len(weights) == 12
    assert {"id_test", "ood_all", "ood_new_elements", "ood_connectivity", "ood_force_norm", "ood_larger"} <= set(
        summary["group"]
    )
    assert summary["mean_meV_per_A"].notna().all()


def test_no_text_of_a_figure_leaves_it_or_lies_on_another(smoke_run):
    paths = drawing.find_tables([smoke_run / "results/tables", smoke_run / "results/timings"])
    for name, figure in reported().items():
        assert faults(drawing.draw(name, paths, figure.title)[0]) == [], name


def test_named_targets(smoke_run):
    done = snakemake(smoke_run, "-n", *(t for t in TARGETS if t != "diagnose"), *SMOKE)
    assert "Nothing to be done" in done.stdout
    # the report of the diagnosis and the ablations are no part of the default run
    jobs = planned(snakemake(smoke_run, "-n", "--forceall", *TARGETS, "ablations", "tune", "relabel", *SMOKE))
    assert {"report_diagnosis", "ablate", "tune_adaptation", "assemble_benchmark", *TARGETS} - {"all"} <= set(jobs)


def test_second_run_does_nothing(smoke_run):
    assert planned(snakemake(smoke_run, "-n", *SMOKE)) == {}


def replaced(old, new):
    """An edit that has to change something."""

    def change(content):
        assert old.encode() in content
        return content.replace(old.encode(), new.encode(), 1)

    return change


# row of docs/reruns.md -> settings; sections alone, as JSON
SETTINGS = {
    "section `data`": ['data={"max_structures_per_group":7}'],
    "section `prior`: `method`, `engine`, `accuracy`": ['prior={"accuracy":0.5}'],
    "section `prior`: `rattled_copies`, `rattle_sigma_A`, `seed`": ['prior={"rattle_sigma_A":0.06}'],
    "section `spectra`": ['spectra={"variant":"robust"}'],
    "section `shifts`": ['shifts={"seed":1}'],
    "section `model`": ['model={"cutoff_A":4.9}'],
    "section `training`: a recipe": ['training={"joint":{"steps":11}}'],
    "section `refine`": ['refine={"radii_A":[3.0,7.0]}'],
    "section `ttt`": ['ttt={"learning_rate":0.0011}'],
    "section `correction`: `weight`": ['correction={"weight":0.9}'],
    "section `correction`: `strategies`, `placebo`": ['correction={"strategies":["joint"],"placebo":[]}'],
    "section `conformers`": ['conformers={"counts":[1,3]}'],
    "section `statistics`: `resamples`, `seed`": ['statistics={"resamples":51}'],
    "section `statistics`: `sigma`": ['statistics={"sigma":0.9}'],
    "section `variants`: one more": ['variants={"other":{"strategy":"joint"}}'],
    "section `decision`": ['decision={"predictions":[7]}'],
    "two settings of one rule that exchange their values": ['spectra={"cutoff_A":1.0}', 'statistics={"sigma":3.0}'],
    "the sections `retrieve`, `import`, `models`, `mace`, `help`, `finetuning`, `simulate`, `surfaces`, `ablations`, "
    "`tuning`, `labelling`, `connectivity`, `radius`": [
        'retrieve={"attempts":6}',
        'import={"own":{"files":["a.xyz"],"level":"DFT"}}',
        'models={"supervised":{}}',
        'mace={"epochs":3}',
        'help={"head":{"epochs":3}}',
        'finetuning={"steps":3}',
        'simulate={"seed":3}',
        'surfaces={"points":9}',
        'ablations={"seeds":[3]}',
        'tuning={"steps":3}',
        'labelling={"seed":3}',
        'connectivity={"seed":3}',
        'radius={"radii_A":[2.0,3.0]}',
    ],
}
# row -> files, an edit, whether they are then older than any result
CODE, LIBRARY = "workflow/scripts", "workflow/mlipshift"
comment = lambda content: content + b"\n# edited\n"
EDITS = {
    "a file of `data.files`, newer or older": (["resources/benchmark/train.extxyz"], lambda b: b + b" ", True),
    "the file of `data.checksums`": (["resources/benchmark/SHA256SUMS"], lambda b: b + b"\n", True),
    "nothing but the times of files: data, scripts, library, environments": (
        ["resources/benchmark/train.extxyz", f"{CODE}/curate.py", f"{LIBRARY}/base/units.py", "envs/torch.yaml"],
        bytes,
        False,
    ),
    "the colour of a method": ([f"{LIBRARY}/catalogue/methods.py"], replaced("#009E73", "#009E74"), False),
    "a caption": (
        [f"{LIBRARY}/catalogue/figures.py"],
        replaced("Number of structures of all", "Count of all"),
        False,
    ),
    "a script, newer or older": ([f"{CODE}/refine_radius.py"], comment, True),
    "a module of the library": ([f"{LIBRARY}/mitigate/radius.py"], comment, True),
    "a module that many others import": ([f"{LIBRARY}/show/style.py"], comment, False),
    "the module of a figure": ([f"{LIBRARY}/show/figures/fig_frontier.py"], comment, True),
    "the words of the report": ([f"{LIBRARY}/show/report/sentences.py"], comment, True),
    "the page of the explorer": (["workflow/report/explorer.js"], lambda content: content + b"\n// edited\n", True),
    "a reader": ([f"{LIBRARY}/data/readers/oc20.py"], comment, False),
    "the backbone in use": ([f"{LIBRARY}/learn/backbones/painn.py"], comment, False),
    "a module that nothing in use imports: another backbone, prior or family, the console": (
        [
            f"{LIBRARY}/{name}.py"
            for name in ("learn/backbones/gemnet", "prior/engines/morse", "external/families/chgnet", "run/console")
        ],
        comment,
        False,
    ),
    "an environment file in `envs/`, without `--sdm conda`": (["envs/torch.yaml"], comment, False),
}
# what an edit draws anew, of the eight figures
DRAWN = {
    "the module of a figure": 1,
    "a module that many others import": 8,
    "the colour of a method": 8,
    "the words of the report": 0,
    "the page of the explorer": 0,
    "a caption": 0,
    "a module of the library": 7,
}
# rows with a run of their own, in tests/reliability/test_silent_state.py
ELSEWHERE = {
    "a file more in a folder, or one more that a pattern matches, in `data.files`",
    "the weights of a model of section `models`, its `checkpoint`, newer or older",
    "its `arguments`",
    "a file that its `arguments` name",
    "its calculator, a Python file of yours, or a file beside that it imports",
}


def test_the_table_of_what_runs_again_is_whole():
    assert {*SETTINGS, *EDITS, *ELSEWHERE} == set(documented())
    assert all(f"`{name}`" in " ".join(documented()) for name in SCHEMA["properties"] if name != "run")


@pytest.mark.parametrize("row", SETTINGS)
def test_a_setting_reruns_only_what_uses_it(smoke_run, row):
    own = documented()[row] | {"collect_run_info"}  # which records them all
    done = snakemake(smoke_run, "-n", *SMOKE, "--config", *SETTINGS[row])
    assert first(done) in (own, own - {"collect_run_info"}) and "make_report" in planned(done)


def test_an_edit_reruns_only_what_uses_the_file(smoke_run, tmp_path):
    twin = tmp_path / "twin"
    shutil.copytree(smoke_run, twin, symlinks=True)
    for row, (names, change, older) in EDITS.items():
        with ExitStack() as edits:
            for name in names:
                edits.enter_context(edited(twin / name, change, older))
            done = snakemake(twin, "-n", *SMOKE)
        assert first(done) == documented()[row], row
        assert row not in DRAWN or planned(done).get("plot_figure", 0) == DRAWN[row], row


def test_a_run_without_correction_or_delta_learning_is_whole(smoke_run, tmp_path):
    """Neither is needed by the other, nor by the report; nothing is trained that no method asks for."""
    twin = tmp_path / "twin"
    shutil.copytree(smoke_run, twin, symlinks=True)
    methods = lambda: set(pd.read_csv(twin / "results/tables/summary.csv")["method"])
    snakemake(twin, *SMOKE, "--config", 'correction={"strategies":[],"placebo":[]}')
    assert not [name for name in methods() if "corrected" in name] and {"delta", "joint_ttt_delta"} <= methods()
    assert len(pd.read_csv(twin / "results/tables/correction_weights.csv")) == 0
    scheme = '{"joint_distil":{"strategy":"joint","prior_weight":0,"pseudo_weight":1,"teacher":"joint_corrected"}}'
    settings = ['training={"strategies":["supervised","joint"]}', f'conformers={{"schemes":{scheme}}}']
    settings += ['ttt={"strategies":["joint"]}']
    snakemake(twin, *SMOKE, "--config", *settings)
    assert {"joint_corrected", "joint_corrected_placebo"} <= methods()
    assert not [name for name in methods() if "delta" in name or "freeze" in name]
    asked = planned(snakemake(twin, "-n", "--forceall", *SMOKE, "--config", *settings))
    assert asked["train_model"] == 3 and "average_methods" not in asked
    assert (twin / "results/report.html").stat().st_size > 50_000


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
    kinds = ("predictions", "refine", "adapt", "correct", "mean", "pseudo", "conformers")
    made = [path for kind in kinds for path in sorted((smoke_run / "results" / kind).rglob("*.h5"))]
    asked = [str(path.relative_to(smoke_run)) for path in made]
    snakemake(twin, *asked, *SMOKE, "--config", 'data={"checksums":null}')
    with h5py.File(twin / "results/reference/test.h5") as handle:
        assert not handle["ok"][:].any()
    for path, name in zip(made, asked, strict=True):
        assert (twin / name).read_bytes() == path.read_bytes(), name
    assert len(made) >= 21


def test_no_rule_that_predicts_gets_a_reference_label_of_a_test_structure():
    """Only what compares may name the store with the reference labels of the test structures."""
    blocks = {}
    for path in (ROOT / "workflow/rules").glob("*.smk"):
        for block in re.split(r"\n(?=\S)", path.read_text()):
            name = re.match(r"(?:rule|use rule \w+ as) (\w+)|(\w+) = ", block)
            if name:
                blocks[name[1] or name[2]] = block
    names = ["curate.output.test_reference", "<results>/reference/test.h5", "<results>/reference/{set}.h5"]
    users = {name for name, block in blocks.items() if any(text in block for text in names)}
    # variables that hold it
    users |= {n for n, b in blocks.items() for user in users if user.isupper() and re.search(rf"\b{user}\b", b)}
    assert {n for n in users if not n.isupper()} == {
        "curate",
        "check_labels",
        "evaluate",
        "evaluate_variants",
        "evaluate_ablations",
        "evaluate_dynamics",
        "evaluate_finetuning",
        "evaluate_radii",
        "diagnose_shifts",
        "diagnose_model",
        "evaluate_help",
        "report_rescued",
        "make_explorer",
        "explore_diagnosis",
        "explore_rescued",
        *CHOOSES,
    }
    compares = [f"{n}.output" for n in users if not n.isupper() and n not in ("curate", *CHOOSES)]
    predicts = ["train_model", "label_prior", "predict_model", "train_mace", "adapt_variant", "label_pseudo", "ablate"]
    predicts += ["fit_head", "predict_head", "rescue_models", "adapt_public", "distil_public", "finetune_public"]
    predicts += ["adapt_molecule", "simulate_molecule", "fit_prior", "finetune", "adapt_surfaces", *PREDICT]
    predicts += ["train_network", "choose_radii", "scan_radii", "adapt_rewired", "simulate_radius"]
    predicts += ["choose_radii_of_model", "scan_public_radii"]
    # what is found out about them, and about those of the training structures, is in files apart
    compares += ["LABEL_CHECKS", "label_check/test", "label_check/{set}"]
    assert not [name for name in predicts for text in compares if text in blocks[name]]
