"""Which library files a script uses."""

from mlipshift.run import sources


def test_imports_are_found_transitively_lazily_and_without_strangers(tmp_path):
    package = tmp_path / "mlipshift"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "a.py").write_text("import numpy\ndef f():\n    from mlipshift import b\n")
    (package / "b.py").write_text("from mlipshift.c import thing\nfrom mlipshift.a import f\n")
    (package / "c.py").write_text("import os\n")
    (package / "unused.py").write_text("")
    script = tmp_path / "script.py"
    script.write_text("import mlipshift.a as a\n")
    found = sources.library_of(script, tmp_path)
    assert found == [str(package / f"{n}.py") for n in ("__init__", "a", "b", "c")]
    names = sources.imports(package / "b.py")
    assert names == {"mlipshift.c", "mlipshift.c.thing", "mlipshift.a", "mlipshift.a.f"}
