"""What files hold, each as one hash that is computed once: what runs again depends on content and not on times.

Snakemake compares times, and the content of small files that are newer alone: it takes a file that was replaced by an
older one (mv, cp -p, rsync -t, tar) for the same, and a large one that was touched for another.
"""

import hashlib
import json
import os
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

CACHE = Path(".snakemake", "mlipshift", "contents.json")
RECENT = 2_000_000_000  # ns in which a file may change without its times telling
LARGE = 2 * 10**9  # bytes that take more than a few seconds


def contents(paths: Iterable[Path | str], cache: Path = CACHE) -> dict[str, str]:
    """{path: SHA-256} of files, and of folders with all that is below them; read is only what has changed.

    cache: JSON of what is known, written anew after a file was read. Raises FileNotFoundError for a missing path.
    """
    known, new, found = _known(cache), {}, {}
    for path in map(str, paths):
        if os.path.isdir(path):
            below = sorted(str(p) for p in Path(path).rglob("*") if p.is_file())
            lines = [f"{os.path.relpath(p, path)} {digest}\n" for p, digest in contents(below, cache).items()]
            found[path] = hashlib.sha256("".join(lines).encode()).hexdigest()
            continue
        facts, place = os.stat(path), os.path.abspath(path)
        # a new file in the place of an old one has another inode or another time of change
        state = [facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino]
        entry = known.get(place)
        if isinstance(entry, list) and entry[:-1] == state:
            found[path] = entry[-1]
        else:
            found[path] = _read(path, facts.st_size)
            if time.time_ns() - max(facts.st_mtime_ns, facts.st_ctime_ns) > RECENT:
                new[place] = [*state, found[path]]
    if new:
        _remember(cache, new)
    return found


def _read(path, size):
    if size > LARGE:
        print(f"reading {path}, {size / 1e9:.0f} GB, once, to know it again", file=sys.stderr)
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _known(cache):
    try:
        known = json.loads(cache.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _remember(cache, new):
    """Add entries to what other runs may have written meanwhile; what gets lost is only read once more."""
    part = cache.with_name(f"{cache.name}.{os.getpid()}")
    with suppress(OSError):
        cache.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(_known(cache) | new), encoding="utf-8")
        part.replace(cache)
