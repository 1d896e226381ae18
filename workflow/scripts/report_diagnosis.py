"""Write the report of a diagnosis: one HTML file that needs nothing else."""

from pathlib import Path

from mlipshift.base.files import replacing
from mlipshift.base.tables import read_table
from mlipshift.run import cli
from mlipshift.shift import training
from mlipshift.show.report import diagnosis, left_out


def lines_of(paths):
    """Lines of several texts, each once."""
    return list(dict.fromkeys(line for path in paths for line in path.read_text(encoding="utf-8").splitlines()))


def main(args):
    models = [
        diagnosis.model(*about, lines_of([lines, *(p for p in args.notes if p.parent == lines.parent)]), args.explorer)
        for *about, lines in zip(args.titles, args.models, args.model_figures, args.capability)
    ]
    missing = [] if models else ["No model is named in the setting models: there are no errors and no embedding map."]
    if args.statistics:
        missing.append(training.about(args.statistics))
    info = {"sigma": f"{args.sigma:g}", "cutoff": f"{args.cutoff:g}", "run": args.run, "missing": missing}
    shares = {"outside": read_table(args.shift_summary), "sweep": read_table(args.sweep)}
    later = left_out.of_models([folder / "errors.csv" for folder in args.models], args.failures)
    tables = left_out.tables({path.stem: read_table(path) for path in args.input}, later)
    read = {"told": left_out.lines(args.lines), "tables": tables}
    page = diagnosis.render(args.template, shares, args.criteria, models, info, read, args.explorer)
    with replacing(args.output) as part:
        part.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    several = {"nargs": "*", "required": False, "default": []}
    cli.run(
        main,
        __doc__,
        {
            "shift_summary": {"type": Path, "help": "CSV of the share of structures outside by criterion and group"},
            "sweep": {"type": Path, "help": "CSV of that share at several numbers of standard deviations"},
            "criteria": {"type": Path, "help": "folder of the figure of the measures"},
            "models": {**several, "type": Path, "help": "folders of the tables of every model"},
            "model_figures": {**several, "type": Path, "help": "folders of the figures of every model"},
            "capability": {**several, "type": Path, "help": "texts on what every model can take, and learned"},
            "notes": {**several, "type": Path, "help": "what was found out about the models, beside their capability"},
            "titles": {**several, "help": "display names of the models"},
            "statistics": {"type": Path, "required": False, "help": "statistics that stand for training structures"},
            "input": {"type": Path, "nargs": "+", "help": "CSVs of what was read and left out"},
            "lines": {"type": Path, "nargs": "+", "help": "texts on what was read and left out"},
            "failures": {**several, "type": Path, "help": "CSVs of the structures without a prediction"},
            "sigma": {"type": float, "help": "outside beyond this many training standard deviations"},
            "cutoff": {"type": float, "help": "radius of the graphs (Å)"},
            "run": {"required": False, "default": "", "help": "name of the run"},
            "explorer": {"type": Path, "required": False, "help": "the explorer, beside the page"},
            "template": {"type": Path, "help": "Jinja template of the page"},
            "output": {"type": Path, "help": "HTML file to write"},
        },
    )
