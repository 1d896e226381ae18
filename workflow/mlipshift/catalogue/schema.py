"""What the schemas take from the catalogue: definitions, by name, of what has one value elsewhere in the code."""

from copy import deepcopy

from mlipshift.base.errors import nearest
from mlipshift.catalogue.strategies import HEADS, LEVELS, PRIOR, STRATEGIES

OR_NULL = " or null"  # behind a name: null is accepted, too


DEFINITIONS = {
    # what is compared: a model that nothing but a prior head was trained for is the base of others
    "strategies": {"enum": [name for name, kind in STRATEGIES.items() if kind.base or kind.heads != PRIOR]},
    "adaptable strategies": {"enum": [name for name, kind in STRATEGIES.items() if kind.adaptable]},
    "heads": {"enum": list(HEADS)},
    "levels": {"enum": list(LEVELS)},
}


def definition(name: str) -> dict:
    """Keywords of JSON Schema by a name of DEFINITIONS; behind it may stand OR_NULL. Raises ValueError for another."""
    known, null = name.removesuffix(OR_NULL), name.endswith(OR_NULL)
    if known not in DEFINITIONS:
        raise ValueError(f"{name!r} is not defined in the catalogue; {nearest(known, DEFINITIONS)}")
    found = deepcopy(DEFINITIONS[known])
    return found | {"enum": [*found["enum"], None]} if null else found
