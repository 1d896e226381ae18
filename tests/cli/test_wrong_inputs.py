"""Wrong inputs where a user meets them: one clear line with what, where and the mend, and no traceback."""

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from structures import BENCHMARK, GROUPS, ROOT, checksums, run, sample, store

from mlipshift.base.units import BOHR

SNAKEMAKE = ["snakemake", "--workflow-profile", "none", "--quiet", "host"]
CURATED = "results/frames/train.h5"


@pytest.fixture
def workdir(tmp_path):
    """Folder to run in: the workflow itself, and a small copy of the benchmark to damage."""
    for name in ("Snakefile", "workflow", "envs"):
        (tmp_path / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "config", tmp_path / "config")
    data = tmp_path / "resources" / "benchmark"
    data.mkdir(parents=True)
    (data.parent / "manifest.yaml").symlink_to(ROOT / "resources" / "manifest.yaml")
    shutil.copy(BENCHMARK / "molecules.csv", data)
    for group in GROUPS:
        store(data / f"{group}.extxyz", sample(group))
    checksums(data)
    return tmp_path


def one_line(done):
    """The line that a failed run shows beside progress and make's own; asserts that there is only one."""
    shown = (done.stdout + done.stderr).splitlines()
    lines = [line for line in shown if line.strip() and not re.match(r"\[\d+/\d+\] |make(\[\d+\])?: ", line)]
    assert done.returncode != 0
    assert len(lines) == 1, "\n".join(shown)
    assert lines[0].startswith("error: ")
    return lines[0]


def curate(workdir, *options):
    return one_line(run([*SNAKEMAKE, "--cores", "1", CURATED, *options], cwd=workdir))


def configured(workdir, **data):
    """Options of a run with other settings of the section `data`."""
    (workdir / "my.yaml").write_text(yaml.safe_dump({"data": data}))
    return "--configfile", "my.yaml"


def damage(workdir, group, edit):
    """Rewrite the frames of a group after edit(frames), with fitting checksums; returns the path as shown."""
    data = workdir / "resources" / "benchmark"
    frames = sample(group, 40)
    edit(frames)
    store(data / f"{group}.extxyz", frames)
    checksums(data)
    return f"resources/benchmark/{group}.extxyz"


def test_a_sound_copy_runs(workdir):
    done = run([*SNAKEMAKE, "--cores", "1", CURATED], cwd=workdir)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (workdir / CURATED).exists()
    assert re.fullmatch(r"\[1/1\] Check and convert [^\n]*\n", done.stdout + done.stderr)


def test_missing_file(workdir):
    (workdir / "resources/benchmark/ood_larger.extxyz").unlink()
    line = curate(workdir)
    assert "resources/benchmark/ood_larger.extxyz: no such file" in line
    assert "data.files.ood_larger" in line and "put the file there" in line


def test_missing_checksum_file(workdir):
    (workdir / "resources/benchmark/SHA256SUMS").unlink()
    line = curate(workdir)
    assert "resources/benchmark/SHA256SUMS: no such file" in line and "data.checksums" in line


def test_wrong_unit(workdir):
    def to_bohr(frames):
        for atoms in frames:
            atoms.positions /= BOHR

    path = damage(workdir, "id_test", to_bohr)
    line = curate(workdir)
    assert f"{path}: positions look like Bohr, not Angstrom" in line
    assert "set data.units.length to Bohr" in line


def test_positions_that_are_not_numbers(workdir):
    def spoil(frames):
        frames[3].positions[1] = np.nan

    path = damage(workdir, "train", spoil)
    line = curate(workdir)
    assert f"{path}, frame 3" in line and "position of atom 1" in line and "not finite" in line
    assert "data.bad_structures" in line


def test_element_without_parametrisation(workdir):
    def enrich(frames):
        frames[2].numbers[0] = 92

    path = damage(workdir, "ood_new_elements", enrich)
    line = curate(workdir)
    assert f"{path}, frame 2" in line and "element U (Z = 92) is outside GFN-xTB" in line


@pytest.mark.filterwarnings("ignore:Basis may be available")
def test_element_without_basis():
    pytest.importorskip("pyscf", reason="the reference calculations have an environment of their own")
    from mlipshift.labelling import reference

    level = {"xc": "wb97m-d3bj", "basis": "sto-3g", "grid_level": 1, "conv_tol": 1e-6}
    with pytest.raises(ValueError, match="sto-3g") as caught:
        reference.label([92], np.zeros((1, 3)), 0, 1, level)
    assert "\n" not in str(caught.value)


def test_atoms_on_top_of_each_other(workdir):
    def merge(frames):
        frames[0].positions[1] = frames[0].positions[0] + [0.05, 0, 0]

    path = damage(workdir, "train", merge)
    line = curate(workdir)
    assert f"{path}, frame 0" in line and "lie on top of each other, 0.050 Å apart" in line


