"""Write the labelled connectivity benchmark, one extxyz per group, and what is left out with its reason."""

import csv
from pathlib import Path

from mlipshift.base.frames import Frames, Labels
from mlipshift.base.log import log
from mlipshift.base.tables import FAILURES, read_table, write_table
from mlipshift.labelling import connectivity_set
from mlipshift.labelling.files import write_set
from mlipshift.run import cli


def main(args):
    frames = Frames.load(args.frames)
    labels = Labels.load(args.labels, frames)
    with open(args.molecules, newline="") as handle:
        smiles = {row["name"]: row["smiles"] for row in csv.DictReader(handle)}
    reasons = {r["id"]: r["reason"] for r in read_table(args.label_failures).to_dict("records")}
    reasons |= connectivity_set.too_large(labels, args.largest_force)
    group = dict(zip(frames.ids, frames.group))
    write_table(
        args.failures,
        [{"id": n, "group": group[n], "stage": "reference", "reason": reasons[n]} for n in frames.ids if n in reasons],
        FAILURES,
    )
    found = connectivity_set.groups(frames, labels, smiles, reasons)
    write_set(found, args.output)
    for name, some in found.items():
        log.info("%s: %d structures, %d left out", name, len(some), (frames.group == name).sum() - len(some))


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "frames": {"type": Path, "help": "frames of all groups"},
            "labels": {"type": Path, "help": "their labels at the level that is taken for the truth"},
            "label_failures": {"type": Path, "help": "CSV of structures without a label"},
            "molecules": {"type": Path, "help": "CSV of groups, names, forms and SMILES"},
            "largest_force": {"type": float, "help": "eV/Å on an atom; a structure with more is left out"},
            "output": {"type": Path, "help": "folder of GROUP.extxyz and SHA256SUMS"},
            "failures": {"type": Path, "help": "CSV of structures that are left out"},
        },
    )
