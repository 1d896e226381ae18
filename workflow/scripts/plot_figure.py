"""Draw one figure from its tables."""

from pathlib import Path

from mlipshift.run import cli
from mlipshift.show import plotting


def main(args):
    figure, caption = plotting.draw(args.name, plotting.find_tables([*args.tables, *(args.timings or [])]))
    for path in (args.svg, args.png):
        path.parent.mkdir(parents=True, exist_ok=True)
        plotting.save(figure, path)
    args.caption.parent.mkdir(parents=True, exist_ok=True)
    args.caption.write_text(caption + "\n", encoding="utf-8")


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "name": {"help": f"one of {', '.join(plotting.FIGURES)}"},
            "tables": {
                "type": Path,
                "nargs": "+",
                "help": "folder of tables, or the tables the figure needs",
            },
            "timings": {
                "type": Path,
                "nargs": "+",
                "required": False,
                "help": "folder of seconds.csv, or the file",
            },
            "svg": {"type": Path},
            "png": {"type": Path},
            "caption": {"type": Path, "help": "text file of the caption"},
        },
    )
