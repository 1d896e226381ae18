"""Draw the figures of the help for models from its tables."""

from pathlib import Path

from mlipshift.catalogue.figures import HELP
from mlipshift.run import cli
from mlipshift.show import captioned, drawing


def main(args):
    paths = drawing.find_tables([args.tables])
    for figure in HELP.values():
        captioned.write(figure, paths, {"titles": args.titles}, args.output)


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "tables": {"type": Path, "help": "folder of the tables"},
            "titles": {"type": cli.settings, "help": "JSON: display names of the models"},
            "output": {"type": Path, "help": "folder of the figures: SVG, PNG and caption"},
        },
    )
