"""Apply the weights: forces of every strategy, and what is trusted where; no reference label is read."""

import json
from pathlib import Path

import numpy as np

from mlipshift.base.frames import Frames, Labels
from mlipshift.base.predictions import Predictions
from mlipshift.base.tables import write_table
from mlipshift.evaluate import rescued
from mlipshift.external.said import OPTIONS, gather
from mlipshift.mitigate import rescue
from mlipshift.run import cli


def main(args):
    frames = Frames.load(args.frames)
    said = gather(frames, Labels.load(args.prior, frames), args.predictions, args.embeddings, args.heads)
    weights = json.loads(args.weights.read_text(encoding="utf-8"))
    results = rescue.apply(said, weights)
    for name, result in results.items():
        missing = np.full(len(frames), np.nan)
        rows = [
            ([energy], forces[None]) if np.isfinite(forces).all() else None
            for energy, forces in zip(
                missing if result.energy is None else result.energy, np.split(result.forces, frames.offsets[1:-1])
            )
        ]
        Predictions.build(frames, rows, [0], np.nan, name, -1).save(args.output / f"{name}.h5")
    write_table(args.structures, rescued.table(frames, said, weights, results), rescued.COLUMNS)


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        OPTIONS
        | {
            "weights": {"type": Path, "help": "JSON of weigh_models"},
            "output": {"type": Path, "help": "folder, a file of predictions per strategy"},
            "structures": {"type": Path, "help": "CSV: signs of being outside, weights and expected errors"},
        },
    )
