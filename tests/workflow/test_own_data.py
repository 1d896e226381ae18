"""Structures of one's own go through the diagnosis: any format, with and without labels, and as a module."""

import json
import re
import textwrap

import numpy as np
import pandas as pd
import pytest
import yaml
from ase import Atoms
from ase.build import bulk, fcc111, molecule
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from clone import ROOT, copy_repository, snakemake
from mlipshift.external.registry import Registry
from mlipshift.run import configuration

EXAMPLE = ROOT / "config" / "own_data.yaml"
TRAIN, TEST, NEW = ("CH4", "C2H6", "H2O", "CH3OH"), ("CH4", "CH3OH"), ("NH3", "HCN", "C2H4", "CH3NO2")


def structures(names, seed, labelled=True, copies=3):
    """Rattled molecules of the G2 set, with energies and forces of a Lennard-Jones potential if labelled."""
    rng = np.random.default_rng(seed)
    found = []
    for name in names:
        for _ in range(copies):
            atoms = molecule(name)
            atoms = Atoms(atoms.numbers, atoms.positions + rng.normal(0, 0.03, atoms.positions.shape))
            if labelled:
                atoms.calc = LennardJones(sigma=1.0, epsilon=0.1)
                energy, forces = atoms.get_potential_energy(), atoms.get_forces()
                atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces)
            found.append(atoms)
    return found


def put(directory, labelled=True, new_labelled=True):
    """The files that the example names."""
    write(directory / "my_train.extxyz", structures(TRAIN, 0, labelled))
    write(directory / "my_test.traj", structures(TEST, 1, labelled))
    write(directory / "my_new_molecules.extxyz", structures(NEW, 2, labelled and new_labelled))


def table(directory, name):
    return pd.read_csv(directory / "results/mine" / name)


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """Directory of a finished run of the example as it stands in config/."""
    directory = copy_repository(tmp_path_factory.mktemp("own") / "clone")
    put(directory)
    snakemake(directory, "diagnose", "--configfile", "config/own_data.yaml")
    return directory


def test_the_example_of_the_documentation_runs(labelled):
    """Tables, figures and report of a user's files and an ASE calculator, errors included."""
    folder = labelled / "results/mine/diagnosis/emt"
    summary = json.loads((folder / "diagnosis.json").read_text())
    assert (summary["n_train"], summary["n_test"], summary["n_errors"]) == (12, 18, 18)
    assert summary["missing"][0].startswith("No validation groups (val_NAME) with 10 errors or more")
    assert summary["missing"][1:] == [
        "The model gives no representation: there is no embedding map and no distance in it.",
        "There are no prior labels: the force norm axis has no measure of the prior.",
    ]
    drawn = {path.name for path in (folder / "figures").glob("[!.]*")}
    assert drawn == {f"fig_{n}.{s}" for n in ("error_axes", "rank_correlations") for s in ("svg", "png", "txt")}

    shifts = table(labelled, "tables/shifts.csv").set_index("id")
    assert set(shifts.group) == {"train", "id_test", "ood_new"}
    assert "prior_force_norm_eV_per_A" not in shifts
    # N occurs in three of the four new molecules and nowhere in training
    unseen = shifts.unseen_element_fraction[shifts.group == "ood_new"]
    assert (unseen > 0).mean() == 0.75 and (shifts.unseen_element_fraction[shifts.group != "ood_new"] == 0).all()

    errors = table(labelled, "diagnosis/emt/errors.csv")
    assert errors.force_mae_meV_per_A.gt(0).all() and len(errors) == 30
    groups = table(labelled, "diagnosis/emt/groups.csv").set_index("group")
    mean = errors.groupby("group").force_mae_meV_per_A.mean()
    assert np.allclose(groups.mean_meV_per_A, mean[groups.index], rtol=1e-6)
    page = (labelled / "results/mine/diagnosis.html").read_text(encoding="utf-8")
    assert page.count("data:image/svg+xml") == 3 and "Effective medium theory" in page


def test_a_run_without_any_label_says_what_is_missing(labelled, tmp_path):
    """Also of the training structures; the measures of shift are those of the labelled run."""
    directory = copy_repository(tmp_path / "clone")
    put(directory, labelled=False)
    done = snakemake(directory, "diagnose", "--configfile", "config/own_data.yaml")
    assert "The diagnosis is results/mine/diagnosis.html" in done.stderr
    summary = json.loads((directory / "results/mine/diagnosis/emt/diagnosis.json").read_text())
    assert summary["n_errors"] == 0 and summary["missing"][0].startswith("No test structure has a reference label")
    page = (directory / "results/mine/diagnosis.html").read_text(encoding="utf-8")
    assert summary["missing"][0] in page and "rank correlation" not in page.split("No test structure")[0]
    for name in ("n_atoms", "window_fraction", "composition_distance", "spectrum_wasserstein_nearest"):
        both = [table(d, "tables/shifts.csv")[name] for d in (directory, labelled)]
        assert np.allclose(*both, equal_nan=True), name
    assert table(directory, "diagnosis/emt/groups.csv").mean_meV_per_A.isna().all()


