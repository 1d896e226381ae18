"""Check and convert the input structures; test labels go into a store of their own."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from mlipshift.base.errors import UserError
from mlipshift.base.frames import Frames, Labels
from mlipshift.base.log import log
from mlipshift.base.tables import FAILURES, write_table
from mlipshift.data import census, duplicates
from mlipshift.data.curation import LABELLED, curate
from mlipshift.run import cli


@contextmanager
def kept(args: object, tables: dict) -> Iterator[None]:
    """Context in which a UserError leaves the tables that have rows beside the log, and says where.

    Snakemake removes what a failed job has declared as its output, and nothing else. tables: {name: (columns, rows,
    of which there is a number)}.
    """
    beside = {name: args.log.with_name(f"{args.log.stem}_{name}.csv") for name in tables} if args.log else {}
    for path in beside.values():
        path.unlink(missing_ok=True)
    try:
        yield
    except UserError as error:
        left = [(path, *tables[name]) for name, path in beside.items() if tables[name][1]]
        for path, columns, rows in left:
            write_table(path, rows, columns)
        if not left:
            raise
        raise UserError(f"{error}; see {' and '.join(str(path) for path, *_ in left)}") from error


def stores_of(args: object, stack: ExitStack) -> dict:
    """{kind: what a row and its label are appended with} of the stores to write."""
    frames = {"train": Frames.writer(args.train), "test": Frames.writer(args.test)}
    optional = {"unlabelled": args.unlabelled, "labelled": args.labelled}
    frames |= {kind: Frames.writer(path) for kind, path in optional.items() if path}
    labels = {"train": args.train_reference, "test": args.test_reference, "validation": args.validation_reference}
    labels["labelled"] = args.labelled_reference
    frames = {kind: stack.enter_context(writer) for kind, writer in frames.items()}
    labels = {k: stack.enter_context(Labels.writer(path, "reference")) for k, path in labels.items() if path}

    def append(kind, row, label):
        if kind in frames:
            frames[kind](row)
        # a reference label that a file of the group unlabelled may hold goes nowhere
        for name in (kind, "validation") if row["group"].startswith("val_") else (kind,):
            if name in labels:
                labels[name]((row, label))

    return append


def kind_of(group: str) -> str:
    """The store that the structures of a group go into."""
    return group if group in ("train", "unlabelled") else "labelled" if group.startswith(LABELLED) else "test"


def main(args):
    failures, repeated, counts = [], duplicates.Duplicates(), census.Census()
    tables = {"failures": (FAILURES, failures), "duplicates": (duplicates.DUPLICATES, repeated)}
    with kept(args, tables), ExitStack() as stack:
        append = stores_of(args, stack)
        for row, label in curate(args.settings, failures, counts):
            append(kind_of(row["group"]), row, label)
            repeated.add(row, *(label or ())[:1])
        groups = counts.rows()
        pairs = repeated.counts({row["group"]: row["n_used"] for row in groups})
        said = duplicates.lines_of(pairs)
        if repeated and args.settings.get("duplicates") == "refuse":
            raise UserError(f"{'; '.join(said)}; take them out, or set data.duplicates to report")
    for path, rows, columns in (
        (args.failures, failures, FAILURES),
        (args.census, groups, census.CENSUS),
        (args.duplicates, repeated, duplicates.DUPLICATES),
        (args.duplicate_counts, pairs, duplicates.COUNTS),
    ):
        if path:
            write_table(path, rows, columns)
    lines = counts.lines() + said
    if args.lines:
        args.lines.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    for line in lines:
        log.info("%s", line)
    log.info("%d structures, %d left out", sum(row["n_used"] for row in groups), len(failures))


if __name__ == "__main__":
    store, optional = {"type": Path}, {"type": Path, "required": False}
    cli.run(
        main,
        __doc__,
        {
            "settings": {"type": cli.settings, "help": "JSON: section data of the configuration"},
            "train": {**store, "help": "training frames to write"},
            "train_reference": {**store, "help": "reference labels of the training frames to write"},
            "test": {**store, "help": "frames of all other groups to write"},
            "test_reference": {**store, "help": "reference labels of the test frames to write"},
            "unlabelled": {**optional, "help": "frames of the group unlabelled to write"},
            "labelled": {**optional, "help": "frames of the groups labelled_NAME to write"},
            "labelled_reference": {**optional, "help": "reference labels of these, to fine-tune on, to write"},
            "validation_reference": {
                **optional,
                "help": "reference labels of the validation groups alone, to write",
            },
            "failures": {**store, "help": "CSV of structures that are left out, to write"},
            "census": {**optional, "help": "CSV of the structures and labels of every group, to write"},
            "duplicates": {**optional, "help": "CSV of structures that occur more than once, to write"},
            "duplicate_counts": {**optional, "help": "CSV of their numbers by group, to write"},
            "lines": {**optional, "help": "text of what the user is told, to write"},
        },
    )
