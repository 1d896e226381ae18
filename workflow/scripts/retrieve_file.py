"""Bring one file of the manifest: from the store, the mirror or its addresses, checked."""

from pathlib import Path

from mlipshift.base.log import log
from mlipshift.data import retrieval
from mlipshift.data.manifest import Manifest
from mlipshift.data.transfer import Settings
from mlipshift.run import cli


def main(args):
    entry = Manifest(args.manifest, args.schema).entry(args.name, args.version)
    record = retrieval.fetch(entry, entry.file(args.file), args.output, Settings(**args.settings))
    log.info("%s, licence: %s", entry.title, entry.licence)
    log.info("sha256 %s", record.get("sha256"))


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "manifest": {"type": Path},
            "schema": {"type": Path, "help": "JSON Schema of the manifest, as YAML"},
            "name": {"help": "entry of the manifest"},
            "version": {"help": "version of the entry"},
            "file": {"help": "path of the file within its version"},
            "settings": {"type": cli.settings, "help": "JSON: section retrieve of the configuration"},
            "output": {"type": Path, "help": "link to the file in the store, to make"},
        },
    )
