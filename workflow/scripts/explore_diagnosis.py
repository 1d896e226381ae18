"""Write the explorer of a diagnosis: every test structure with its measures of shift and the forces of the models."""

from pathlib import Path

import numpy as np

from mlipshift.base.files import replacing
from mlipshift.base.frames import Frames, Labels
from mlipshift.base.predictions import Predictions
from mlipshift.base.tables import read_table
from mlipshift.evaluate.explored import root_mean_square
from mlipshift.external.embedding import Embedding
from mlipshift.run import cli
from mlipshift.show import explored, explorer


def said_by(folder, embedding, frames):
    """What explored.of_model needs, from the folder of the tables of a model and the file of its representations."""
    spread = Embedding.load(embedding, frames).spread
    return {
        "errors": read_table(folder / "errors.csv"),
        "embedding": read_table(folder / "embedding.csv"),
        "spread": None if spread is None else root_mean_square(spread, frames.offsets),
        "ids": frames.ids,
    }


def main(args):
    frames = Frames.load(args.frames)
    quantities = explored.measures(read_table(args.shifts), frames.ids)
    arrows = [explored.reference(Labels.load(args.reference, frames).forces)]
    for k, (folder, path, embedding) in enumerate(zip(args.models, args.predictions, args.embeddings, strict=True)):
        quantities += explored.of_model(folder.name, said_by(folder, embedding, frames))
        colour, forces = explored.COLOURS[k % len(explored.COLOURS)], Predictions.load(path, frames).forces[-1]
        arrows.append(explorer.Arrows(folder.name, folder.name, colour, forces))
    if len(arrows) > 2:
        quantities += explored.models_apart(np.stack([a.forces for a in arrows[1:]]), frames.offsets)
    start = {"x": "window_fraction", "y": "composition_distance"}
    if args.models:
        start["y"] = explored.error_key(args.models[0].name)
    data = explorer.content(frames, quantities, arrows, start)
    named = "".join(f" {folder.name}: {title}." for folder, title in zip(args.models, args.titles, strict=True))
    words = explored.words(
        "The diagnosed structures, one by one",
        f"Test structures alone; what has no reference label has no error and no arrows of the reference.{named}",
        (args.report, "Back to the diagnosis"),
    )
    with replacing(args.output) as part:
        part.write_text(explorer.render(args.template, data, words), encoding="utf-8")


if __name__ == "__main__":
    several = {"nargs": "*", "required": False, "default": []}
    cli.run(
        main,
        __doc__,
        {
            "frames": {"type": Path, "help": "test frames"},
            "reference": {"type": Path, "help": "reference labels of the test frames, as far as there are"},
            "shifts": {"type": Path, "help": "CSV of the shift measures"},
            "models": {**several, "type": Path, "help": "folders of the tables of every model"},
            "predictions": {**several, "type": Path, "help": "predictions of the test frames of every model"},
            "embeddings": {**several, "type": Path, "help": "representations of the test frames of every model"},
            "titles": {**several, "help": "display names of the models"},
            "report": {"help": "file name of the diagnosis, beside the page"},
            "template": {"type": Path, "help": "Jinja template of the page"},
            "output": {"type": Path, "help": "HTML file to write"},
        },
    )
