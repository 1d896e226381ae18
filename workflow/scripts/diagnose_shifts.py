"""Measure how far every structure lies from the training set on the three shift axes.

Without training structures it is held against the statistics of others, if there are any, and measured as far as that
needs none. Reads and writes in blocks: memory grows with the sample of training structures and with nothing else.
"""

import tempfile
from pathlib import Path

import numpy as np

from mlipshift.base.errors import UserError
from mlipshift.base.frames import Frames
from mlipshift.base.log import log
from mlipshift.base.tables import write_table
from mlipshift.run import cli
from mlipshift.shift import distribution, measures
from mlipshift.shift.training import Spectra, Statistics, Training

ABOUT = ("id", "group", "molecule")


def main(args):
    how = Spectra(args.cutoff, args.variant)
    training = Training.of(Frames.blocks(args.train), how, args.sample, args.seed)
    given = None
    if args.statistics and training:
        raise UserError("there are training structures: give no training statistics beside them")
    if args.statistics:
        given = Statistics.load(args.statistics, how)
        training = given.training
        log.info("held against the statistics of %d training structures of %s", training.number, given.name)
    elif training is None:
        log.info("no training structures: how far a structure lies from them is not measured")

    args.output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=args.output.parent) as spool:
        groups = distribution.Groups(_criteria(args, training), spool)
        sampled = {}
        rows = _rows(args, how, training, given, groups, sampled)
        write_table(args.output, rows, [*ABOUT, *groups.criteria])
        summary, swept = groups.tables(args.sigma)
    write_table(args.summary, summary, distribution.SUMMARY)
    write_table(args.sweep, swept, distribution.SWEPT)
    if args.training and training and given is None:
        table = np.array([sampled[name] for name in training.place])
        Statistics(args.name, training, dict(zip(groups.criteria, table.T))).save(args.training)


def _criteria(args, training):
    """Names of the measures that this run makes."""
    made = {kind for kind, *_ in args.labels}
    absent = {f"{kind}_force_norm_eV_per_A" for kind in measures.LABELS if kind not in made}
    possible = measures.MEASURED if training else measures.UNTRAINED
    return [name for name in possible if name not in absent]


def _rows(args, how, training, given, groups, sampled):
    """Yield the rows of all structures, which `groups` takes in; sampled {id: values} gets those of the sample."""
    if given:
        missing = np.full(len(training.place), np.nan)
        table = np.column_stack([given.measured.get(name, missing) for name in groups.criteria])
        groups.add(np.full(len(table), "train", dtype=object), table)
        for k, values in enumerate(table.tolist()):
            yield dict(zip(ABOUT, (f"statistics:{k}", "train", given.name))) | dict(zip(groups.criteria, values))
    parts = [(0, args.train)] if training and not given else []
    for part, path in [*parts, (1, args.test)]:
        labels = {kind: Path(paths[part]) for kind, *paths in args.labels}
        for frames, found in measures.of_store(path, labels, how, training, own=part == 0):
            table = np.column_stack([found[name] for name in groups.criteria])
            groups.add(frames.group, table)
            for texts in zip(frames.ids, frames.group, frames.molecule, table.tolist()):
                if part == 0 and texts[0] in training.place:
                    sampled[texts[0]] = texts[3]
                yield dict(zip(ABOUT, texts)) | dict(zip(groups.criteria, texts[3]))


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "train": {"type": Path, "help": "training frames, perhaps none"},
            "test": {"type": Path, "help": "test frames"},
            "statistics": {"type": Path, "required": False, "help": "statistics of training structures elsewhere"},
            "labels": {
                "nargs": 3,
                "action": "append",
                "default": [],
                "required": False,
                "metavar": ("KIND", "TRAIN", "TEST"),
                "help": f"labels ({', '.join(measures.LABELS)}) of the training and of the test frames, in their order",
            },
            "cutoff": {"type": float, "help": "radius of the graphs (Å)"},
            "variant": {"help": "spectrum variant: published or robust"},
            "sample": {"type": int, "help": "training structures among which the nearest one is looked for"},
            "seed": {"type": int, "help": "seed of that sample"},
            "sigma": {"type": float, "help": "outside beyond this many training standard deviations"},
            "name": {"required": False, "default": "", "help": "name of the training data in their statistics"},
            "training": {"type": Path, "required": False, "help": "statistics of the training frames to write"},
            "output": {"type": Path, "help": "CSV, one row per structure"},
            "summary": {"type": Path, "help": "CSV, one row per group and criterion"},
            "sweep": {"type": Path, "help": "CSV of the fraction outside at several numbers of standard deviations"},
        },
    )
