"""Which source files and packages a script uses, read from its import statements."""

import ast
from collections.abc import Iterable
from functools import cache
from itertools import product
from pathlib import Path

PACKAGE = "mlipshift"


@cache  # of one process, in which most files are asked for by many rules
def imports(path: Path | str) -> set[str]:
    """Dotted names that a Python file imports anywhere, `from a import b` as both a and a.b."""
    names = set()
    for node in ast.walk(ast.parse(Path(path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def library_of(script: Path | str, root: Path | str) -> list[str]:
    """Sorted paths of the library files under `root` that run when a script is, imported directly or not.

    To import a.b.c is to run a/__init__.py and a/b/__init__.py, too. What importlib loads by a name that is put
    together is not followed: whoever does so names the file as an input of the rule.
    """
    root, found, waiting = Path(root), set(), [Path(script)]
    while waiting:
        for name in imports(waiting.pop()):
            parts = name.split(".")
            if parts[0] != PACKAGE:
                continue
            packages = [root.joinpath(*parts[:k], "__init__.py") for k in range(1, len(parts) + 1)]
            for path in (*packages, root.joinpath(*parts).with_suffix(".py")):
                if path.exists() and path not in found:
                    found.add(path)
                    waiting.append(path)
    return sorted(map(str, found))


def beside(path: Path | str, roots: Iterable[Path | str]) -> list[str]:
    """Sorted paths of a user's own Python file and of the files below the folders `roots` that it imports.

    Relative imports count, and so do folders with and without __init__.py. A file that cannot be parsed imports
    nothing: whoever runs it says what is wrong with it.
    """
    roots, found, waiting = [Path(root) for root in roots], set(), [Path(path)]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.add(path)
        waiting += [file for file in _imported(path, roots) if file.is_file()]
    return sorted(map(str, found))


def module_file(name: str, folders: Iterable[Path | str]) -> Path | None:
    """File of a module in the first of some folders that has it, None if none does."""
    for folder in folders:
        for path in (Path(folder, *name.split(".")).with_suffix(".py"), Path(folder, *name.split("."), "__init__.py")):
            if path.is_file():
                return path
    return None


def _imported(path, roots):
    """Files that a user's own file may import, whether they are there or not."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return
    yield path.with_name("__init__.py")  # of the package that it is in
    for node in ast.walk(tree):
        names, folders = [], roots
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = [node.module] if node.module else []
            names = module + [".".join([*module, alias.name]) for alias in node.names]
            folders = [path.parents[node.level - 1]] if 0 < node.level <= len(path.parents) else roots
        for folder, name in product(folders, names):
            parts = name.split(".")
            yield from (folder.joinpath(*parts[:k], "__init__.py") for k in range(1, len(parts) + 1))
            yield folder.joinpath(*parts).with_suffix(".py")
