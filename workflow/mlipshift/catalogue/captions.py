"""How a caption is made of the words of the catalogue and the facts of a drawing."""

import re
from collections.abc import Mapping

from mlipshift.base.errors import UserError

INTERVAL = "95 % bootstrap interval over molecules"
# a drawing that has such an interval says so in the fact `alone`
ALONE = "[[alone: (dotted: over the structures of one molecule alone, and too narrow)]]"


def filled(template: str, facts: Mapping[str, str]) -> str:
    """A caption: {fact} is replaced, [[fact:words]] is left out without that fact; {interval} is known here.

    A drawing that had nothing to draw says so in the fact `nothing`, which is the caption then. Raises UserError for a
    missing fact.
    """
    if "nothing" in facts:
        return facts["nothing"]
    template = template.replace("{interval}", INTERVAL + ALONE)
    text = re.sub(r"\[\[(\w+):(.*?)\]\]", lambda part: part[2] if part[1] in facts else "", template, flags=re.S)
    try:
        return text.format_map(facts)
    except KeyError as error:
        raise UserError(f"no fact {error} for the caption") from error
