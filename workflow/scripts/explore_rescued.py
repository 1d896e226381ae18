"""Write the explorer of rescued structures: forces of the model and the rescued ones, what is expected of them."""

from pathlib import Path

import numpy as np

from mlipshift.base.files import replacing
from mlipshift.base.frames import Frames, Labels
from mlipshift.base.predictions import Predictions
from mlipshift.base.tables import read_table
from mlipshift.evaluate import rescued as evaluate
from mlipshift.run import cli
from mlipshift.show import explored, explorer


def main(args):
    frames, table = Frames.load(args.frames), read_table(args.table)
    reference, prior = (Labels.load(path, frames) for path in (args.reference, args.prior))
    forces = {
        name: Predictions.load(path, frames).forces[-1]
        for name, path in (("model", args.predictions), ("rescued", args.rescued), ("constant", args.constant))
    }
    true = evaluate.true_errors(frames, reference, forces | {"prior": prior.forces})
    table = table.merge(true, on="id", how="left")
    own = np.flatnonzero(np.isin(frames.ids.astype(str), table.id))  # those of validation groups are not the user's
    atoms = np.concatenate([np.arange(frames.offsets[k], frames.offsets[k + 1]) for k in own])
    name = args.title.partition(",")[0]
    titles = {"model": name, "rescued": "Rescued", "constant": "One weight for all"}
    arrows = [explored.reference(reference.forces[atoms])]
    arrows += [
        explorer.Arrows(key, titles[key], explored.COLOURS[k], values[atoms])
        for k, (key, values) in enumerate(forces.items())
    ]
    arrows.append(explored.prior(prior.forces[atoms], "GFN2-xTB"))
    frames = frames.take(own)
    start = {"x": "expected_model_meV_per_A", "y": "expected_error_meV_per_A"}
    data = explorer.content(frames, explored.rescued(table, frames.ids), arrows, start)
    words = explored.words(
        f"{name} on your structures, one by one",
        "Errors are expected ones, without a label, but for those called true. What has no label has no true error and"
        " no arrows of the reference; what the model cannot predict has none of the model.",
        (args.report, "Back to the page on these structures"),
    )
    with replacing(args.output) as part:
        part.write_text(explorer.render(args.template, data, words), encoding="utf-8")


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "title": {"help": "display name of the model"},
            "frames": {"type": Path, "help": "structures"},
            "reference": {"type": Path, "help": "reference labels, for true errors where there are some"},
            "prior": {"type": Path, "help": "prior labels"},
            "predictions": {"type": Path, "help": "forces of the model"},
            "rescued": {"type": Path, "help": "forces with weights of every structure"},
            "constant": {"type": Path, "help": "forces with one weight for all"},
            "table": {"type": Path, "help": "CSV of write_rescued"},
            "report": {"help": "file name of the page on these structures, beside this one"},
            "template": {"type": Path, "help": "Jinja template of the page"},
            "output": {"type": Path, "help": "HTML file to write"},
        },
    )
