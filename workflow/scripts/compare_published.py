"""Put the published values beside those of this run."""

from pathlib import Path

import numpy as np

from mlipshift.base.log import log
from mlipshift.base.tables import read_table, write_table
from mlipshift.evaluate import published
from mlipshift.run import cli


def main(args):
    dynamics = read_table(args.dynamics) if args.dynamics else None
    rows = published.beside(read_table(args.published), read_table(args.summary), dynamics)
    write_table(args.output, rows, published.OURS)
    made = sum(np.isfinite(r["ours"]) for r in rows)
    log.info("%d published values, %d of them made by this run", len(rows), made)


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "published": {"type": Path, "help": "CSV of the published values"},
            "summary": {"type": Path, "help": "CSV of the errors of this run"},
            "dynamics": {"type": Path, "required": False, "help": "CSV of the simulated molecules of this run"},
            "output": {"type": Path},
        },
    )
