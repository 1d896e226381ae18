"""Write the page on structures of one's own and a model as it is: one HTML file that needs nothing else."""

from pathlib import Path

from mlipshift.base.files import replacing
from mlipshift.base.tables import read_table
from mlipshift.run import cli
from mlipshift.show.report import rescued

ORDINARY = "val_ordinary"  # the group that says what error the model has where it was trained


def main(args):
    everything = read_table(args.structures)
    own = everything[everything.strategy == f"{args.model}_rescued"]
    known = own[own.group == ORDINARY] if (own.group == ORDINARY).any() else own[own.group.str.startswith("val_")]
    ordinary = float(known.expected_model_meV_per_A.median())
    lines = [line for path in args.lines for line in path.read_text(encoding="utf-8").splitlines()]
    page = rescued.render(
        args.template, read_table(args.table), args.title, ordinary, args.card, [*dict.fromkeys(lines)], args.run
    )
    with replacing(args.output) as part:
        part.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "model": {"help": "name in the registry"},
            "title": {"help": "display name of the model"},
            "structures": {"type": Path, "help": "CSV of rescue_models, of the validation groups, too"},
            "table": {"type": Path, "help": "CSV of write_rescued"},
            "card": {"type": Path, "help": "JSON of rescue_card"},
            "lines": {"type": Path, "nargs": "*", "help": "texts on what the model can take and has learnt"},
            "run": {"required": False, "default": "", "help": "name of the run"},
            "template": {"type": Path, "help": "Jinja template of the page"},
            "output": {"type": Path, "help": "HTML file to write"},
        },
    )
