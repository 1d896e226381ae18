"""Which source files and packages a script uses, read from its import statements."""

import ast
from pathlib import Path

PACKAGE = "mlipshift"


def imports(path):
    """Dotted names that a Python file imports anywhere, `from a import b` as both a and a.b."""
    names = set()
    for node in ast.walk(ast.parse(Path(path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def library_of(script, root):
    """Sorted paths of the library files under `root` that a script imports, directly or not."""
    root, found, waiting = Path(root), set(), [Path(script)]
    while waiting:
        for name in imports(waiting.pop()):
            parts = name.split(".")
            if parts[0] != PACKAGE:
                continue
            for path in (root.joinpath(*parts, "__init__.py"), root.joinpath(*parts).with_suffix(".py")):
                if path.exists() and path not in found:
                    found.add(path)
                    waiting.append(path)
    return sorted(map(str, found))
