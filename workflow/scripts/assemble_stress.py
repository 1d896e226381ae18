"""Write the labelled stress set: one extxyz per half and group, SHA256SUMS, the failures and the data sheet."""

import csv
from pathlib import Path

from ase.io import read

from mlipshift.base.errors import UserError
from mlipshift.base.log import log
from mlipshift.base.tables import FAILURES, read_table, write_table
from mlipshift.labelling import stress_set
from mlipshift.run import cli


def rows_of(path):
    """Rows of a CSV as {column: text}."""
    with open(path, newline="") as handle:
        return list(csv.DictReader(handle))


def main(args):
    if not args.shards:
        raise UserError("no shard is labelled yet; label some: snakemake stress")
    geometries = read(args.geometries, index=":")
    there = {int(path.name.split(".")[0]) for path in args.shards}
    missing = [f"{k:03d}" for k in range(args.of) if k not in there]
    if missing:
        log.warning("%d of %d shards are not labelled yet: %s", len(missing), args.of, ", ".join(missing))
    molecules = [(r["group"], r["name"]) for r in rows_of(args.molecules)]
    frames = stress_set.in_order((f for path in args.shards for f in read(path, index=":")), molecules)
    group = {a.info["id"]: a.info["group"] for a in geometries}
    failures = [row | {"group": group[row["id"]]} for path in args.shard_failures for row in rows_of(path)]
    failures.sort(key=lambda row: list(group).index(row["id"]))
    args.output.mkdir(parents=True, exist_ok=True)
    rows = stress_set.write_groups(frames, args.output)
    write_table(args.output / "failures.csv", failures, FAILURES)
    checks = read_table(args.quality) if args.quality else None
    sheet = stress_set.data_sheet(geometries, frames, rows, failures, checks, missing, args.of)
    (args.output / "README.md").write_text(sheet, encoding="utf-8")
    log.info("%d structures, %d failures", len(frames), len(failures))


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "molecules": {"type": Path, "help": "CSV of the molecule list"},
            "geometries": {"type": Path, "help": "extxyz of all geometries"},
            "shards": {"type": Path, "nargs": "*", "help": "extxyz of labelled structures, NNN.extxyz"},
            "shard_failures": {"type": Path, "nargs": "*", "help": "CSV of structures without a label"},
            "of": {"type": int, "help": "number of shards of the whole set"},
            "quality": {"type": Path, "required": False, "help": "CSV of the checks of some labels, by check_stress"},
            "output": {"type": Path, "help": "directory to write"},
        },
    )
