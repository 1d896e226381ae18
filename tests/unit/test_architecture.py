"""The house: which package may import which, how long a module and a function may be, and what is annotated."""

import ast
import math
import re
from pathlib import Path

import pytest

from mlipshift.base import units

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / "workflow" / "mlipshift"
# package -> packages of mlipshift that it may import beside itself; data flows one way
ALLOWED = {
    "base": "",
    "catalogue": "base",
    "run": "base catalogue",
    "data": "base catalogue",
    "shift": "base catalogue",
    "prior": "base catalogue",
    "labelling": "base prior",
    "learn": "base catalogue data shift",
    "mitigate": "base catalogue data shift learn",
    "external": "base catalogue data shift prior learn mitigate",
    "simulate": "base catalogue data shift prior labelling learn mitigate",
    "evaluate": "base catalogue shift mitigate simulate",
    "show": "base catalogue evaluate",
}
MODULES = sorted(LIBRARY.rglob("*.py"))
SCRIPTS = sorted((ROOT / "workflow" / "scripts").glob("*.py"))
LONGEST_MODULE, LONGEST_FUNCTION = 350, 60  # lines
name_of = lambda path: str(path.relative_to(ROOT))


def imported(tree):
    """Dotted names of mlipshift that a syntax tree imports, wherever it does."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"line {node.lineno}: a relative import is not followed by what re-runs a rule"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def functions(tree):
    """(function, whether it is public) of a syntax tree: no leading underscore, in no function, in no private class."""

    def walk(node, public):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                yield child, public and not child.name.startswith("_")
                yield from walk(child, False)
            elif isinstance(child, ast.ClassDef):
                yield from walk(child, public and not child.name.startswith("_"))
            else:
                yield from walk(child, public)

    yield from walk(tree, True)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_go_one_way(path):
    package = path.relative_to(LIBRARY).parts[0]
    own = {package, *ALLOWED.get(package, "").split()} if package != "__init__.py" else set()
    names = [n.split(".") for n in imported(ast.parse(path.read_text(encoding="utf-8"))) if n.startswith("mlipshift")]
    assert [".".join(n) for n in names if n[1] not in own] == []


def test_every_package_is_stated():
    assert {p.name for p in LIBRARY.iterdir() if p.is_dir() and p.name != "__pycache__"} == set(ALLOWED)
    order = list(ALLOWED)
    for package, others in ALLOWED.items():
        assert all(order.index(other) < order.index(package) for other in others.split())
        words = (LIBRARY / package / "__init__.py").read_text(encoding="utf-8")
        assert len(ast.get_docstring(ast.parse(words)).splitlines()) == 3, (
            f"{package}: what lives there, what it imports"
        )


@pytest.mark.parametrize("path", MODULES + SCRIPTS, ids=name_of)
def test_nothing_is_too_long_to_read(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LONGEST_MODULE
    lengths = {f.name: f.end_lineno - f.lineno + 1 for f, _ in functions(ast.parse(text))}
    assert {name: n for name, n in lengths.items() if n > LONGEST_FUNCTION} == {}


def test_a_rule_bears_the_name_of_its_script():
    named, derived = {}, {}
    for path in sorted((ROOT / "workflow" / "rules").glob("*.smk")):
        for block in re.split(r"^(?=(?:use )?rule )", path.read_text(encoding="utf-8"), flags=re.M):
            name = re.match(r"(?:use rule (\w+) as|rule) (\w+)", block)
            script = re.search(r'code\("(\w+)"', block)
            if name and (script or name[1]):
                (derived if name[1] else named)[name[2]] = (name[1], script[1] if script else name[1])
    assert len(named) > 25
    assert [name for name, (_, script) in named.items() if script != name] == []
    # the inputs of a rule are stated anew where another one is made from it
    assert [name for name, (base, script) in derived.items() if script != base] == []


def test_the_hartree_the_bohr_and_the_kilocalorie_have_one_value():
    """In base.units: ASE's and SciPy's are others in the ninth digit."""
    values = (units.EV, units.BOHR, units.KCAL, units.EV / units.KCAL, units.EV / units.BOHR)
    for path in [*MODULES, *SCRIPTS, *(ROOT / "benchmarks").glob("*.py")]:
        if path == LIBRARY / "base" / "units.py":
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, float):
                same = [v for v in values if math.isclose(v, node.value, rel_tol=1e-3)]
                same += [v for v in values if node.value and math.isclose(v, 1 / node.value, rel_tol=1e-3)]
                assert not same, f"{name_of(path)}, line {node.lineno}: {node.value}"
            elif isinstance(node, ast.Attribute):
                assert node.attr not in ("Hartree", "Ha", "Bohr", "kcal"), f"{name_of(path)}, line {node.lineno}"
        assert not {n for n in imported(tree) if n.startswith(("ase.units.", "scipy.constants"))}, name_of(path)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_public_functions_are_annotated(path):
    bare = []
    for function, public in functions(ast.parse(path.read_text(encoding="utf-8"))):
        a = function.args
        given = [*a.posonlyargs, *a.args, *a.kwonlyargs, *filter(None, (a.vararg, a.kwarg))]
        missing = [arg.arg for arg in given if arg.annotation is None and arg.arg not in ("self", "cls")]
        if public and (missing or function.returns is None):
            bare.append(f"{function.name}({', '.join(missing)})")
    assert bare == []
