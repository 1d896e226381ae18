"""Settings: defaults and validation against the schema, and one clear line for what is wrong."""

import difflib
import json
import math
import re
from collections.abc import Iterable
from copy import deepcopy
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from yaml import YAMLError

from mlipshift.base import yaml
from mlipshift.base.errors import UserError
from mlipshift.catalogue.schema import read_schema

KINDS = {
    "object": "a mapping of keys",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
}


def load(config: dict, schema_path: Path | str, sources: Iterable[tuple[str, dict]] = ()) -> dict:
    """Settings with all defaults filled in; `config` stays as it is.

    config: the merged settings as read from YAML or JSON; schema_path: JSON Schema (2020-12) for read_schema.
    sources: (name, settings) pairs in order of merging, the defaults first; the last that sets the offending key is
    named in the message. If one behind the first sets data.files, only the groups that such sources name are used, and
    data.level is that which such a source sets, or none.
    Raises UserError with the first problem.
    """
    schema, sources = read_schema(schema_path), list(sources)
    infinite = next(_not_finite(config), None)
    if infinite:
        raise UserError(f"{_source_of(infinite, sources)}: {_name(infinite)!r} is not a finite number; give one")
    # Snakemake hands over ordered and subclassed containers; keys become text, and so do the dates of YAML
    nodes = (config, *(settings for _, settings in sources))
    plain, *given = (json.loads(json.dumps(node, default=str)) for node in nodes)
    sources = [(name, settings) for (name, _), settings in zip(sources, given)]
    filled = fill(schema, plain, schema)
    _drop_default_files(filled, sources)
    errors = sorted(Draft202012Validator(schema).iter_errors(filled), key=lambda e: [str(p) for p in e.path])
    if errors:
        where, what = _explain(errors[0], schema)
        more = f" ({len(errors) - 1} more to mend after this one)" if len(errors) > 1 else ""
        raise UserError(f"{_source_of(where, sources)}: {what}{more}")
    return filled


def read(path: Path | str) -> dict:
    """Settings of a YAML or JSON file. Raises UserError as base.yaml.read, and for what is no mapping of keys."""
    settings = yaml.read(path)
    if not isinstance(settings, dict):
        raise UserError(f"{path}: holds no settings; write keys such as those of config/config.yaml")
    return settings


def _not_finite(node, path=()):
    """Paths of the numbers that are NaN or infinite."""
    if isinstance(node, dict | list):
        for key, child in node.items() if isinstance(node, dict) else enumerate(node):
            yield from _not_finite(child, (*path, key))
    elif isinstance(node, float) and not math.isfinite(node):
        yield path


def typed(node: object) -> object:
    """Settings with every text read as YAML: Snakemake leaves numbers and null inside --config as text.

    Raises UserError for a key that stands twice.
    """
    if isinstance(node, dict):
        return {key: typed(value) for key, value in node.items()}
    if isinstance(node, list):
        return [typed(value) for value in node]
    try:
        return yaml.parse(node) if isinstance(node, str) else node
    except YAMLError:
        return node
    except UserError as error:
        raise UserError(f"--config: {error}") from error


def resolve(node: dict, schema: dict) -> dict:
    """Schema node with its $ref followed; keywords beside the $ref win."""
    if "$ref" not in node:
        return node
    target = schema
    for part in node["$ref"].removeprefix("#/").split("/"):
        target = target[part]
    return {**resolve(target, schema), **{k: v for k, v in node.items() if k != "$ref"}}


def fill(node: dict, value: Any, schema: dict) -> Any:
    """`value` with the defaults of a schema node; what does not fit is left for the validator."""
    node = resolve(node, schema)
    if not isinstance(value, dict):
        return value
    out = dict(value)
    for key, child in node.get("properties", {}).items():
        child = resolve(child, schema)
        default = deepcopy(child.get("default", {} if "properties" in child else None))
        if isinstance(default, dict) and isinstance(out.get(key), dict):
            default |= out[key]
        elif key in out:
            default = out[key]
        out[key] = fill(child, default, schema)
    for key in set(out) - set(node.get("properties", {})):
        for pattern, child in node.get("patternProperties", {}).items():
            if re.search(pattern, str(key)):
                out[key] = fill(child, out[key], schema)
    return out


