"""Write the report of a run: one HTML file that needs nothing else."""

import json
from pathlib import Path

from mlipshift.base.errors import UserError
from mlipshift.base.tables import read_table
from mlipshift.run import cli
from mlipshift.show import plotting, reporting

TEMPLATE = Path(__file__).resolve().parents[1] / "report" / "report.html.j2"


def main(args):
    paths = plotting.find_tables([args.tables, args.timings])
    missing = [n for n in reporting.NEEDED if n not in paths]
    if missing:
        raise UserError(
            f"the report needs {', '.join(f'{n}.csv' for n in missing)} in {args.tables} or {args.timings};"
            " run the evaluation first"
        )
    try:
        info = json.loads(args.run_info.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise UserError(f"{args.run_info}: not JSON ({error}); delete it and run again") from error
    wanted = (*reporting.NEEDED, *reporting.OPTIONAL)
    tables = {n: read_table(paths[n]) for n in wanted if n in paths}
    page = reporting.render(TEMPLATE, tables, reporting.figures(args.figures), info)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "tables": {"type": Path, "help": "folder of the result tables"},
            "timings": {"type": Path, "help": "folder of seconds.csv and durations.csv"},
            "figures": {"type": Path, "help": "folder of the figures (SVG) and their captions (txt)"},
            "run_info": {"type": Path, "help": "run_info.json"},
            "output": {"type": Path, "help": "HTML file to write"},
        },
    )
