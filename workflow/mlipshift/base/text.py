"""Numbers and lists in words."""

from collections.abc import Iterable


def count(number: float) -> str:
    """A number of structures, which a mean over seeds may leave fractional: 12 or 12.3."""
    return f"{number:.0f}" if abs(number - round(number)) < 0.05 else f"{number:.1f}"


def listed(words: Iterable) -> str:
    """'a', 'a and b', 'a, b and c'."""
    words = [str(w) for w in words]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""


def several(number: int | str, word: str, words: str | None = None) -> str:
    """'1 molecule' or '43 molecules' of a count, which may be text."""
    return f"{number} {word if str(number) == '1' else words or word + 's'}"
