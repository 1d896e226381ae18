"""Write the page on models as they are and what helps them: one HTML file that needs nothing else."""

from pathlib import Path

from mlipshift.base.files import replacing
from mlipshift.base.tables import read_table
from mlipshift.run import cli
from mlipshift.show.report import help as pages

TABLES = ("groups", "signs", "payoff", "crossing", "costs")


def main(args):
    lines = [line for path in args.lines for line in path.read_text(encoding="utf-8").splitlines()]
    tables = {name: read_table(args.tables / f"{name}.csv") for name in TABLES}
    page = pages.render(args.template, tables, args.titles, args.figures, [*dict.fromkeys(lines)], args.run)
    with replacing(args.output) as part:
        part.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "tables": {"type": Path, "help": "folder of the tables"},
            "figures": {"type": Path, "help": "folder of the figures"},
            "titles": {"type": cli.settings, "help": "JSON: display names of the models"},
            "lines": {"type": Path, "nargs": "*", "help": "texts on what the models can take and have learnt"},
            "run": {"required": False, "default": "", "help": "name of the run"},
            "template": {"type": Path, "help": "Jinja template of the page"},
            "output": {"type": Path, "help": "HTML file to write"},
        },
    )
