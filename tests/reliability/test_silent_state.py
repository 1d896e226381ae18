"""State that would be silently wrong: what changed and is older, and paths of any letters that reach no file."""

import re
import shlex
import shutil
import subprocess

import pytest
import yaml

from clone import ROOT, copy_repository, environment
from mlipshift.base.frames import Frames
from reruns import documented, edited, first

BENCHMARK = ROOT / "resources/benchmark"
CLONE, WORK = 'a "clone"\'s Δ', "work 'dir' µ"
GROUPS = {"train": ["~/set"], "id_a": ["my data/*[[]1*.xyz"], "ood_b": ["./more $data"]}
WEIGHTS, TABLE = "my data/w v'1.txt", 'my code/a "table".txt'
MODEL = {
    "title": "Lennard-Jones",
    "family": "ase",
    "calculator": "my code/it's.py:Scaled",
    "environment": "xtb",
    "checkpoint": WEIGHTS,
    "arguments": {"weights": "{checkpoint}", "table": TABLE, "epsilon": 0.1},
    "trust": True,
}
CALCULATOR = """
from pathlib import Path
from ase.calculators.lj import LennardJones
from parts import factor

class Scaled(LennardJones):
    def __init__(self, weights, table, epsilon):
        super().__init__(epsilon=epsilon * factor(Path(weights).read_text(), Path(table).read_text()))
"""
RUN = {
    "run": "odd",
    "data": {"checksums": None, "max_structures_per_group": 3, "files": GROUPS},
    "models": {"own": MODEL},
    "shifts": {"labels": ["reference"]},
}
TARGETS = ["results/odd/models/external/own/test.h5"]
ROWS = {
    "folder": "a file more in a folder, or one more that a pattern matches, in `data.files`",
    "weights": "the weights of a model of section `models`, its `checkpoint`, newer or older",
    "arguments": "its `arguments`",
    "file": "a file that its `arguments` name",
    "code": "its calculator, a Python file of yours, or a file beside that it imports",
}


class Elsewhere:
    """Runs of a clone from another folder, both with names that a shell has its own ideas of."""

    def __init__(self, folder):
        self.clone, self.work = copy_repository(folder / CLONE), folder / WORK
        places = {"home/set": ["train"], "my data": ["id_test"], "more $data": ["val_larger"]}
        for place, groups in places.items():
            (self.work / place).mkdir(parents=True)
            for group in groups:
                shutil.copy(BENCHMARK / f"{group}.extxyz", self.work / place / f'it\'s "{group}" [1].xyz')
        (self.work / "more $data/README.md").write_text("notes")
        (self.work / "my code").mkdir()
        (self.work / "my code/it's.py").write_text(CALCULATOR)
        (self.work / "my code/parts.py").write_text("def factor(*texts):\n    return sum(map(float, texts))\n")
        for path in (WEIGHTS, TABLE):
            (self.work / path).write_text("1")

    def snakemake(self, *arguments, settings=RUN, home=None):
        (self.work / "my run.yaml").write_text(yaml.safe_dump(settings))
        command = ["snakemake", *arguments, "-s", str(self.clone / "Snakefile"), "-d", str(self.work), "--cores", "1"]
        return subprocess.run(
            [*command, "--configfile", "my run.yaml"],
            cwd=self.work,
            env=environment() | {"HOME": home or str(self.work / "home")},
            capture_output=True,
            text=True,
        )


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    run = Elsewhere(tmp_path_factory.mktemp("elsewhere"))
    done = run.snakemake(*TARGETS)
    assert done.returncode == 0, done.stderr
    assert "data.files.ood_b: left out in more $data: README.md" in done.stderr
    return run


def test_paths_of_any_letters_are_read(elsewhere):
    frames = Frames.load(elsewhere.work / "results/odd/frames/test.h5")
    assert sorted(frames.group) == ["id_a"] * 3 + ["ood_b"] * 3
    assert len(Frames.load(elsewhere.work / "results/odd/frames/train.h5")) == 3


