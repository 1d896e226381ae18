"""Write the labelled benchmark: one extxyz per group, SHA256SUMS and the data sheet."""

import csv
import json
import shutil
from pathlib import Path

from ase.io import read

from mlipshift.base.errors import UserError
from mlipshift.base.log import log
from mlipshift.base.tables import read_table
from mlipshift.labelling import benchmark
from mlipshift.run import cli


def main(args):
    with open(args.molecules, newline="") as handle:
        molecules = {(r["group"], r["name"]): r["smiles"] for r in csv.DictReader(handle)}
    rank = {key: k for k, key in enumerate(molecules)}
    frames = [f for path in args.shards for f in read(path, index=":")]
    frames.sort(key=lambda f: (rank[f.info["group"], f.info["molecule"]], f.info["id"]))
    if not frames:
        raise UserError("no labelled structure in any shard")
    failures = []
    for path in args.shard_failures:
        with open(path, newline="") as handle:
            failures += list(csv.DictReader(handle))
    args.output.mkdir(parents=True, exist_ok=True)
    rows = benchmark.write_groups(frames, molecules, args.output)
    (args.output / "level.json").write_text(json.dumps(args.settings["level"], sort_keys=True) + "\n")
    shutil.copyfile(args.quality, args.output / "quality.csv")
    sheet = benchmark.data_sheet(frames, rows, failures, read_table(args.quality), args.settings)
    (args.output / "DATASHEET.md").write_text(sheet)
    log.info("%d structures, %d failures", len(frames), len(failures))


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "molecules": {"type": Path, "help": "CSV of the molecule list"},
            "shards": {"type": Path, "nargs": "+"},
            "shard_failures": {"type": Path, "nargs": "+"},
            "quality": {"type": Path, "help": "CSV of the checks of some labels, by check_reference"},
            "settings": {"type": cli.settings, "help": "JSON: level, seed"},
            "output": {"type": Path, "help": "directory to write"},
        },
    )
