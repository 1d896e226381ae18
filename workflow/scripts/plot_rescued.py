"""Draw the expected errors of structures of one's own."""

from pathlib import Path

from mlipshift.base.tables import read_table
from mlipshift.catalogue.captions import filled
from mlipshift.catalogue.figures import RESCUED
from mlipshift.run import cli
from mlipshift.show import drawing, help_groups, style


def main(args):
    ordinary = help_groups.usual(read_table(args.structures), args.model, {})["expected"]
    name = args.title.partition(",")[0]
    about = {"name": name, "ordinary": ordinary, "outside": help_groups.OUTSIDE}
    drawn = drawing.draw(RESCUED.name, {"rescued": args.table}, RESCUED.title, about)
    assert drawn is not None
    figure, facts = drawn
    args.output.mkdir(parents=True, exist_ok=True)
    for suffix in (".svg", ".png"):
        style.save(figure, args.output / f"{RESCUED.name}{suffix}")
    (args.output / f"{RESCUED.name}.txt").write_text(filled(RESCUED.caption, facts) + "\n", encoding="utf-8")


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