def test_statistics_of_another_run_stand_for_training_structures(labelled):
    """The same shares outside and the same ranks, without a training structure; what needs one says so in one line."""
    given = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8")) | {"run": "elsewhere"}
    del given["data"]["files"]["train"]
    given["data"]["training_statistics"] = "results/mine/shifts/training.h5"
    (labelled / "elsewhere.yaml").write_text(yaml.safe_dump(given))
    snakemake(labelled, "diagnose", "--configfile", "elsewhere.yaml")
    folder = labelled / "results/elsewhere"
    for name in ("tables/shift_summary.csv", "tables/shift_sweep.csv", "diagnosis/emt/ranks.csv"):
        assert (folder / name).read_bytes() == (labelled / "results/mine" / name).read_bytes(), name
    page = (folder / "diagnosis.html").read_text(encoding="utf-8")
    assert "known by their statistics alone: 12 structures of mine" in page and "No training structures given" in page

    done = snakemake(labelled, "report", "-n", "--configfile", "elsewhere.yaml", check=False)
    assert done.returncode and "data.files.train names no training structures, and strategy" in done.stderr
    twice = ["--config", "data={'files': {'train': ['my_train.extxyz']}}"]
    done = snakemake(labelled, "diagnose", "-n", "--configfile", "elsewhere.yaml", *twice, check=False)
    assert done.returncode and "beside the training structures of data.files.train; give one of them" in done.stderr


@pytest.fixture(scope="module")
def crystals(tmp_path_factory):
    """(directory, configuration) of metals: training on fcc cells, test on rattled ones, an alloy and a slab."""
    directory = copy_repository(tmp_path_factory.mktemp("crystals") / "clone")
    rng = np.random.default_rng(3)

    def labelled_by_emt(made):
        for atoms in made:
            atoms.positions += rng.normal(0, 0.05, atoms.positions.shape)
            atoms.calc = EMT()
            energy, forces = atoms.get_potential_energy(), atoms.get_forces()
            # forces that EMT misses by a known amount
            atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces + 0.1)
        return made

    cubic = lambda name: [bulk(name, cubic=True) * (1, 1, k) for k in (1, 2)]
    alloy = bulk("Cu", cubic=True)
    alloy.symbols[0] = "Au"
    write(directory / "train.traj", labelled_by_emt([*cubic("Cu"), *cubic("Al"), *cubic("Ni")]))
    write(directory / "test.traj", labelled_by_emt([*cubic("Cu"), bulk("Al") * (2, 2, 2)]))
    write(directory / "new.traj", labelled_by_emt([alloy, fcc111("Pt", (1, 1, 3), vacuum=5.0)]))
    files = {"train": ["train.traj"], "id_test": ["test.traj"], "ood_new": ["new.traj"]}
    emt = {"title": "EMT", "family": "ase", "calculator": "ase.calculators.emt:EMT", "environment": "xtb"}
    settings = {
        "run": "metals",
        "data": {"files": files, "periodic": True},
        "shifts": {"labels": ["reference"]},
        "spectra": {"variant": "robust"},
        "models": {"emt": emt},
    }
    (directory / "metals.yaml").write_text(yaml.safe_dump(settings))
    return directory, settings


def test_crystals_and_slabs_are_diagnosed(crystals):
    directory, _ = crystals
    snakemake(directory, "diagnose", "--configfile", "metals.yaml")
    folder = directory / "results/metals"
    errors = pd.read_csv(folder / "diagnosis/emt/errors.csv")
    assert len(errors) == 11 and np.allclose(errors.force_mae_meV_per_A, 100, atol=1e-3), "the model got the cell"
    shift = pd.read_csv(folder / "tables/shifts.csv").set_index("group")
    assert shift.unseen_element_fraction["ood_new"].tolist() == [0.25, 1.0]
    copper, doubled, aluminium = shift.spectrum_wasserstein_nearest["id_test"]
    alloy, slab = shift.spectrum_wasserstein_nearest["ood_new"]
    assert max(copper, doubled, alloy) < 1e-9, "the same graph, in any cell and of any elements"
    assert aluminium < 0.01 < 0.015 < slab, "rattled past the radius here and there; atoms at a surface"
    page = (folder / "diagnosis.html").read_text(encoding="utf-8")
    assert "EMT" in page and page.count("data:image/svg+xml") >= 2


