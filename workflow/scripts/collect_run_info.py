"""Write what is needed to judge and repeat a run: versions, hardware, seeds, settings, durations."""

import json
from pathlib import Path

from mlipshift.base.tables import write_table
from mlipshift.run import cli, records


def main(args):
    write_table(args.durations, records.durations(args.benchmarks), records.DURATIONS)
    info = records.environment() | {"seeds": args.seeds, "config": args.config_json}
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(json.dumps(info, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "benchmarks": {"type": Path, "help": "folder of Snakemake benchmark files"},
            "config_json": {"type": cli.settings, "help": "JSON of the configuration, or a file of it"},
            "seeds": {"type": int, "nargs": "+"},
            "output": {"type": Path, "help": "run_info.json"},
            "durations": {"type": Path, "help": "CSV of seconds and memory per rule"},
        },
    )
