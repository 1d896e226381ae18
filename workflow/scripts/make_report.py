"""Write the report of a run: one HTML file that needs nothing else."""

import json
from pathlib import Path

from mlipshift.base.errors import UserError
from mlipshift.base.files import replacing
from mlipshift.base.tables import read_table
from mlipshift.catalogue.tables import in_report
from mlipshift.run import cli
from mlipshift.show.report import left_out, page, to_explorer

TEMPLATE = Path(__file__).resolve().parents[1] / "report" / "report.html.j2"


def main(args):
    paths = {path.stem: path for folder in (args.tables, args.timings) for path in sorted(folder.glob("*.csv"))}
    missing = [name for name in in_report("needed") if name not in paths]
    if missing:
        raise UserError(
            f"the report needs {', '.join(f'{n}.csv' for n in missing)} in {args.tables} or {args.timings};"
            " run the evaluation first"
        )
    try:
        info = json.loads(args.run_info.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise UserError(f"{args.run_info}: not JSON ({error}); delete it and run again") from error
    config = info.get("config")
    known = in_report("needed", "optional", config=config)
    tables = {name: read_table(paths[name]) for name in known if name in paths}
    figures = to_explorer.linked(page.figures(args.figures, config), args.explorer)
    text = page.render(TEMPLATE, tables, figures, info, left_out.lines(args.lines))
    with replacing(args.output) as part:
        part.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "tables": {"type": Path, "help": "folder of the result tables"},
            "timings": {"type": Path, "help": "folder of seconds.csv and durations.csv"},
            "figures": {"type": Path, "help": "folder of the figures (SVG) and their captions (txt)"},
            "lines": {"type": Path, "nargs": "*", "default": [], "required": False, "help": "texts on the input"},
            "run_info": {"type": Path, "help": "run_info.json"},
            "explorer": {"type": Path, "required": False, "help": "the explorer, beside the report"},
            "output": {"type": Path, "help": "HTML file to write"},
        },
    )
