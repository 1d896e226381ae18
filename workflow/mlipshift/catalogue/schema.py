"""What the schemas take from the catalogue: definitions, by name, of what has one value elsewhere in the code."""

from copy import deepcopy

from mlipshift.base.errors import nearest
from mlipshift.catalogue.adaptation import json_schema
from mlipshift.catalogue.strategies import HEADS, LEVELS, PRIOR, STRATEGIES

OR_NULL = " or null"  # behind a name: null is accepted, too


DEFINITIONS = {
    # what is compared: a model that nothing but a prior head was trained for is the base of others
    "strategies": {"enum": [name for name, kind in STRATEGIES.items() if kind.base or kind.heads != PRIOR]},
    "adaptable strategies": {"enum": [name for name, kind in STRATEGIES.items() if kind.learnt == {*HEADS}]},
    "heads": {"enum": list(HEADS)},
    "levels": {"enum": list(LEVELS)},
    # properties, not keywords
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
