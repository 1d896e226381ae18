"""Numbers and lists in words."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping


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


def shard_of(word: str) -> tuple[int, int]:
    """(number from 1, of how many) of a shard such as 1-of-4, Snakemake's word for an item that is scattered."""
    number, total = (int(part) for part in word.split("-of-"))
    return number, total


def kind(reason: str) -> str:
    """A reason without what is of the single structure, numbers, names and details: those of a kind count together."""
    plain = re.sub(r"'[^']*'|(?<![\w./-])[-+]?\d[\d.]*(e[-+]?\d+)?(?![\w])", "…", reason)
    return re.split(r"[,;] (?![A-Z])", plain)[0]


def reasons(counts: Mapping[str, int], most: int = 3) -> str:
    """'REF_forces is not finite (3), has no atom (2)' of {reason: structures}, the most frequent `most` of them."""
    common = Counter(counts).most_common()
    parts = [f"{reason} ({number})" for reason, number in common[:most]]
    rest = sum(number for _, number in common[most:])
    return ", ".join([*parts, f"other reasons ({rest})"] if rest else parts)
