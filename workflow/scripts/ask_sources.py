"""Ask every address of the manifest whether it answers and with how many bytes; nothing is downloaded."""

from pathlib import Path

from mlipshift.base.errors import UserError
from mlipshift.base.log import log
from mlipshift.base.tables import write_table
from mlipshift.data import transfer
from mlipshift.data.manifest import Manifest
from mlipshift.run import cli

COLUMNS = ["name", "version", "file", "url", "reachable", "bytes", "expected_bytes", "bytes_agree", "note"]


def agreement(found, expected):
    """Whether two sizes agree, "" if one of them is not known."""
    return "" if found is None or expected is None else found == expected


def rows_of(entry, timeout):
    """One row per address of the entry, and per file that only its index lists."""
    files = dict(entry.files)
    listed, note = {}, ""
    if entry.index:
        try:
            listed = transfer.listing(entry.index, timeout)
        except UserError as error:
            note = f"index: {error}"
    for path in listed if entry.any_file else []:
        files.setdefault(path, entry.file(path))
    if not files:
        row = {"name": entry.name, "version": entry.version, "url": entry.index["url"]}
        yield row | {"reachable": False, "note": note}
    for path, file in files.items():
        known = listed.get(path, {})
        expected = file.bytes or known.get("bytes")
        digests = "; ".join(f"index: {key} {known[key]}" for key in ("md5", "sha256") if known.get(key))
        for url in file.urls:
            found = transfer.probe(url, timeout)
            log.info("%s: %s", url, found)
            yield {
                "name": entry.name,
                "version": entry.version,
                "file": path,
                "url": url,
                "reachable": found["reachable"],
                "bytes": found["bytes"],
                "expected_bytes": expected,
                "bytes_agree": agreement(found["bytes"], expected),
                "note": "; ".join(filter(None, (found["note"], digests, note))),
            }


def main(args):
    settings = transfer.Settings(**args.settings)
    if settings.offline:
        raise UserError("retrieve.offline is true, so no address is asked; set it to false to check the sources")
    rows = []
    for entry in Manifest(args.manifest, args.schema).entries.values():
        rows += rows_of(entry, settings.timeout_s)
    write_table(args.output, rows, columns=COLUMNS)
    log.info("%d of %d addresses answer", sum(row["reachable"] for row in rows), len(rows))


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "manifest": {"type": Path},
            "schema": {"type": Path, "help": "JSON Schema of the manifest, as YAML"},
            "settings": {"type": cli.settings, "help": "JSON: section retrieve of the configuration"},
            "output": {"type": Path, "help": "CSV to write"},
        },
    )
