"""Put together what was left out before any method: structures, their numbers by reason, the check of the labels."""

from pathlib import Path

import pandas as pd

from mlipshift.base.frames import Frames
from mlipshift.base.tables import FAILURES, read_table, write_table
from mlipshift.data.augmentation import source_of
from mlipshift.evaluate.left_out import LEFT_OUT, counted, with_groups
from mlipshift.run import cli


def groups_of(paths, names):
    """{id: group} of some structures of stores of frames."""
    found = {}
    for path in paths if names else ():
        for frames in Frames.blocks(path):
            found |= {name: group for name, group in zip(frames.ids, frames.group) if name in names}
    return found


def main(args):
    rows = [row for path in args.failures for row in read_table(path).to_dict("records")]
    for row in rows:
        row["id"], copy = source_of(row["id"])
        if copy:
            row["stage"] = f"{row['stage']}, rattled copy {copy}"
    unknown = {row["id"] for row in rows if not isinstance(row.get("group"), str)}
    rows = with_groups(rows, groups_of(args.frames, unknown))
    write_table(args.output, rows, FAILURES)
    merged = [row | {"stage": row["stage"].partition(" copy ")[0].replace("rattled", "rattled copies")} for row in rows]
    write_table(args.left_out, counted(merged, read_table(args.census)), LEFT_OUT)
    write_table(args.label_check, pd.concat([read_table(path) for path in args.label_checks]))


if __name__ == "__main__":
    files = {"type": Path, "nargs": "+"}
    cli.run(
        main,
        __doc__,
        {
            "failures": {**files, "help": "CSVs of structures that were left out"},
            "frames": {**files, "help": "frames of which they are"},
            "census": {"type": Path, "help": "CSV of the structures of every group"},
            "label_checks": {**files, "help": "CSVs of reference labels against those of the prior"},
            "output": {"type": Path, "help": "CSV of all structures that were left out, to write"},
            "left_out": {"type": Path, "help": "CSV of their numbers by group, stage and reason, to write"},
            "label_check": {"type": Path, "help": "CSV of the checks of all groups, to write"},
        },
    )
