"""Measure how far every structure lies from the training set on the three shift axes.

Reads and writes in blocks: memory grows with the sample of training structures and with nothing else.
"""

import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np

from mlipshift.base.errors import UserError
from mlipshift.base.frames import Frames, Labels
from mlipshift.base.predictions import Predictions
from mlipshift.base.tables import write_table
from mlipshift.run import cli
from mlipshift.shift import measures
from mlipshift.shift.measures import CRITERIA, Tally, Training


def norms(kind, path):
    """Yield (id, mean force norm) of every structure of a store of labels, or of predictions, at the last step."""
    if kind == "predicted":
        found = Predictions.load(path)
        blocks = [Labels(found.ids, found.offsets, found.energy[-1], found.forces[-1], found.ok)]
    else:
        blocks = Labels.blocks(path)
    for labels in blocks:
        yield from zip(labels.ids, measures.force_norm(labels))


def those_of(ids, stream, path):
    """Norms of `ids` out of a stream that has them in this order, and may have others in between."""
    found = []
    for name in ids:
        norm = next((norm for other, norm in stream if other == name), None)
        if norm is None:
            raise UserError(f"{path}: no label of structure {name} in its place; run the rule that makes it again")
        found.append(norm)
    return np.array(found)


def measured(path, labels, training, own):
    """Yield (Frames, {criterion: [S]}) of the blocks of a store; labels: {kind: path}."""
    streams = {kind: norms(kind, of) for kind, of in labels.items()}
    for frames in Frames.blocks(path):
        found = {kind: those_of(frames.ids, stream, labels[kind]) for kind, stream in streams.items()}
        yield frames, measures.measure(training, frames, found, own)


def main(args):
    labels = [{kind: Path(paths[part]) for kind, *paths in args.labels} for part in (0, 1)]
    training = Training.of(Frames.blocks(args.train), args.cutoff, args.variant, args.sample, args.seed)
    absent = {f"{kind}_force_norm_eV_per_A" for kind in measures.LABELS if kind not in labels[0]}
    criteria = [name for name in CRITERIA if name not in absent]
    groups = {"train": 0}
    tallies = defaultdict(Tally)

    args.output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=args.output.parent) as spool:

        def rows():
            for part, path in enumerate((args.train, args.test)):
                for frames, measures in measured(path, labels[part], training, own=part == 0):
                    number = np.array([groups.setdefault(name, len(groups)) for name in frames.group])
                    for group in np.unique(number):
                        for name in criteria:
                            tallies[group, name].add(measures[name][number == group])
                    table = np.column_stack([measures[name] for name in criteria])
                    np.column_stack([number, table]).tofile(spool)
                    for texts in zip(frames.ids, frames.group, frames.molecule, table.tolist()):
                        yield dict(zip(("id", "group", "molecule"), texts)) | dict(zip(criteria, texts[3]))

        write_table(args.output, rows(), ["id", "group", "molecule", *criteria])
        spool.seek(0)
        sigmas = sorted({args.sigma, *measures.SWEEP})
        away = outside(spool, criteria, tallies, sigmas)

    counts, sweep = [], []
    for name in criteria:
        known = tallies[0, name]
        if not known.n:
            continue
        for group, number in groups.items():
            found = tallies[number, name]
            share = {sigma: away[number, name, sigma] / found.n if found.n else np.nan for sigma in sigmas}
            counts.append(
                {
                    "axis": CRITERIA[name][0],
                    "criterion": name,
                    "group": group,
                    "n_structures": found.n,
                    "mean": found.mean,
                    "training_mean": known.mean,
                    "training_standard_deviation": known.deviation,
                    "fraction_outside": share[args.sigma],
                }
            )
            sweep += [
                {"group": group, "criterion": name, "sigma": sigma, "fraction_outside": share[sigma]}
                for sigma in measures.SWEEP
            ]
    write_table(args.summary, counts)
    write_table(args.sweep, sweep)


def outside(spool, criteria, tallies, sigmas):
    """{(number of the group, criterion, sigma): structures outside the training distribution}.

    spool: rows (number of the group, value of every criterion) as written above.
    """
    away, width = defaultdict(int), 1 + len(criteria)
    while len(block := np.fromfile(spool, count=width * measures.BLOCK * 16)):
        number, values = block[::width], block.reshape(-1, width)[:, 1:]
        for name, column in zip(criteria, values.T):
            known = tallies[0, name]
            for sigma in sigmas:
                far = measures.beyond(column, known.mean, known.deviation, CRITERIA[name][1], sigma)
                for group, found in zip(*np.unique(number[far], return_counts=True)):
                    away[int(group), name, sigma] += int(found)
    return away


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "train": {"type": Path, "help": "training frames"},
            "test": {"type": Path, "help": "test frames"},
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
            "output": {"type": Path, "help": "CSV, one row per structure"},
            "summary": {"type": Path, "help": "CSV, one row per group and criterion"},
            "sweep": {"type": Path, "help": "CSV of the fraction outside at several numbers of standard deviations"},
        },
    )
