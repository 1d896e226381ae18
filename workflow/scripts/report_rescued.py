"""Write the page on structures of one's own and a model as it is: one HTML file that needs nothing else."""

from pathlib import Path

from mlipshift.base.files import replacing
from mlipshift.base.frames import Frames, Labels
from mlipshift.base.predictions import Predictions
from mlipshift.base.tables import read_table
from mlipshift.evaluate import rescued as evaluate
from mlipshift.run import cli
from mlipshift.show import help_groups
from mlipshift.show.report import left_out, rescued


def with_errors(table, args):
    """The table with true errors where a structure has reference forces; these are used for nothing else."""
    frames = Frames.load(args.frames)
    forces = {
        name: Predictions.load(path, frames).forces[-1]
        for name, path in (("model", args.predictions), ("rescued", args.rescued), ("constant", args.constant))
    }
    forces["prior"] = Labels.load(args.prior, frames).forces
    return table.merge(evaluate.true_errors(frames, Labels.load(args.reference, frames), forces), on="id", how="left")


def main(args):
    usual = help_groups.usual(read_table(args.structures), args.model, evaluate.SIGNS)
    table = with_errors(read_table(args.table), args)
    failures = read_table(args.failures)
    about = (args.title, usual, args.card, args.figures, failures, left_out.lines(args.lines), args.run, args.explorer)
    page = rescued.render(args.template, table, *about)
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
            "figures": {"type": Path, "help": "folder of plot_rescued"},
            "failures": {"type": Path, "help": "CSV of the structures without a prediction of the model"},
            "frames": {"type": Path, "help": "structures"},
            "reference": {"type": Path, "help": "reference labels, for true errors where there are some"},
            "prior": {"type": Path, "help": "prior labels"},
            "predictions": {"type": Path, "help": "forces of the model"},
            "rescued": {"type": Path, "help": "forces with weights of every structure"},
            "constant": {"type": Path, "help": "forces with one weight for all"},
            "lines": {"type": Path, "nargs": "*", "help": "texts on what was read and left out"},
            "run": {"required": False, "default": "", "help": "name of the run"},
            "explorer": {"type": Path, "required": False, "help": "the explorer, beside the page"},
            "template": {"type": Path, "help": "Jinja template of the page"},
            "output": {"type": Path, "help": "HTML file to write"},
        },
    )
