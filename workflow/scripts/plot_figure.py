"""Draw one figure from its tables, and write the facts that its caption needs.

The module of the figure is loaded by its name, so that no other figure is drawn again when it changes.
"""

import json
from pathlib import Path

from mlipshift.base.files import replacing
from mlipshift.run import cli
from mlipshift.show import drawing, style


def main(args):
    figure, facts = drawing.draw(args.name, drawing.find_tables(args.tables), args.title)
    for path in (args.svg, args.png):
        path.parent.mkdir(parents=True, exist_ok=True)
        style.save(figure, path)
    with replacing(args.facts) as part:
        part.write_text(json.dumps(facts, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "name": {"help": "figure of the catalogue, fig_frontier for one"},
            "title": {"help": "title at the head of the figure"},
            "tables": {"type": Path, "nargs": "+", "help": "CSV files of the figure, or folders that hold them"},
            "svg": {"type": Path},
            "png": {"type": Path},
            "facts": {"type": Path, "help": "JSON of the numbers and words of the caption to write"},
        },
    )
