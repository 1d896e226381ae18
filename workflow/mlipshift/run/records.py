"""What is recorded of a run: versions, hardware, commit, time and memory per rule."""

import datetime
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from mlipshift.base.errors import UserError

PACKAGES = (
    "ase",
    "h5py",
    "matplotlib",
    "numpy",
    "pandas",
    "rdkit",
    "scipy",
    "snakemake",
    "tblite",
    "torch",
    "torch-geometric",
)
REPOSITORY = Path(__file__).resolve().parents[3]
DURATIONS = ["rule", "jobs", "seconds_total", "max_rss_MB"]


def versions() -> dict[str, str]:
    """{package: version} of the packages of this project that are installed, read without importing them."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def processor() -> str:
    """Name of the processor."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        text = ""
    name = re.search(r"^(?:model name|Model)\s*:\s*(.+)$", text, re.M)
    return name.group(1).strip() if name else platform.processor() or platform.machine()


def _git(*words):
    command = ["git", "-C", str(REPOSITORY), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.strip()


def commit() -> str:
    """Commit of the repository, '-dirty' appended for changed tracked files; empty without git."""
    try:
        head = _git("rev-parse", "HEAD")
        return head + ("-dirty" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return ""


def rule_names() -> list[str]:
    """Names of the rules of the workflow, those made by `use rule` too, longest first."""
    text = "\n".join(p.read_text() for p in sorted((REPOSITORY / "workflow" / "rules").glob("*.smk")))
    return sorted(re.findall(r"^\s*(?:rule|use rule \w+ as)\s+(\w+)(?:\s*:| with:)", text, re.M), key=len, reverse=True)


def rule_of(path: Path, root: Path, rules: Iterable[str]) -> str:
    """Rule of a benchmark file `<rule>/<wildcards>.tsv` or `<rule>[_wildcards].tsv` below `root`."""
    inside = path.relative_to(root)
    if len(inside.parts) > 1:
        return inside.parts[0]
    return next((r for r in rules if path.stem == r or path.stem.startswith(f"{r}_")), path.stem)


def _number(cell):
    try:
        return float(cell)
    except ValueError:  # Snakemake writes NA or - for jobs too short to be measured
        return 0.0


def durations(root: Path) -> list[dict]:
    """Rows of DURATIONS from the Snakemake benchmark files below `root`.

    Raises UserError for a file that is none.
    """
    rows: dict[str, dict] = {}
    rules = rule_names()
    for path in sorted(root.rglob("*.tsv")):
        head, *lines = [line.split("\t") for line in path.read_text().splitlines() if line.strip()] or [[]]
        if "s" not in head or "max_rss" not in head:
            raise UserError(f"{path}: not a Snakemake benchmark file; delete it and run again")
        name = rule_of(path, root, rules)
        row = rows.setdefault(name, {"rule": name, "jobs": 0, "seconds_total": 0.0, "max_rss_MB": 0.0})
        row["jobs"] += 1
        for line in lines:
            row["seconds_total"] += _number(line[head.index("s")])
            row["max_rss_MB"] = max(row["max_rss_MB"], _number(line[head.index("max_rss")]))
    return [rows[name] for name in sorted(rows)]


def environment() -> dict[str, object]:
    """Versions, hardware and commit of a run, and now."""
    return {
        "versions": versions(),
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "cpu": processor(),
        "cores": os.cpu_count(),
        "git_commit": commit(),
        "date_utc": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