def test_truncated_file(workdir):
    path = workdir / "resources/benchmark/val_larger.extxyz"
    path.write_text("\n".join(path.read_text().splitlines()[:-4]) + "\n")
    checksums(path.parent)
    line = curate(workdir)
    assert re.search(r"val_larger\.extxyz, frame \d+ \(line \d+\): the file ends after \d+ of \d+ atoms", line)
    assert "fetch it again" in line


def test_checksum_mismatch(workdir):
    with open(workdir / "resources/benchmark/train.extxyz", "a") as handle:
        handle.write("\n")
    line = curate(workdir)
    assert re.search(r"train\.extxyz: sha256 is [0-9a-f]{64}, .*SHA256SUMS expects [0-9a-f]{64}", line)
    assert "sha256sum *.extxyz > SHA256SUMS" in line


def test_unknown_config_key(workdir):
    line = curate(workdir, *configured(workdir, fils={"train": ["x"]}))
    assert "my.yaml: unknown key 'data.fils'; did you mean 'files'?" in line


def test_negative_step_count(workdir):
    (workdir / "my.yaml").write_text("training:\n  joint: {steps: -10}\n")
    line = curate(workdir, "--configfile", "my.yaml")
    assert "my.yaml: 'training.joint.steps' is -10; give a whole number of at least 1" in line


def test_wrong_setting_on_the_command_line(workdir):
    assert "--config: unknown key 'step'" in curate(workdir, "--config", "step=3")


def test_wrong_settings_stop_a_dry_run_and_the_linter_too(workdir):
    for option in ("--dry-run", "--lint"):
        done = run([*SNAKEMAKE, option, "--config", "step=3"], cwd=workdir)
        assert done.returncode != 0 and "Traceback" not in done.stderr
        assert done.stderr.splitlines()[-1].startswith("error: --config: unknown key 'step'")


def test_zero_cores_of_snakemake(workdir):
    line = one_line(run([*SNAKEMAKE, "--cores", "0"], cwd=workdir, timeout=60))
    assert "--cores is 0; give at least 1" in line


@pytest.mark.parametrize("cores", ["0", "-2", "many", ""])
def test_impossible_cores_of_make(cores):
    line = one_line(run(["make", "reproduce", f"CORES={cores}"], cwd=ROOT))
    assert f"CORES is '{cores}'" in line and "make reproduce CORES=2" in line


def test_missing_configuration_of_make():
    line = one_line(run(["make", "reproduce", "CONFIG=none.yaml"], cwd=ROOT))
    assert "none.yaml: cannot be read (No such file or directory)" in line and "name of the file" in line


@pytest.mark.parametrize("config", ["", *(f"config/{n}.yaml" for n in ("smoke", "acac", "rmd17", "spice"))])
def test_sound_configurations_of_make(config):
    done = run(["make", "check-config", f"CONFIG={config}"], cwd=ROOT)
    assert done.returncode == 0 and done.stderr == ""


def test_make_without_a_usable_python(tmp_path):
    line = one_line(run(["make", "reproduce", f"PYTHON={tmp_path}/python3"], cwd=ROOT))
    assert "PYTHON=..." in line
    old = tmp_path / "python3"
    old.write_text('#!/bin/sh\necho "error: $0 is Python 3.9; 3.11 or newer is needed" >&2; exit 1\n')
    old.chmod(0o755)
    assert "3.11 or newer" in one_line(run(["make", "reproduce", f"PYTHON={old}"], cwd=ROOT))


def test_a_crash_shows_one_line_and_leaves_the_traceback_in_the_log(workdir):
    (workdir / "workflow").unlink()
    shutil.copytree(ROOT / "workflow", workdir / "workflow")
    script = workdir / "workflow/scripts/curate.py"
    script.write_text(
        script.read_text().replace("def main(args):", 'def main(args):\n    raise KeyError("deliberate")')
    )
    line = curate(workdir)
    assert "KeyError" in line and "the traceback is in logs/curate.log" in line
    assert "Traceback" in Path(workdir / "logs/curate.log").read_text()


def test_make_hands_models_and_mirror_to_snakemake_as_settings():
    words = ["make", "-n", "diagnose", "MODELS=supervised mace_trained", "MIRROR=/a b", "CONFIG=config/acac.yaml"]
    line = next(line for line in run(words, cwd=ROOT).stdout.splitlines() if "snakemake" in line)
    given = dict(word.split("=", 1) for word in shlex.split(line)[-2:])
    assert yaml.safe_load(given["models"]) == {"supervised": {}, "mace_trained": {}}
    assert yaml.safe_load(given["retrieve"]) == {"mirror": "/a b"}
