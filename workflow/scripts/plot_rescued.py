"""Draw the expected errors of structures of one's own."""

from pathlib import Path

from mlipshift.base.tables import read_table
from mlipshift.catalogue.figures import RESCUED
from mlipshift.run import cli
from mlipshift.show import captioned, help_groups


def main(args):
    ordinary = help_groups.usual(read_table(args.structures), args.model, {})["expected"]
    name = args.title.partition(",")[0]
    about = {"name": name, "ordinary": ordinary, "outside": help_groups.OUTSIDE}
    captioned.write(RESCUED, {"rescued": args.table}, about, args.output)


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "model": {"help": "name in the registry"},
            "title": {"help": "display name of the model"},
            "structures": {"type": Path, "help": "CSV of rescue_models, of the validation groups, too"},
            "table": {"type": Path, "help": "CSV of write_rescued"},
            "output": {"type": Path, "help": "folder of the figure: SVG, PNG and caption"},
        },
    )
