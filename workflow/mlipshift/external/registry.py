"""The model registry: what can be diagnosed, what loads it, and what may be loaded."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from mlipshift.base import yaml
from mlipshift.base.errors import UserError, nearest, shortened
from mlipshift.catalogue.schema import read_schema

# what decides predictions; other keys of an entry are for the reader, and editing them re-runs nothing
OPERATIVE = ("family", "checkpoint", "sha256", "calculator", "arguments", "cutoff_A", "periodic", "box_padding_A")
CAPABILITY = ("elements", "charge", "periodic", "box_padding_A", "level")


class Registry:
    """Entries by name, each with all keys of the schema. Raises UserError with the first problem."""

    def __init__(self, path: Path | str, schema_path: Path | str, own: Mapping[str, Mapping[str, Any]] | None = None):
        """path: config/models.yaml; own: setting `models`, {name: keys that replace or make an entry}."""
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
            raise UserError(f"{place}: {shortened(errors[0].message)}; {schema_path} says what an entry may hold")
        defaults = {
            key: node["default"]
            for key, node in schema["additionalProperties"]["properties"].items()
            if "default" in node
        }
        self.entries = {name: defaults | entry for name, entry in content.items()}

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
