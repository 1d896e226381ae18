"""Filter published structure files into one dataset, with the counts of every step."""

from pathlib import Path

from mlipshift.base.log import log
from mlipshift.base.tables import FAILURES, write_table
from mlipshift.data.selection import import_dataset
from mlipshift.run import cli


def main(args):
    counts, failures = import_dataset(args.name, args.recipe, args.settings, args.output)
    write_table(args.counts, counts, columns=["step", "subset", "molecules", "structures"])
    write_table(args.failures, failures, FAILURES)
    for row in counts:
        if row["subset"] == "all":
            log.info("%s: %s molecules, %d structures", row["step"], row.get("molecules", "?"), row["structures"])


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "name": {"help": "name of the dataset, which becomes its group"},
            "recipe": {"type": cli.settings, "help": "JSON: the entry of section import of the configuration"},
            "settings": {"type": cli.settings, "help": "JSON: section data of the configuration"},
            "output": {"type": Path, "help": "dataset to write"},
            "counts": {"type": Path, "help": "CSV of molecules and structures left after every step, to write"},
            "failures": {"type": Path, "help": "CSV of structures that cannot be used, to write"},
        },
    )
