"""Fine-tune a model on more and more labelled structures of a group, and predict others of it and the known ones.

No structure that is predicted is learnt from: a labelled one that occurs among the test structures, too, is left out,
and so are, of all that is predicted, the geometries that an adaptation may use.
"""

import json
from pathlib import Path

import numpy as np

from mlipshift.base.errors import UserError
from mlipshift.base.files import replacing
from mlipshift.base.frames import Frames, Labels
from mlipshift.base.log import log
from mlipshift.base.tables import read_table
from mlipshift.catalogue.adaptation import Settings
from mlipshift.data import augmentation, duplicates
from mlipshift.learn import datasets, device, finetuning
from mlipshift.learn.potential import Potential
from mlipshift.mitigate.adaptation import adapt_potential
from mlipshift.mitigate.distillation import unseen_of
from mlipshift.run import cli


def adapted(args, potential):
    """(potential after adaptation to some geometries of the group, number of prior labels that it took)."""
    pool = Frames.load(args.pool)
    chosen = augmentation.first(pool, args.geometries, args.copies)
    if not (pool.group[chosen] == args.group).any():  # fewer geometries than asked for: all there are
        chosen = np.flatnonzero([augmentation.source_of(name)[1] <= args.copies for name in pool.ids])
    chosen = chosen[pool.group[chosen] == args.group]
    prior = Labels.load(args.prior, pool).take(chosen)
    pseudo = Labels.load(args.pseudo, pool).take(chosen) if args.pseudo else None
    settings = Settings.of(args.adaptation)
    return adapt_potential(potential, pool.take(chosen), prior, settings, pseudo), int(prior.ok.sum())


def labelled_of(args, potential, priors, predicted):
    """(frames, labels) of the group's labelled structures, in an order that the seed draws; none is `predicted`."""
    frames = Frames.load(args.labelled)
    labels = wanted(potential, Labels.load(args.reference, frames), priors)
    again = duplicates.same_as_any(read_table(args.duplicates), predicted)
    named = f"labelled_{args.group.partition('_')[2]}"
    usable = (frames.group == named) & labels.ok & ~np.isin(frames.ids.astype(str), sorted(again))
    order = np.random.default_rng([args.seed, 16]).permutation(np.flatnonzero(usable))
    log.info("%d labelled structures of %s, %d are test structures and left out", len(order), named, len(again))
    return frames.take(order), labels.take(order)


def wanted(potential, reference, priors):
    """Reference labels, or what Δ-learning learns, their differences to the prior; priors: several Labels."""
    if not potential.needs_prior:
        return reference
    known = Labels.concatenate(priors)
    return datasets.difference(reference, known.select(reference.ids))


def amount_of(run, structures):
    """Number of labels of a run such as replay_20 or plain_5pct. Raises UserError for more than there are."""
    amount = run.partition("_")[2]
    share = amount.removesuffix("pct")
    number = int(amount) if share == amount else max(1, round(float(share) / 100 * structures))
    if number > structures:
        raise UserError(
            f"finetuning.counts has {number}, and there are {structures} labelled structures; give more, or lower it"
        )
    return number


def main(args):
    device.configure(device=args.device)
    settings = finetuning.Settings(**args.settings)
    frames, potential, calls = Frames.load(args.frames), Potential.load(args.model, args.device), 0
    priors = [Labels.load(path) for path in args.priors or []]
    if args.adaptation:
        potential, calls = adapted(args, potential)
    known = labelled_of(args, potential, priors, set(frames.ids.astype(str)))
    train = Frames.load(args.train)
    replay = train, wanted(potential, Labels.load(args.train_reference, train), priors)
    unseen = unseen_of(frames, Frames.load(args.pool))
    asked = unseen.take((unseen.group == args.group) | unseen.of_kind("id_"))
    place, runs = {name: k for k, name in enumerate(frames.ids)}, {}
    prior = Labels.concatenate(priors) if priors else None
    for path in args.output:
        run, replayed = path.stem, path.stem.startswith("replay_")
        number = amount_of(run, len(known[0]))
        tuned, steps, rate, ratio = potential, 0, 0.0, 1.0
        if number:
            first = np.arange(number)
            part = known[0].take(first), known[1].take(first)
            tuned, course = finetuning.tune(potential, part, settings, args.seed, replay if replayed else None)
            (steps, rate), ratio = course.chosen, course.ratios[course.choices.index(course.chosen)]
        rows = [None] * len(frames)
        for name, row in zip(asked.ids, tuned.predict(asked, prior)):
            rows[place[name]] = row and ([row[0]], row[1][None])
        tuned.results(frames, rows, [0], f"{args.start}_{run}").save(path)
        runs[run] = {"n_labels": number, "steps": steps, "learning_rate": rate, "held_out_ratio": ratio}
        log.info("%s: %s", run, runs[run])
    report = {"group": args.group, "start": args.start, "seed": args.seed, "prior_calls": calls}
    report |= {"prior_calls_per_prediction": int(potential.needs_prior), "runs": runs}
    with replacing(args.courses) as part:
        part.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    optional = {"type": Path, "required": False}
    cli.run(
        main,
        __doc__,
        {
            "model": {"type": Path, "help": "model directory"},
            "start": {"help": "name of what it starts from"},
            "group": {"help": "held-out group"},
            "frames": {"type": Path, "help": "test frames, without labels"},
            "pool": {"type": Path, "help": "geometries that may be adapted to, which nothing predicts"},
            "adaptation": {"type": cli.settings, "required": False, "help": "JSON: adapt to the pool before, and how"},
            "prior": {**optional, "help": "prior labels of --pool"},
            "pseudo": {**optional, "help": "pseudo-labels of --pool"},
            "geometries": {"type": int, "help": "geometries of every molecule that are adapted to"},
            "copies": {"type": int, "help": "rattled copies of each"},
            "labelled": {"type": Path, "help": "structures to learn from"},
            "reference": {"type": Path, "help": "reference labels of these, and of no test structure"},
            "duplicates": {"type": Path, "help": "CSV of the structures that occur more than once"},
            "train": {"type": Path, "help": "training frames, to replay"},
            "train_reference": {"type": Path, "help": "reference labels of these"},
            "priors": {**optional, "nargs": "*", "help": "prior labels of all these frames, for Δ-learning only"},
            "settings": {"type": cli.settings, "help": "JSON, see learn.finetuning.Settings"},
            "seed": {"type": int, "help": "of the draw of the labelled structures, and of the steps"},
            "device": device.OPTION,
            "output": {
                "type": Path,
                "nargs": "+",
                "help": "predictions; plain_20.h5, replay_5pct.h5, ...",
            },
            "courses": {"type": Path, "help": "JSON: labels, steps and learning rate of every one"},
        },
    )
