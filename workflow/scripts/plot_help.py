"""Draw the figures of the help for models from its tables."""

from pathlib import Path

from mlipshift.catalogue.captions import filled
from mlipshift.catalogue.figures import HELP
from mlipshift.run import cli
from mlipshift.show import drawing, style


def main(args):
    paths = drawing.find_tables([args.tables])
    args.output.mkdir(parents=True, exist_ok=True)
    for name, figure in HELP.items():
        drawn, facts = drawing.draw(name, paths, figure.title, {"titles": args.titles})
        for suffix in (".svg", ".png"):
            style.save(drawn, args.output / f"{name}{suffix}")
        (args.output / f"{name}.txt").write_text(filled(figure.caption, facts) + "\n", encoding="utf-8")


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
