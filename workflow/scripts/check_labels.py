"""Compare reference labels with those of the prior: a wrong sign or unit is refused before a number is made of them."""

import os
from itertools import tee
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np

from mlipshift.base.errors import UserError
from mlipshift.base.frames import Frames, Labels
from mlipshift.base.log import log
from mlipshift.base.tables import write_table
from mlipshift.prior import engines
from mlipshift.prior.agreement import COLUMNS, Agreement
from mlipshift.prior.labels import label_frames
from mlipshift.run import cli


def stored(path, ids):
    """Yield labels of the prior of `ids`, out of a store that has them in this order and may have others in between."""
    wanted = iter(ids)
    name = next(wanted, None)
    for labels in Labels.blocks(path):
        for k in range(len(labels)):
            if labels.ids[k] == name:
                yield (labels.energy[k], labels.forces_of(k)) if labels.ok[k] else None
                name = next(wanted, None)
    if name is not None:
        raise UserError(f"{path}: no label of structure {name} in its place; run the rule that makes it again")


def computed(args, chosen):
    """Yield labels of the prior of all frames, None for those that are not `chosen` (set of ids)."""
    singlepoint = engines.engine(args.method, args.engine, args.accuracy)
    for frames in Frames.blocks(args.frames):
        asked = np.flatnonzero([name in chosen for name in frames.ids])
        labels, _ = label_frames(frames.take(asked), singlepoint, args.method, args.method)
        found = {k: (labels.energy[n], labels.forces_of(n)) for n, k in enumerate(asked) if labels.ok[n]}
        yield from (found.get(k) for k in range(len(frames)))


def labelled(args):
    """Yield (group, molecule, id, whether periodic, (energy, forces) or None) of all structures."""
    for frames, labels in zip(Frames.blocks(args.frames), Labels.blocks(args.reference)):
        for k in range(len(frames)):
            numbers, _, charge, multiplicity = frames[k]
            molecule = frames.molecule[k], charge, multiplicity, np.sort(numbers).tobytes()
            label = labels.energy[k], labels.forces_of(k)
            known = np.isfinite(label[0]) or labels.ok[k]
            yield frames.group[k], molecule, frames.ids[k], frames.pbc[k].any(), label if known else None


def spread(ids, count):
    """`count` of the ids at equal distances."""
    return [ids[k] for k in np.unique(np.linspace(0, len(ids) - 1, min(count, len(ids))).astype(int))]


def main(args):
    known, unchecked = {}, {}
    for group, _, name, periodic, label in labelled(args):
        known.setdefault(group, []).extend([] if label is None or periodic else [name])
        if label is not None:
            unchecked[group] = "its structures are periodic" if periodic else f"{args.method} has no labels of them"
    agreement = Agreement(list(known), args.method, args.units)
    for group, reason in unchecked.items():
        agreement.groups[group].unchecked = reason
    rows, ahead = tee(labelled(args))  # one structure apart at most
    try:
        if args.prior:
            prior = stored(args.prior, (name for _, _, name, *_ in ahead))
        else:
            prior = computed(args, {name for ids in known.values() for name in spread(ids, args.sample)})
        for (group, molecule, _, periodic, label), cheap in zip(rows, prior):
            if label is not None and cheap is not None and not periodic:
                agreement.add(group, molecule, cheap, label)
    except UserError as error:
        if args.prior:
            raise
        # the library of the engine is not there
        for group in unchecked:
            agreement.groups[group].unchecked = str(error)
    report(args, agreement)


def report(args, agreement):
    """Write what was found, and refuse what is wrong."""
    verdicts = [agreement.verdict(group) for group in agreement.groups]
    lines = [line for _, lines, _ in verdicts for line in lines]
    wrong = [line for _, lines, refused in verdicts if refused for line in lines]
    for line in lines:
        log.info("%s", line)
    if wrong and args.action == "refuse":
        raise UserError(f"{'; '.join(wrong)} (data.label_check: report goes on all the same)")
    write_table(args.output, agreement.rows(), COLUMNS)
    args.lines.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "frames": {"type": Path, "help": "structures"},
            "reference": {"type": Path, "help": "their reference labels"},
            "prior": {"type": Path, "required": False, "help": "labels of the prior; without, a sample is labelled"},
            "sample": {"type": int, "help": "structures of every group that are labelled for this"},
            "method": {"choices": engines.METHODS},
            "engine": {"choices": engines.ENGINES, "help": "library of the GFN-xTB methods"},
            "accuracy": {"type": float, "help": "convergence threshold of the GFN-xTB methods"},
            "units": {"type": cli.settings, "help": "JSON of the units that files are said to have"},
            "action": {"choices": ("refuse", "report"), "help": "what is done about a wrong sign or unit"},
            "output": {"type": Path, "help": "CSV of the comparison by group"},
            "lines": {"type": Path, "help": "what the user is told"},
        },
    )
