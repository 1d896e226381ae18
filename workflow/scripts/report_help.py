"""Write the page on models as they are and what helps them: one HTML file that needs nothing else."""

from pathlib import Path

from mlipshift.base.files import replacing
from mlipshift.base.tables import read_table
from mlipshift.run import cli
from mlipshift.show.report import help as pages
from mlipshift.show.report import help_left_out, left_out

TABLES = ("groups", "signs", "payoff", "crossing", "decision", "costs")
HEADING = (
    "Held-out structures that every model takes, and those that it does not: elements that it does not know, charges,"
    " no result. Errors of a model are means over those that it takes."
)


def main(args):
    tables = {name: read_table(args.tables / f"{name}.csv") for name in TABLES}
    failures = {path.stem.removesuffix("_test"): read_table(path) for path in args.failures}
    structures = read_table(args.structures)
    levels, level = args.levels["models"], args.levels["labels"]
    content = help_left_out.of_models(failures, structures, levels, level, args.titles)
    warning = help_left_out.on_levels(levels, level, args.titles)
    read = {
        "models": {"heading": HEADING, "content": content},
        "tables": left_out.tables({path.stem: read_table(path) for path in args.input}),
        "told": left_out.lines(args.lines),
        "warnings": [warning] if warning else [],
    }
    page = pages.render(args.template, tables, args.titles, args.figures, read, args.run)
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
            "levels": {
                "type": cli.settings,
                "help": "JSON: levels of theory, of the labels and {models} of the models",
            },
            "structures": {"type": Path, "help": "CSV of rescue_models, which has the groups"},
            "failures": {"type": Path, "nargs": "+", "help": "CSVs of the structures without a prediction of a model"},
            "input": {"type": Path, "nargs": "+", "help": "CSVs of what was read and left out"},
            "lines": {"type": Path, "nargs": "+", "help": "texts on what was read and left out"},
            "run": {"required": False, "default": "", "help": "name of the run"},
            "template": {"type": Path, "help": "Jinja template of the page"},
            "output": {"type": Path, "help": "HTML file to write"},
        },
    )
