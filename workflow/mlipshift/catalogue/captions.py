"""How a caption is made of the words of the catalogue and the facts of a drawing."""

import re
from collections.abc import Mapping

from mlipshift.base.errors import UserError

INTERVAL = "95 % bootstrap interval over molecules (over structures where there is one molecule alone)"


def filled(template: str, facts: Mapping[str, str]) -> str:
    """A caption: {fact} is replaced, [[fact:words]] is left out without that fact; {interval} is known here.

    A drawing that had nothing to draw says so in the fact `nothing`, which is the caption then. Raises UserError for a
    missing fact.
    """
    if "nothing" in facts:
        return facts["nothing"]
    text = re.sub(r"\[\[(\w+):(.*?)\]\]", lambda part: part[2] if part[1] in facts else "", template, flags=re.S)
    try:
        return text.format_map({"interval": INTERVAL, **facts})
    except KeyError as error:
        raise UserError(f"no fact {error} for the caption") from error
