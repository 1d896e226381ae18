"""The model registry: what can be diagnosed, what loads it, and what may be loaded."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from mlipshift.base import yaml
from mlipshift.base.errors import UserError, nearest, shortened
from mlipshift.base.files import expanded
from mlipshift.catalogue.schema import read_schema
from mlipshift.external.entries import calculator_of, is_file, replaced

# what decides predictions; other keys of an entry are for the reader, and editing them re-runs nothing
OPERATIVE = ("family", "checkpoint", "sha256", "calculator", "arguments", "cutoff_A", "periodic", "box_padding_A")
CAPABILITY = ("elements", "charge", "periodic", "box_padding_A", "level", "environment")


class Registry:
    """Entries by name, each with all keys of the schema, paths in them expanded.

    Raises UserError with the first problem.
    """

    def __init__(
        self,
        path: Path | str,
        schema_path: Path | str,
        own: Mapping[str, Mapping[str, Any]] | None = None,
        base: Callable[[str, str], Path | str] = lambda name, key: ".",
    ):
        """path: config/models.yaml; own: setting `models`, {name: keys that replace or make an entry}.

        base: function of a name and a key, the folder of the file that sets it.
        """
        self.path, own = str(path), own or {}
        shipped, schema = yaml.read(path, yaml.RESTORE), read_schema(schema_path)
        shipped = {} if shipped is None else shipped
        if not isinstance(shipped, dict):
            raise UserError(f"{path}: holds no models by name; {schema_path} says what an entry may hold")
        for name, keys in own.items():
            if name not in shipped and "family" not in keys:
                mend = nearest(name, shipped)
                raise UserError(f"models.{name}: no such model in {path}; {mend} A model of your own needs a family")
        # what the settings leave open is the entry's
        own = {name: {k: v for k, v in keys.items() if (k, v) != ("trust", None)} for name, keys in own.items()}
        content = shipped | {name: {**shipped.get(name, {}), **keys} for name, keys in own.items()}
        errors = sorted(Draft202012Validator(schema).iter_errors(content), key=lambda e: [str(p) for p in e.path])
        if errors:
            where = [str(p) for p in errors[0].absolute_path]
            place = f"models.{'.'.join(where)}" if where and where[0] in own else f"{path}, {'.'.join(where) or 'top'}"
            what = shortened(errors[0].message)
            if where[1:] == ["calculator"] and errors[0].validator == "pattern":
                what = (
                    f"{errors[0].instance!r} names no calculator; give package.module:callable or my_calc.py:callable"
                )
            raise UserError(f"{place}: {what}; {schema_path} says what an entry may hold")
        defaults = {
            key: node["default"]
            for key, node in schema["additionalProperties"]["properties"].items()
            if "default" in node
        }
        self.entries = {name: _placed(defaults | entry, name, base) for name, entry in content.items()}

    def entry(self, name: str) -> dict[str, Any]:
        """Entry of a model; UserError with the nearest name if there is none."""
        if name not in self.entries:
            raise UserError(f"models: {name!r} is not in {self.path}; {nearest(name, self.entries)}")
        return self.entries[name]

    def loadable(self, name: str) -> dict[str, Any]:
        """Entry of a model that may be loaded; UserError for a pickled checkpoint without an explicit yes."""
        entry = self.entry(name)
        if entry["checkpoint"] and not entry["trust"]:
            raise UserError(
                f"models.{name}: its checkpoint {entry['checkpoint']} is a Python pickle, which can run any code when "
                f"it is loaded; if you trust where it comes from, set models.{name}.trust to true"
            )
        return entry


def _placed(entry, name, base):
    """An entry with its paths expanded: ~, and what lies beside the file that names it."""
    out = dict(entry)
    if entry["checkpoint"]:
        out["checkpoint"] = expanded(entry["checkpoint"], base(name, "checkpoint"))
    if entry["calculator"]:
        place, callable_name = calculator_of(entry)
        if is_file(place):
            out["calculator"] = f"{expanded(place, base(name, 'calculator'))}:{callable_name}"
    folder = base(name, "arguments")
    # a word that is the name of a file by chance stays a word
    a_path = lambda text: text.startswith("~") or os.sep in text or os.path.splitext(text)[1]
    out["arguments"] = replaced(entry["arguments"], lambda text: expanded(text, folder) if a_path(text) else text)
    return out
