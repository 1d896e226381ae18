"""Draw the figures of a diagnosis: of one model (--tables), or of the measures of shift alone (--shifts)."""

import json
from pathlib import Path

from mlipshift.base.errors import UserError
from mlipshift.catalogue.captions import filled
from mlipshift.catalogue.figures import DIAGNOSIS
from mlipshift.run import cli
from mlipshift.show import drawing, style

OF_SHIFTS = ("fig_criteria",)


def main(args):
    if args.shifts:
        names, paths, about = OF_SHIFTS, {"shifts": args.shifts}, {"sigma": args.sigma}
    elif args.tables:
        names = [name for name in DIAGNOSIS if name not in OF_SHIFTS]
        paths = drawing.find_tables([args.tables])
        about = json.loads((args.tables / "diagnosis.json").read_text(encoding="utf-8"))
        about["title"] = args.title or about["model"]
    else:
        raise UserError("give --tables, the folder of a model's tables, or --shifts, the table of the measures")
    args.output.mkdir(parents=True, exist_ok=True)
    for name in names:
        drawn = drawing.draw(name, paths, DIAGNOSIS[name].title, about)
        if drawn is None:
            continue
        figure, facts = drawn
        for suffix in (".svg", ".png"):
            style.save(figure, args.output / f"{name}{suffix}")
        (args.output / f"{name}.txt").write_text(filled(DIAGNOSIS[name].caption, facts) + "\n", encoding="utf-8")


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
