"""Find the structures that a model cannot take, before it runs."""

from pathlib import Path

import numpy as np

from mlipshift.base.frames import Frames
from mlipshift.base.tables import write_table
from mlipshift.external.capability import reasons, summary
from mlipshift.run import cli


def main(args):
    sets = {"train": Frames.load(args.train), "test": Frames.load(args.test)}
    training = np.unique(sets["train"].numbers)
    rows = [
        {"set": name, "id": frames.ids[k], "reason": reason}
        for name, frames in sets.items()
        for k, reason in enumerate(reasons(args.entry, frames, training))
    ]
    lines = summary(args.model, args.entry, [row["reason"] for row in rows], args.level)
    write_table(args.output, [row for row in rows if row["reason"]], ["set", "id", "reason"])
    args.lines.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "model": {"help": "name in the registry, for the messages"},
            "entry": {"type": cli.settings, "help": "entry of the registry as JSON"},
            "train": {"type": Path, "help": "training frames"},
            "test": {"type": Path, "help": "test frames"},
            "level": {"required": False, "help": "level of theory of the labels, where it is stated"},
            "output": {"type": Path, "help": "table of the excluded structures"},
            "lines": {"type": Path, "help": "what the user is told"},
        },
    )
