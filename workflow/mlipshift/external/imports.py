"""Calculators are imported by the module or the file that they are in; what is wrong with either is one line."""

import hashlib
import importlib
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from mlipshift.base.errors import UserError, nearest, shortened
from mlipshift.external.entries import import_root, is_file

WHERE = f"the environment of the model ({sys.prefix})"


def load(place: str, name: str) -> Any:
    """The callable `name` of a module, or of a Python file, whose folder its other imports may come from.

    Raises UserError, in which a module that is nowhere and one that lacks another are two things.
    """
    try:
        module = _file(Path(place)) if is_file(place) else importlib.import_module(place)
    except UserError:
        raise
    except ModuleNotFoundError as error:
        if not is_file(place) and error.name and f"{place}.".startswith(f"{error.name}."):
            raise UserError(f"calculator {place}:{name}: {_not_found(error.name)}") from error
        raise UserError(lacking(error, f"{place}:{name}")) from error
    except Exception as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        raise UserError(
            f"calculator {place}:{name}: its module cannot be imported, {type(error).__name__}: "
            f"{shortened(error)}{line}; mend the module"
        ) from error
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            mend = nearest(part, [n for n in dir(found) if not n.startswith("_")])
            raise UserError(f"calculator {place}:{name}: {place} has no {part}; correct the entry ({mend})")
        found = getattr(found, part)
    if not callable(found):
        raise UserError(f"calculator {place}:{name}: {name} is no class and no function; correct the entry")
    return found


def lacking(error: ImportError, calculator: str) -> str:
    """What to say when a calculator's module is there, and what it imports is not."""
    if not isinstance(error, ModuleNotFoundError) or not error.name:
        return f"calculator {calculator}: {shortened(error)}; install what it needs in {WHERE}"
    return (
        f"calculator {calculator}: it needs the module {error.name}, which {WHERE} lacks; install it "
        "there, or name the environment that has it (models.NAME.environment)"
    )


def _not_found(module):
    """What to say when a calculator's own module is nowhere."""
    library = str(Path(__file__).parents[2])
    own = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path not in ("", library)]
    looked = f"looked in {WHERE} and on PYTHONPATH ({os.pathsep.join(own) or 'empty'})"
    return (
        f"no module named {module}; {looked}; install it there, add its folder to PYTHONPATH, or give the file, "
        "my_calc.py:callable"
    )


def _file(path: Path) -> ModuleType:
    """Module of a Python file. Its folder is searched last, so that a file mace.py does not hide the package."""
    if not path.is_file():
        raise UserError(
            f"calculator {path}: no such file; give the path from the working directory, or an absolute one"
        )
    root = import_root(path)
    if str(root) not in sys.path:
        sys.path.append(str(root))
    parts = path.absolute().relative_to(root).with_suffix("").parts
    # a lone file gets a name that no other module has; one in a package needs its own, for its relative imports
    lone = f"mlipshift_calculator_{hashlib.sha256(str(path.absolute()).encode()).hexdigest()[:16]}"
    name = ".".join(parts) if len(parts) > 1 else lone
    if len(parts) > 1:
        importlib.import_module(".".join(parts[:-1]))
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UserError(f"calculator {path}: not a Python file; give one that ends with .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
