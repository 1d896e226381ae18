"""Write what the ASE calculator of a rescued model is made from."""

import json
import sys
from pathlib import Path

from mlipshift.base.files import replacing
from mlipshift.run import cli


def main(args):
    chosen = json.loads(args.weights.read_text(encoding="utf-8"))[args.model]
    card = {
        "model": args.model,
        "entry": args.entry,
        "checkpoint": str(args.checkpoint.absolute()) if args.checkpoint else None,
        "head": str(args.head.absolute()) if args.head else None,
        "weight": chosen["corrected" if args.head else "mixed"],
        "prior": args.prior,
        # tblite is where this runs, which need not be where the model does
        "python": sys.executable,
    }
    with replacing(args.output) as part:
        part.write_text(json.dumps(card, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "model": {"help": "name in the registry"},
            "entry": {"type": cli.settings, "help": "entry of the registry as JSON"},
            "checkpoint": {"type": Path, "required": False, "help": "weights, where the package carries none"},
            "head": {"type": Path, "required": False, "help": "weights of the prior head"},
            "prior": {"type": cli.settings, "help": "JSON: method, library, accuracy"},
            "weights": {"type": Path, "help": "JSON of weigh_models"},
            "output": {"type": Path, "help": "JSON to write"},
        },
    )
