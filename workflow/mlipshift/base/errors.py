"""The one exception that is meant for the user, and what its messages share."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Something the user can mend: says what is wrong, where, and how to mend it, in one line."""

    def __init__(self, message: object):
        super().__init__(" ".join(str(message).split()))


def shortened(error: object, limit: int = 200) -> str:
    """What another library's exception says, as one line of at most `limit` characters."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def nearest(word: object, known: Iterable) -> str:
    """The mend for a wrong name: the closest known one, or all of them."""
    near = difflib.get_close_matches(str(word), list(known), 1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(map(str, known))}"
