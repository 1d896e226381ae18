"""Which library files a script uses, and which packages the scripts of the workflow reach."""

from pathlib import Path

import pytest

from mlipshift.run import sources

ROOT = Path(__file__).parents[2]
# script -> packages that an edit of may re-run it; what is not said here is not known by the script
REACHES = {
    "retrieve_file": "base data run",
    "ask_sources": "base data run",
    "unpack": "base data run",
    "curate": "base catalogue data run",
    "import_dataset": "base catalogue data run",
    "augment": "base data run",
    "check_config": "base catalogue run",
    "document_config": "base catalogue run",
    "collect_run_info": "base run",
    "diagnose_shifts": "base catalogue run shift",
    "label_prior": "base catalogue prior run",
    "train_model": "base catalogue learn run shift",
    "predict": "base catalogue learn run shift",
    "evaluate": "base catalogue evaluate run shift",
    "plot_figure": "base catalogue evaluate run show",
    "write_caption": "base catalogue run",
}


def library(folder, **modules):
    """Write modules {name with __ for a dot: text} of a library; the folder above it."""
    for name, text in modules.items():
        path = folder.joinpath(*name.split("__")).with_suffix(".py")
        for parent in path.relative_to(folder).parents[:-1]:
            (folder / parent).mkdir(parents=True, exist_ok=True)
            (folder / parent / "__init__.py").touch()
        path.write_text(text)
    return folder


def found(folder, text):
    """Files that a script of that text uses, relative to the library."""
    script = folder / "script.py"
    script.write_text(text)
    return [Path(p).relative_to(folder / "mlipshift").as_posix() for p in sources.library_of(script, folder)]


def test_imports_are_found_transitively_lazily_and_without_strangers(tmp_path):
    library(
        tmp_path,
        mlipshift__a="import numpy\ndef f():\n    from mlipshift import b\n",
        mlipshift__b="from mlipshift.c import thing\nfrom mlipshift.a import f\n",
        mlipshift__c="import os\n",
        mlipshift__unused="",
    )
    assert found(tmp_path, "import mlipshift.a as a\n") == ["__init__.py", "a.py", "b.py", "c.py"]
    assert sources.imports(tmp_path / "mlipshift/b.py") == {
        *("mlipshift.c", "mlipshift.c.thing", "mlipshift.a", "mlipshift.a.f")
    }


@pytest.mark.parametrize(
    "line", ["import mlipshift.p.q.m", "from mlipshift.p.q import m", "from mlipshift.p.q.m import x"]
)
def test_every_package_above_a_module_runs_too(tmp_path, line):
    library(tmp_path, mlipshift__p__q__m="x = 1\n", mlipshift__other="", mlipshift__unused="")
    (tmp_path / "mlipshift/p/__init__.py").write_text("import mlipshift.other\n")
    expected = ["__init__.py", "other.py", "p/__init__.py", "p/q/__init__.py", "p/q/m.py"]
    assert found(tmp_path, line) == expected


@pytest.mark.parametrize("script", REACHES)
def test_a_script_reaches_these_packages_alone(script):
    files = sources.library_of(ROOT / f"workflow/scripts/{script}.py", ROOT / "workflow")
    parts = [Path(f).relative_to(ROOT / "workflow/mlipshift").parts for f in files]
    assert " ".join(sorted({p[0] for p in parts if len(p) > 1})) == REACHES[script]