def _drop_default_files(filled, sources):
    """Leave only the groups of data.files that sources behind the first name, if any does: own data replace all.

    Their level of theory is not that of the default files.
    """
    given = [settings for name, settings in sources[1:] if name != sources[0][0]]
    data = [settings["data"] for settings in given if isinstance(settings.get("data"), dict)]
    own = {group for section in data if isinstance(section.get("files"), dict) for group in section["files"]}
    if own and isinstance(filled["data"], dict):
        filled["data"]["files"] = {g: v for g, v in filled["data"]["files"].items() if g in own}
        if not any("level" in section for section in data):
            filled["data"]["level"] = None


def _explain(error, schema):
    """(path of the offending key, what is wrong and how to mend it) of a validation error."""
    path = list(error.absolute_path)
    if error.validator == "additionalProperties":
        known = sorted(error.schema.get("properties", {}))
        fits = lambda key: any(re.search(p, str(key)) for p in error.schema.get("patternProperties", {}))
        unknown = sorted(key for key in error.instance if key not in known and not fits(key))[0]
        near = difflib.get_close_matches(str(unknown), known, 1)
        here = [*known, *([error.schema["names"]] if "names" in error.schema else [])]
        mend = f"did you mean {near[0]!r}?" if near else f"remove it; known here: {', '.join(here)}"
        return [*path, unknown], f"unknown key {_name([*path, unknown])!r}; {mend}"
    if error.validator == "required":
        missing = next(key for key in error.validator_value if key not in error.instance)
        node = resolve(error.schema["properties"][missing], schema)
        return path, f"{_name(path)!r} lacks {missing!r}; give {expected(node)}"
    node = resolve(error.schema, schema)
    value = json.dumps(error.instance, ensure_ascii=False)
    if len(value) > 60:
        value = value[:57] + "..."
    what = {"minItems": "is empty", "uniqueItems": f"{value} has the same entry twice"}.get(
        error.validator, f"is {value}"
    )
    return path, f"{_name(path)!r} {what}; give {_mend(node, error)}"


def _name(path):
    """Dotted name of a key, list positions in brackets."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _mend(node, error):
    """What to write instead of a wrong value."""
    if error.validator == "type" and isinstance(error.instance, str) and _number_in(error.instance):
        text = repr(float(error.instance))
        # YAML 1.1 takes 1e-4 for text and 1.0e-4 for a number
        text = text if "." in text or "e" not in text else text.replace("e", ".0e")
        return f"a number; YAML reads this one as text, write {text}"
    if error.validator == "uniqueItems":
        return "every entry once"
    return expected(node) + (f" ({node['unit']})" if "unit" in node else "")


def expected(node: dict) -> str:
    """What a resolved schema node accepts, in words."""
    if "enum" in node:
        return "one of " + ", ".join("null" if value is None else str(value) for value in node["enum"])
    kinds = [node["type"]] if isinstance(node["type"], str) else node["type"]
    limits = {
        "minimum": "of at least {}",
        "exclusiveMinimum": "above {}",
        "maximum": "of at most {}",
        "exclusiveMaximum": "below {}",
    }
    bounds = [text.format(node[key]) for key, text in limits.items() if key in node]
    words = " or ".join(KINDS[k] for k in kinds if k != "null")
    if "items" in node:
        words = ("a list, not empty" if node.get("minItems") else "a list") + f"; each entry {expected(node['items'])}"
    return " ".join([words, " and ".join(bounds)]).strip() + (" or null" if "null" in kinds else "")


def _number_in(text):
    try:
        float(text)
    except ValueError:
        return False
    return True


def _source_of(path, sources):
    """Name of the last source that sets the key; "config" if none does."""
    for name, node in reversed(list(sources)):
        try:
            for part in path:
                node = node[part]
        except (KeyError, IndexError, TypeError):
            continue
        return name
    return "config"