@pytest.mark.parametrize(
    ("change", "target", "part"),
    [
        ({"data": {"periodic": False}}, "diagnose", "is periodic; set data.periodic to true"),
        ({"shifts": {"labels": ["prior", "reference"]}}, "diagnose", "leave `prior` out of shifts.labels"),
        ({}, "results/metals/models/supervised/seed0/weights.pt", "takes molecules only; name other models"),
    ],
)
def test_what_cannot_take_crystals_says_so_in_one_line(crystals, change, target, part):
    directory, settings = crystals
    merged = {k: {**v, **change.get(k, {})} if isinstance(v, dict) else v for k, v in settings.items()}
    (directory / "changed.yaml").write_text(yaml.safe_dump(merged))
    done = snakemake(directory, target, "--configfile", "changed.yaml", check=False)
    assert done.returncode != 0 and part in done.stderr and "Traceback" not in done.stderr


def test_training_needs_labels_where_a_diagnosis_does_not(tmp_path):
    directory = copy_repository(tmp_path / "clone")
    put(directory, labelled=False)
    target = "results/mine/models/supervised/seed0/weights.pt"
    done = snakemake(directory, target, "--configfile", "config/own_data.yaml", check=False)
    assert done.returncode != 0
    assert "no training structure has reference forces, and training needs them" in done.stderr
    assert "Traceback" not in done.stderr

    required = ["--config", "data={'labels': 'required'}"]
    done = snakemake(directory, "diagnose", "--configfile", "config/own_data.yaml", *required, check=False)
    assert done.returncode != 0 and "has no label energy and forces" in done.stderr


def test_the_workflow_is_a_module_of_another_one(labelled, tmp_path):
    """Used from another folder under a prefix of its rules, it finds its own files and gives the same tables."""
    directory = tmp_path / "outer"
    directory.mkdir()
    put(directory)
    settings = {"mlipshift": yaml.safe_load(EXAMPLE.read_text(encoding="utf-8")), "another": "setting"}
    (directory / "config.yaml").write_text(yaml.safe_dump(settings))
    (directory / "Snakefile").write_text(
        textwrap.dedent(
            f"""
            configfile: "config.yaml"


            rule all:
                input:
                    "largest.txt",


            module mlipshift:
                snakefile:
                    "{labelled}/Snakefile"
                config:
                    config["mlipshift"]


            use rule * from mlipshift as mlipshift_*


            rule largest:
                input:
                    rules.mlipshift_diagnose.input,
                    shifts=rules.mlipshift_diagnose_shifts.output.shifts,
                output:
                    "largest.txt",
                shell:
                    "cut -d, -f6 {{input.shifts}} | sort -n | tail -1 > {{output}}"
            """
        )
    )
    snakemake(directory)
    assert (directory / "largest.txt").read_text().strip()
    assert not (directory / "workflow").exists(), "nothing of the module is copied"
    names = ["tables/shifts.csv", "tables/shift_summary.csv", "diagnosis/emt/errors.csv", "diagnosis/emt/ranks.csv"]
    for name in names:
        one, other = ((d / "results/mine" / name).read_bytes() for d in (directory, labelled))
        assert one == other, name
    again = snakemake(directory, "-n")
    assert "Nothing to be done" in again.stdout + again.stderr


def test_what_the_example_has_in_comments_is_valid_and_its_small_mitigation_is_the_one_of_the_tutorial():
    """That one is run by the test of the tutorial."""
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    setting = re.compile(r"( *)# ((?: *)[a-z_]+:(?: .*)?)$")
    whole = yaml.safe_load("\n".join(setting.sub(r"\1\2", line) for line in lines))
    assert {"emt", "mine", "my_mace"} <= set(whole["models"]) and whole["models"]["my_mace"]["trust"]
    configuration.load(whole, ROOT / "workflow/schemas/config.schema.yaml")
    registry = Registry(ROOT / "config/models.yaml", ROOT / "workflow/schemas/models.schema.yaml", whole["models"])
    assert registry.loadable("my_mace")["family"] == "mace" and registry.loadable("mine")["charge"]
    page = (ROOT / "docs/own_data.md").read_text(encoding="utf-8")
    small = yaml.safe_load(re.search(r"cat > mitigate.yaml <<'END'\n(.*?)^END$", page, re.S | re.M)[1])
    sections = ("prior", "training", "refine", "ttt", "conformers", "statistics")
    assert {key: whole[key] for key in sections} == {key: small[key] for key in sections}
