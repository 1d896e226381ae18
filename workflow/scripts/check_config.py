"""Check a file of settings and say the first thing that is wrong with it; `make ... CONFIG=` does so before a run."""

from pathlib import Path

from mlipshift.run import cli, configuration


def main(args):
    settings = configuration.read(args.config)
    configuration.load(settings, args.schema, [("defaults", {}), (str(args.config), settings)])


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "config": {"type": Path, "help": "YAML file to check"},
            "schema": {"type": Path, "help": "JSON Schema of the settings"},
        },
    )
