"""Which source files and packages a script uses, read from its import statements."""

import ast
from functools import cache
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
