"""Write the explorer of a run: every test structure on a map and in 3-D with its forces, in one HTML file."""

from pathlib import Path

import numpy as np

from mlipshift.base.files import replacing
from mlipshift.base.frames import Frames, Labels
from mlipshift.base.predictions import Predictions
from mlipshift.base.tables import read_table
from mlipshift.catalogue.methods import title
from mlipshift.run import cli
from mlipshift.show import explored, explorer


def of_seeds(paths, frames):
    """Predictions by seed, of one method."""
    return sorted((Predictions.load(path, frames) for path in paths), key=lambda found: found.seed)


def main(args):
    frames = Frames.load(args.frames)
    before, after = (of_seeds(paths, frames) for paths in (args.before, args.after))
    prior, reference = Labels.load(args.prior, frames), Labels.load(args.reference, frames)
    arrows = [explored.reference(reference.forces)]
    arrows += [
        explorer.Arrows(found.method, title(found.method), colour, found.forces[-1])
        for found, colour in [(before[0], explored.COLOURS[0]), *([(after[0], explored.COLOURS[1])] if after else [])]
    ]
    arrows.append(explored.prior(prior.forces))
    model = before[0].method
    quantities = explored.measures(read_table(args.shifts), frames.ids)
    known = explored.errors(read_table(args.errors), frames.ids)
    start = {"x": "window_fraction", "y": explored.error_key(model)}
    if after:
        known = explored.gain(known, model, after[0].method) + known
        known += explored.losses(after[0].method, np.stack([found.loss for found in after]))
        start["y"] = "gain_meV_per_A"
    known += explored.seeds_apart(model, np.stack([found.forces[-1] for found in before]), frames.offsets)
    data = explorer.content(frames, quantities + known, arrows, start)
    note = f"Arrows are of the models of seed {before[0].seed}; numbers are means over {len(before)} seeds."
    words = explored.words("The test structures, one by one", note, ("report.html", "Back to the report"))
    with replacing(args.output) as part:
        part.write_text(explorer.render(args.template, data, words), encoding="utf-8")


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "frames": {"type": Path, "help": "test frames"},
            "reference": {"type": Path, "help": "reference labels of the test frames, as far as there are"},
            "prior": {"type": Path, "help": "prior labels of the test frames"},
            "before": {"type": Path, "nargs": "+", "help": "predictions of one model, of all seeds"},
            "after": {"type": Path, "nargs": "*", "default": [], "required": False, "help": "those after adaptation"},
            "shifts": {"type": Path, "help": "CSV of the shift measures"},
            "errors": {"type": Path, "help": "CSV of the error of every structure, method and seed"},
            "template": {"type": Path, "help": "Jinja template of the page"},
            "output": {"type": Path, "help": "HTML file to write"},
        },
    )
