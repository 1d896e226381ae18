"""Choose the weights of models, corrections and prior on the validation groups: no label of another group is used."""

import json
from pathlib import Path

from mlipshift.base.errors import UserError
from mlipshift.base.files import replacing
from mlipshift.base.frames import Frames, Labels
from mlipshift.base.log import log
from mlipshift.external.said import OPTIONS, gather
from mlipshift.mitigate import rescue, weighting
from mlipshift.run import cli


def main(args):
    frames = Frames.load(args.frames)
    reference = Labels.load(args.reference, frames)
    known = frames.of_kind("val_") & reference.ok
    if known.sum() < weighting.FEW:
        raise UserError(
            f"{known.sum()} structures of validation groups (val_NAME) have reference forces; weights need "
            f"{weighting.FEW} at least (data.files.val_NAME)"
        )
    said = gather(frames, Labels.load(args.prior, frames), args.predictions, args.embeddings, args.heads)
    weights = rescue.choose(said.take(known), reference.take(known).forces)
    with replacing(args.output) as part:
        part.write_text(json.dumps(weights, indent=1) + "\n", encoding="utf-8")
    for name, row in weights.items():
        shown = {way: value if isinstance(value, float) else f"power {value['power']:g}" for way, value in row.items()}
        log.info("%s, of %d structures of %d molecules: %s", name, known.sum(), len(set(frames.molecule[known])), shown)


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        OPTIONS
        | {
            "reference": {"type": Path, "help": "reference labels, of which those of the validation groups are used"},
            "output": {"type": Path, "help": "JSON of the weights"},
        },
    )
