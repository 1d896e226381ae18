"""What the schemas take from the catalogue: definitions, by name, of what has one value elsewhere in the code."""

from copy import deepcopy
from pathlib import Path
from typing import Any

from mlipshift.base import yaml
from mlipshift.base.errors import nearest
from mlipshift.catalogue.adaptation import TEACHERS, json_schema
from mlipshift.catalogue.components import BACKBONES, FAMILIES, LIBRARIES, PRIORS, TIGHT_BINDING
from mlipshift.catalogue.strategies import HEADS, LEVELS, PRIOR, STRATEGIES

OR_NULL = " or null"  # behind a name: null is accepted, too


DEFINITIONS: dict[str, dict[str, Any]] = {
    # what is compared: a model that nothing but a prior head was trained for is the base of others
    "strategies": {"enum": [name for name, kind in STRATEGIES.items() if kind.base or kind.heads != PRIOR]},
    "movers": {"enum": ["prior", *(name for name, kind in STRATEGIES.items() if "reference" in kind.learnt)]},
    "adaptable strategies": {"enum": [name for name, kind in STRATEGIES.items() if kind.learnt == {*HEADS}]},
    "heads": {"enum": list(HEADS)},
    "levels": {"enum": list(LEVELS)},
    "teachers": {"enum": list(TEACHERS)},
    "backbones": {"enum": list(BACKBONES)},
    "priors": {"enum": list(PRIORS)},
    "tight binding": {"enum": list(TIGHT_BINDING)},
    "libraries": {"enum": list(LIBRARIES)},
    "families": {"enum": list(FAMILIES)},
    # properties, not keywords; a backbone without a section of its own in the schema takes what its Architecture does
    "sizes of backbones": {name: {"description": "Its sizes.", "type": "object", "default": {}} for name in BACKBONES},
    "settings of ttt": json_schema(optional=False),
    "settings of a variant": json_schema(True, without=("prior_weight", "pseudo_weight", "batch")),
    "settings of a scheme": json_schema(True, without=("predict", "stop", "stop_fraction", "record", "batch")),
}


def definition(name: str) -> dict:
    """Keywords or properties of JSON Schema by a name of DEFINITIONS, behind which OR_NULL may stand.

    Raises ValueError for another name.
    """
    known, null = name.removesuffix(OR_NULL), name.endswith(OR_NULL)
    if known not in DEFINITIONS:
        raise ValueError(f"{name!r} is not defined in the catalogue; {nearest(known, DEFINITIONS)}")
    found = deepcopy(DEFINITIONS[known])
    return found | {"enum": [*found["enum"], None]} if null else found


def read_schema(path: Path | str) -> dict:
    """JSON Schema of a YAML file, in which a key `catalogue: NAME` stands for `definition(NAME)`.

    The keys of that definition come in the place of this one; keys beside it win.
    """
    return _defined(yaml.read(path, yaml.RESTORE))


def _defined(node):
    if isinstance(node, list):
        return [_defined(child) for child in node]
    if not isinstance(node, dict):
        return node
    out = {}
    for key, child in node.items():
        if key == "catalogue" and isinstance(child, str):
            out |= {k: v for k, v in definition(child).items() if k not in node}
        else:
            out[key] = _defined(child)
    return out