def test_every_command_has_its_paths_whole(elsewhere):
    """All rules, from the printed commands: what names the clone or the data is one word that is a path."""
    targets = ["all", "diagnose", "variants", "ablations", "tune", "relabel", "stress", "check_sources"]
    targets += ["third_edition", "universal", "rescue"]
    done = elsewhere.snakemake(*targets, "--dryrun", "--printshellcmds", "--forceall")
    commands = re.findall(r"^.*workflow/scripts/.*$", done.stdout + done.stderr, re.M)
    ran = {re.search(r"workflow/scripts/(\w+)\.py", line)[1] for line in commands}
    scripts = {path.stem for path in (ROOT / "workflow/scripts").glob("*.py")}
    # of these no target here makes the output
    others = {"check_config", "document_config", "import_dataset", "retrieve_file", "unpack", "train_mace"}
    # of models on whose features a head can learn, which have environments of their own
    others |= {"fit_head", "predict_head", "adapt_public", "distil_public", "finetune_public", "take_validation"}
    # of molecules in motion, which the settings here ask nothing of
    others |= {
        "simulate_molecule",
        "adapt_molecule",
        "evaluate_dynamics",
        "finetune",
        "evaluate_finetuning",
        "fit_prior",
    }
    others |= {"find_minima", "sample_surfaces", "adapt_surfaces", "evaluate_surfaces", "label_surface"}
    # of networks of section radius
    others |= {"choose_radii", "scan_radii", "scan_public_radii", "adapt_rewired", "evaluate_radii"}
    others |= {"simulate_radius", "evaluate_radius_motion"}
    # of an adaptation that is divided into jobs
    others |= {"gather_adapted"}
    # of a benchmark that the settings here do not name
    others |= {"sample_connectivity", "assemble_connectivity"}
    assert ran == scripts - others - {"sample_stress"}
    words = {word for line in commands for word in shlex.split(line)}
    assert [word for word in words if CLONE[2:7] in word and str(elsewhere.clone) not in word] == []
    assert [word for word in words if "w v" in word and word[0] != "{" and word != MODEL["checkpoint"]] == []


def test_what_changed_runs_again(elsewhere):
    """Rows of docs/reruns.md that need a run of their own; the others are in tests/workflow/test_pipeline.py."""
    plan = lambda settings=RUN: first(elsewhere.snakemake(*TARGETS, "--dryrun", settings=settings))
    edits = {WEIGHTS: "weights", TABLE: "file", "my code/parts.py": "code"}
    for path, row in edits.items():
        with edited(elsewhere.work / path, lambda content: content + b"\n", older=True):
            assert plan() == documented()[ROWS[row]], path
    for path in (*edits, next((elsewhere.work / "my data").glob("*.xyz"))):
        (elsewhere.work / path).touch()
    assert plan() == set()
    other = MODEL | {"arguments": MODEL["arguments"] | {"epsilon": 0.2}}
    assert plan(RUN | {"models": {"own": other}}) == documented()[ROWS["arguments"]]
    added = elsewhere.work / "home/set/2.xyz"
    shutil.copy2(BENCHMARK / "ood_larger.extxyz", added)
    assert plan() == documented()[ROWS["folder"]]
    added.unlink()


def test_a_folder_without_structures_is_one_line(elsewhere):
    done = elsewhere.snakemake(*TARGETS, settings=RUN | {"data": RUN["data"] | {"files": {"train": ["home"]}}})
    assert done.returncode == 1 and "Traceback" not in done.stderr
    line = "error: home: no file of a known format in this folder; correct data.files.train"
    assert [said for said in done.stderr.splitlines() if "error" in said] == [line]


def test_a_home_that_is_not_there_is_missed_by_nothing(elsewhere):
    """As the user of a container has it: data, numba, a figure."""
    groups = {"train": ["home/set"], "id_a": ["my data"]}
    settings = RUN | {"run": "homeless", "data": RUN["data"] | {"files": groups}}
    done = elsewhere.snakemake("results/homeless/diagnosis/figures", settings=settings, home="/proc/nohome")
    assert done.returncode == 0, done.stderr
    assert not re.search("nohome|matplotlib|Traceback", done.stderr), done.stderr
    assert (elsewhere.work / ".snakemake/caches/matplotlib").is_dir()
