"""Draw the figures of a diagnosis: of one model (--tables), or of the measures of shift alone (--shifts)."""

import json
from pathlib import Path

from mlipshift.base.errors import UserError
from mlipshift.base.tables import read_table
from mlipshift.run import cli
from mlipshift.show import plotting, plotting_shift


def main(args):
    if args.shifts:
        drawn = {"fig_criteria": plotting_shift.criteria({"shifts": read_table(args.shifts)}, args.sigma)}
    elif args.tables:
        tables = {path.stem: read_table(path) for path in sorted(args.tables.glob("*.csv"))}
        summary = json.loads((args.tables / "diagnosis.json").read_text(encoding="utf-8"))
        drawn = plotting_shift.of_model(tables, summary, args.title or summary["model"])
    else:
        raise UserError("give --tables, the folder of a model's tables, or --shifts, the table of the measures")
    args.output.mkdir(parents=True, exist_ok=True)
    for name, (figure, caption) in drawn.items():
        for suffix in (".svg", ".png"):
            plotting.save(figure, args.output / f"{name}{suffix}")
        (args.output / f"{name}.txt").write_text(caption + "\n", encoding="utf-8")


if __name__ == "__main__":
    optional = {"required": False}
    cli.run(
        main,
        __doc__,
        {
            "tables": {**optional, "type": Path, "help": "folder of the tables and diagnosis.json of a model"},
            "title": {**optional, "help": "display name of the model"},
            "shifts": {**optional, "type": Path, "help": "CSV of the measures of shift"},
            "sigma": {**optional, "type": float, "default": 1.0, "help": "half width of the training band"},
            "output": {"type": Path, "help": "folder of the figures: SVG, PNG and caption"},
        },
    )
