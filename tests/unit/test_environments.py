"""Conda environments agree with the locks and provide what the scripts of their rules import."""

import re
import sys
from pathlib import Path

import pytest
import yaml

from mlipshift.run import sources

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = {path.stem: path for path in sorted((ROOT / "envs").glob("*.yaml"))}
PACKAGE_OF = {"sklearn": "scikit-learn", "yaml": "pyyaml"}  # import name -> package name where they differ
# the prior can call xtb-python, which sampling does not do
OPTIONAL = {"sample_geometries": {"xtb"}, "sample_stress": {"xtb"}, "label_prior": {"sgdml", "tblite", "xtb"}}
LIBRARY = ROOT / "workflow" / "mlipshift"
# modules that a script loads by name
LOADED = {
    "curate": "data/readers/*.py",
    "import_dataset": "data/readers/*.py",
    "label_prior": "prior/engines/*.py",
    "plot_figure": "show/figures/*.py",
    "plot_shift": "show/figures/*.py",
}
MODELS = ("mace", "chgnet", "sevennet", "organic", "sgdml")  # environments with locks of their own


def canonical(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def lock(name):
    lines = (ROOT / "envs" / "lock" / f"{name}.txt").read_text().splitlines()
    pins = [line.split(";")[0] for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", pin) for pin in pins), "exact pins without a local version"
    return {canonical(pin.split("==")[0]): pin.split("==")[1] for pin in pins}


def packages(path):
    """{package: version} of the pip section."""
    sections = [d for d in yaml.safe_load(path.read_text())["dependencies"] if isinstance(d, dict)]
    return {canonical(p.split("==")[0]): p.split("==")[1] for section in sections for p in section["pip"]}


def rules():
    """(script, environment) of every rule that calls a script."""
    for path in sorted((ROOT / "workflow" / "rules").glob("*.smk")):
        # a rule made from another one by `use rule` has its environment
        blocks = re.split(r"^(?=(?:use )?rule )", path.read_text(), flags=re.M)
        for block in (b for b in blocks if b.startswith("rule ")):
            script = re.search(r'\*\*code\("(\w+)"', block)
            # a model names its own environment; test_registry.py looks after these
            if script and "model_environment" not in block:
                environment = re.search(r"envs/(\w+)\.yaml", block)
                names = (
                    ("torch", "mace")
                    if re.search("network_environment", block, re.I)
                    else [environment and environment[1]]
                )
                for name in names:
                    yield pytest.param(script[1], name, id=f"{script[1]}-{name}")


def test_the_locks_agree_where_they_overlap():
    run = lock("run")
    for name in ("test", "reference"):
        other = lock(name)
        assert {k: other.get(k) for k in run} == run, name


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_an_environment_has_the_versions_of_the_lock(name):
    pins = lock(name) if name in MODELS else lock("reference") | lock("test") | lock("xtb")
    content = yaml.safe_load(ENVIRONMENTS[name].read_text())
    assert content["channels"] == ["conda-forge", "nodefaults"]
    assert {k: pins.get(k) for k in packages(ENVIRONMENTS[name])} == packages(ENVIRONMENTS[name])


def test_torch_and_an_xtb_engine_never_share_an_environment():
    for name, path in ENVIRONMENTS.items():
        installed = set(packages(path))
        assert "torch" not in installed or not installed & {"tblite", "xtb"}, name


@pytest.mark.parametrize(("script", "environment"), list(rules()))
def test_an_environment_provides_what_its_scripts_import(script, environment):
    assert environment in ENVIRONMENTS, "every rule names an environment"
    path = ROOT / "workflow" / "scripts" / f"{script}.py"
    by_name = [*LIBRARY.glob(LOADED[script])] if script in LOADED else []
    files = {str(p) for p in (path, *by_name)}
    files |= {f for p in (path, *by_name) for f in sources.library_of(p, ROOT / "workflow")}
    needed = {name.split(".")[0] for file in files for name in sources.imports(file)}
    needed -= {sources.PACKAGE, *sys.stdlib_module_names, *OPTIONAL.get(script, ())}
    missing = {canonical(PACKAGE_OF.get(n, n)) for n in needed} - set(packages(ENVIRONMENTS[environment]))
    assert not missing, f"{environment}.yaml lacks {', '.join(sorted(missing))}"
