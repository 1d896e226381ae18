"""Write the caption of a figure: words of the catalogue with the facts of the drawing."""

import json
from pathlib import Path

from mlipshift.base.errors import UserError
from mlipshift.base.files import replacing
from mlipshift.catalogue.captions import filled
from mlipshift.run import cli


def main(args):
    try:
        facts = json.loads(args.facts.read_text(encoding="utf-8"))
        caption = filled(args.caption, facts)
    except (json.JSONDecodeError, UserError) as error:
        raise UserError(f"{args.facts}: {error}; delete it and run again") from error
    with replacing(args.output) as part:
        part.write_text(caption + "\n", encoding="utf-8")


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "caption": {"help": "its template, of catalogue.figures"},
            "facts": {"type": Path, "help": "JSON that plot_figure wrote"},
            "output": {"type": Path, "help": "text file of the caption"},
        },
    )
